"""Penalized least squares with a factor in hand, block by block: array-only functions.

What `lmmsparse.pls.small` does in one call for small models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.blocks import CrossProducts
from lmmsparse.errors import FactorizationError
from lmmsparse.numerics.dense import cholesky_inverse, inner, solve_lower, solve_lower_transposed
from lmmsparse.pls.factor import SelectedInverse, multiply
from lmmsparse.pls.plan import Plan
from lmmsparse.pls.releasable import HeldFactor
from lmmsparse.pls.solution import Solution
from lmmsparse.pls.values import Values

Float = NDArray[np.float64]
Index = NDArray[np.int32]

NOT_IDENTIFIED = "X'V^-1 X is not positive definite: the fixed effects are not identified at this theta"


class Elimination(NamedTuple):
    """What is left when the random and the fixed effects are eliminated, and their values.

    Attributes
    ----------
    logdet, pwrss : float
        log|M| and r².
    beta : (p,) array
    u : tuple of (q_g, K_g) arrays
        Spherical modes.
    fixed_factor : (p, p) array
        Lower Cholesky factor of XᵀV⁻¹X.
    """

    logdet: float
    pwrss: float
    beta: Float
    u: tuple[Float, ...]
    fixed_factor: Float


def eliminate(held: HeldFactor, fixed: Float) -> Elimination:
    """Solve the penalized least-squares problem with the factor of M.

    Parameters
    ----------
    held : HeldFactor
    fixed : (p + 1, p + 1) array
        [X y]ᵀW[X y].
    """
    p, right = len(fixed) - 1, held.right
    schur = fixed - sum(inner(r, r) for r in right)
    try:
        L = np.asarray(np.linalg.cholesky(schur[:p, :p]))
    except np.linalg.LinAlgError as error:
        raise FactorizationError(NOT_IDENTIFIED) from error
    half = solve_lower(L, schur[:p, p])
    beta = solve_lower_transposed(L, half)
    contrast = np.append(-beta, 1.0)
    modes = held.factor.backward([(r @ contrast)[:, :, None] for r in right])
    u = tuple(u[:, :, 0] for u in modes)
    return Elimination(held.factor.logdet, float(schur[p, p] - half @ half), beta, u, L)


def inverse_blocks(solution: Solution, couplings: bool = False) -> tuple[SelectedInverse, tuple[Float, ...]]:
    """Selected inverse of M, and U_X = M⁻¹ΛᵀZᵀWX of every factor, (q, K, p).

    Parameters
    ----------
    solution : Solution
    couplings : bool
        Also the blocks of M⁻¹ on the couplings of every peeled factor to the core.
    """
    p = len(solution.beta)
    selected = solution.factor.selected_inverse(couplings)
    U = solution.factor.backward([r[:, :, :p] for r in solution.right]) if p else []
    return selected, tuple(U)


def score_sums(solution: Solution, reml: bool) -> list[Float]:
    """Σ_ℓ [C_ℓℓ + û_ℓ û_ℓᵀ/σ̂²] of every factor, C = M⁻¹ for ML and M⁻¹ + U_X(XᵀV⁻¹X)⁻¹U_Xᵀ for REML."""
    selected, U = inverse_blocks(solution)
    sums = []
    inverse_fixed = cholesky_inverse(solution.fixed_factor)
    for g, C in enumerate(selected.diagonal):
        total = C.sum(axis=0) + solution.u[g].T @ solution.u[g] / solution.sigma2
        if reml and U:
            total += inner((U[g] @ inverse_fixed).transpose(0, 2, 1), U[g].transpose(0, 2, 1))
        sums.append(total)
    return sums


def average_information(
    products: CrossProducts, plan: Plan, values: Values, solution: Solution, entries: tuple[Index, Index, Index]
) -> Float:
    """Average information with respect to entries of the covariances Σ, (n_theta, n_theta).

    H_ij = [f_iᵀPf_j − (sᵀc_i)(sᵀc_j)/r²]/σ̂² with s = ZᵀWe, c_i = (∂Σ/∂Σ_i) s and f_i = Z c_i.

    Parameters
    ----------
    entries : tuple of three (n_theta,) arrays
        Factor, row and column of each parameter's entry.
    """
    p, n_theta = products.p, len(entries[0])
    contrast = np.append(-solution.beta, 1.0)
    modes = [(u @ lam.T)[:, :, None] for u, lam in zip(solution.u, solution.templates, strict=True)]
    fitted = multiply(plan, values, modes)
    s = [b @ contrast - f[:, :, 0] for b, f in zip(products.rhs, fitted, strict=True)]
    c, projected = directions(s, entries)
    Ac = multiply(plan, values, c)
    scaled = [lam.T @ f for lam, f in zip(solution.templates, Ac, strict=True)]
    r = solution.factor.forward(scaled)
    fPf = sum(inner(ci, f) - inner(ri, ri) for ci, f, ri in zip(c, Ac, r, strict=True))
    if p:
        x = np.zeros((p, n_theta)) + sum(
            inner(b[:, :, :p], ci) - inner(rx[:, :, :p], ri)
            for b, ci, rx, ri in zip(products.rhs, c, solution.right, r, strict=True)
        )
        half = solve_lower(solution.fixed_factor, x)
        fPf = fPf - half.T @ half
    return np.asarray((fPf - np.outer(projected, projected) / solution.pwrss) / solution.sigma2)


def directions(s: Sequence[Float], entries: tuple[Index, Index, Index]) -> tuple[list[Float], Float]:
    """c_i = (∂Σ/∂Σ_i) s of every factor, (q_g, K_g, n_theta), and sᵀc_i."""
    n_theta = len(entries[0])
    c, projected = [np.zeros((*part.shape, n_theta)) for part in s], np.empty(n_theta)
    for i, (g, a, b) in enumerate(zip(*entries, strict=True)):
        c[g][:, a, i] += s[g][:, b]
        if a != b:
            c[g][:, b, i] += s[g][:, a]
        projected[i] = (s[g] * c[g][:, :, i]).sum()
    return c, projected
