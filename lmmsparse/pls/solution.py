"""Penalized least squares for one λ: the solution, and what follows from it with the factor of M in hand.

Vectors of random effects are lists with one (q_g, K_g, m) array a factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.blocks import CrossProducts
from lmmsparse.numerics.dense import cholesky_inverse, inner, solve_lower
from lmmsparse.pls.factor import Factor, SelectedInverse, multiply
from lmmsparse.pls.releasable import ReleasableFactor
from lmmsparse.pls.rounding import Losses

Float = NDArray[np.float64]
Index = NDArray[np.int32]
Entries = tuple[Index, Index, Index]


@dataclass(frozen=True)
class Request:
    """What is asked of solutions beside the estimates.

    Attributes
    ----------
    reml : bool
        Whether σ² and the derivatives are those of the REML criterion.
    entries : tuple of three (s,) arrays
        Factor, row and column of the entries of covariance matrices Σ_g = λ_gλ_gᵀ that parameters move.
    """

    reml: bool
    entries: Entries

    def degrees(self, products: CrossProducts) -> int:
        """n − p for REML, n for ML."""
        return products.n - (products.p if self.reml else 0)


@dataclass(frozen=True)
class Solution:
    """The minimum of ‖W^½(y − Xβ − ZΛu)‖² + ‖u‖² over β and u, in working coordinates.

    Attributes
    ----------
    products : CrossProducts
    request : Request
    templates : tuple of (K_g, K_g) arrays
        λ of every grouping factor.
    releasable : ReleasableFactor
        The factor of M, which may have to be made again.
    logdet, pwrss, sigma2 : float
        log|M|, r², and r² over the degrees of freedom.
    beta : (p,) array
    u : tuple of (q_g, K_g) arrays
        Conditional modes on the spherical scale.
    fixed_factor : (p, p) array
        Lower Cholesky factor of XᵀV⁻¹X.
    degenerate : bool
        r² is zero to rounding: nothing is left of the response.
    losses : Losses
        What was cancelled on the way.
    """

    products: CrossProducts
    request: Request
    templates: tuple[Float, ...]
    releasable: ReleasableFactor
    logdet: float
    pwrss: float
    sigma2: float
    beta: Float
    u: tuple[Float, ...]
    fixed_factor: Float
    degenerate: bool
    losses: Losses

    @property
    def logdet_fixed(self) -> float:
        """log|XᵀV⁻¹X|."""
        return 2.0 * float(np.log(np.diag(self.fixed_factor)).sum())

    @property
    def factor(self) -> Factor:
        """Factorization of M."""
        return self.releasable.factor

    @property
    def right(self) -> tuple[Float, ...]:
        """L⁻¹ΛᵀZᵀW[X y], a (q_g, K_g, p + 1) array a factor."""
        return self.releasable.right

    def multiplied(self, c: list[Float]) -> list[Float]:
        """ZᵀWZ c."""
        return multiply(self.releasable.plan, self.releasable.values, c)

    def fixed_modes(self) -> list[Float]:
        """U_X = M⁻¹ΛᵀZᵀWX, (q_g, K_g, p); empty without fixed effects."""
        p = len(self.beta)
        return self.factor.backward([r[:, :, :p] for r in self.right]) if p else []

    def inverse(self, couplings: bool = False) -> SelectedInverse:
        """Blocks of M⁻¹ on its diagonal and, if wanted, on the couplings of every peeled factor to the core."""
        return self.factor.selected_inverse(couplings)

    def sums(self) -> list[Float]:
        """Σ_ℓ [C_ℓℓ + û_ℓ û_ℓᵀ/σ̂²] of every factor, C = M⁻¹ for ML and M⁻¹ + U_X(XᵀV⁻¹X)⁻¹U_Xᵀ for REML."""
        inverse, U = self.inverse(), self.fixed_modes()
        inverse_fixed = cholesky_inverse(self.fixed_factor)
        sums = []
        for g, C in enumerate(inverse.diagonal):
            total = C.sum(axis=0) + self.u[g].T @ self.u[g] / self.sigma2
            if self.request.reml and U:
                total += inner((U[g] @ inverse_fixed).transpose(0, 2, 1), U[g].transpose(0, 2, 1))
            sums.append(total)
        return sums

    def information(self) -> Float:
        """Average information with respect to the entries of the request, (s, s).

        H_ij = [f_iᵀPf_j − (sᵀc_i)(sᵀc_j)/r²]/σ̂² with s = ZᵀWe, c_i = (∂Σ/∂Σ_i) s and f_i = Z c_i.
        """
        p, entries = len(self.beta), self.request.entries
        c, projected = directions(self.residual_scores(), entries)
        Ac = self.multiplied(c)
        r = self.factor.forward([lam.T @ f for lam, f in zip(self.templates, Ac, strict=True)])
        fPf = sum(inner(ci, f) - inner(ri, ri) for ci, f, ri in zip(c, Ac, r, strict=True))
        if p:
            x = np.zeros((p, len(projected))) + sum(
                inner(b[:, :, :p], ci) - inner(rx[:, :, :p], ri)
                for b, ci, rx, ri in zip(self.products.rhs, c, self.right, r, strict=True)
            )
            half = solve_lower(self.fixed_factor, x)
            fPf = fPf - half.T @ half
        return np.asarray((fPf - np.outer(projected, projected) / self.pwrss) / self.sigma2)

    def residual_scores(self) -> list[Float]:
        """s = ZᵀWe with e = y − Xβ̂ − ZΛû, (q_g, K_g)."""
        contrast = np.append(-self.beta, 1.0)
        modes = [(u @ lam.T)[:, :, None] for u, lam in zip(self.u, self.templates, strict=True)]
        fitted = self.multiplied(modes)
        return [b @ contrast - f[:, :, 0] for b, f in zip(self.products.rhs, fitted, strict=True)]

    def fixed_scores(self) -> list[Float]:
        """S = ZᵀV⁻¹X = ZᵀWX − ZᵀWZ Λ M⁻¹ ΛᵀZᵀWX, (q_g, K_g, p)."""
        p = len(self.beta)
        U = self.factor.backward([r[:, :, :p] for r in self.right])
        products = self.multiplied([np.matmul(lam, u) for lam, u in zip(self.templates, U, strict=True)])
        return [b[:, :, :p] - f for b, f in zip(self.products.rhs, products, strict=True)]

    def projected(self, c: list[Float]) -> list[Float]:
        """ZᵀV⁻¹Z c = ZᵀWZ c − ZᵀWZ Λ M⁻¹ Λᵀ ZᵀWZ c for vectors of random effects."""
        Ac = self.multiplied(c)
        solved = self.apply_inverse([np.matmul(lam.T, part) for lam, part in zip(self.templates, Ac, strict=True)])
        again = self.multiplied([np.matmul(lam, part) for lam, part in zip(self.templates, solved, strict=True)])
        return [one - other for one, other in zip(Ac, again, strict=True)]

    def apply_inverse(self, right: list[Float]) -> list[Float]:
        """M⁻¹ right."""
        return self.factor.backward(self.factor.forward(right))


def directions(s: Sequence[Float], entries: Entries) -> tuple[list[Float], Float]:
    """c_i = (∂Σ/∂Σ_i) s of every factor, (q_g, K_g, s), and sᵀc_i."""
    count = len(entries[0])
    c, projected = [np.zeros((*part.shape, count)) for part in s], np.empty(count)
    for i, (g, a, b) in enumerate(zip(*entries, strict=True)):
        c[g][:, a, i] += s[g][:, b]
        if a != b:
            c[g][:, b, i] += s[g][:, a]
        projected[i] = (s[g] * c[g][:, :, i]).sum()
    return c, projected
