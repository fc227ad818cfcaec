"""Kenward and Roger's adjusted covariance matrix of β̂ and degrees of freedom.

Notation of Halekoh and Højsgaard (2014, Journal of Statistical Software 59(9)): V = Σ_i γ_i G_i with G_0 = W⁻¹ and
G_i = Z E_i Zᵀ for the free entries of the covariance matrices, all in units of σ̂².  With S = ZᵀV⁻¹X and B = ZᵀV⁻¹Z,

    P_i = −SᵀE_iS,   Q_ij = SᵀE_i B E_j S,   tr(V⁻¹G_iV⁻¹G_j) = tr(E_i B E_j B),

and those of G_0 follow from W⁻¹ = V − ZΣZᵀ.  B is never stored: its columns are found some at a time, and levels that
no row connects share a column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.protocols import Keeps
from lmmsparse.fitted.model import FittedModel
from lmmsparse.fitted.remembered import remembered
from lmmsparse.inference.wald import DEPENDENT, FTest, scaled_rows
from lmmsparse.numerics.dense import cholesky_inverse
from lmmsparse.numerics.distributions import f_upper
from lmmsparse.numerics.threads import single_threaded_blas
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.points import Point
from lmmsparse.pls.components import level_components, places_in_components
from lmmsparse.pls.solution import Solution

Float = NDArray[np.float64]

# So many numbers of B are formed at a time.
CHUNK_NUMBERS = 4_000_000


class Scaled:
    """A solution whose random effects are measured by A: S → AᵀS, B → AᵀBA and Σ → A⁻¹ΣA⁻ᵀ.

    The result does not depend on A, but its digits do: entries of Σ of very different sizes, or of effects that are
    nearly the same, have an information in which the small ones cannot be told from rounding.

    Parameters
    ----------
    solution : Solution
    A : list of (K_g, K_g) arrays
        Of every factor.
    """

    def __init__(self, solution: Solution, A: list[Float]) -> None:
        self._solution, self._A = solution, A
        self.request, self.fixed_factor = solution.request, solution.fixed_factor
        self.templates = [np.linalg.solve(a, lam) for a, lam in zip(A, solution.templates, strict=True)]

    def fixed_scores(self) -> list[Float]:
        """AᵀS."""
        return [np.einsum("ka,qkp->qap", a, S) for a, S in zip(self._A, self._solution.fixed_scores(), strict=True)]

    def projected(self, c: list[Float]) -> list[Float]:
        """AᵀBA c."""
        inside = [np.einsum("ka,qam->qkm", a, part) for a, part in zip(self._A, c, strict=True)]
        return [np.einsum("ka,qkm->qam", a, B) for a, B in zip(self._A, self._solution.projected(inside), strict=True)]


def _units(objective: Objective, solution: Solution) -> list[Float]:
    """A of every factor: the directions of Σ where a family has all covariances, and standard deviations elsewhere.

    Each in the unit of its standard deviation where that is more than σ.
    """
    out = [np.eye(len(lam)) for lam in solution.templates]
    for block in objective.blocks:
        lam = solution.templates[block.factor][block.columns, block.columns]
        if block.structure.keeps is Keeps.SCALE:
            A = max(1.0, float(np.linalg.norm(lam, axis=1).max())) * np.eye(len(lam))
        elif block.structure.keeps is Keeps.SCALES:
            A = np.diag(np.maximum(1.0, np.linalg.norm(lam, axis=1)))
        else:
            U, spread, _ = np.linalg.svd(lam)
            A = U * np.maximum(1.0, spread)
        out[block.factor][block.columns, block.columns] = A
    return out


@dataclass(frozen=True, eq=False)
class KenwardRoger:
    """What the tests need, for β of orthonormal columns: a predictor far from its origin keeps its digits there.

    Attributes
    ----------
    beta_units : (p,) array
        Powers of two, about the sizes of the standard errors: in the user's units squares may be no numbers.
    basis : (p, p) array
        From β of the orthonormal columns to β in these units.
    F, A : (p, p) arrays
        Covariance matrix of β̂ of the orthonormal columns, and the adjusted one.
    P : (parameters, p, p) array
        −XᵀV⁻¹G_iV⁻¹X.
    W : (parameters, parameters) array
        Covariance matrix of the variance parameters, from the expected information.
    """

    beta_units: Float
    basis: Float
    F: Float
    A: Float
    P: Float
    W: Float

    @property
    def fixed(self) -> Float:
        """Covariance matrix of β̂ in its units, (p, p)."""
        return np.asarray(self.basis @ self.F @ self.basis.T)

    @property
    def adjusted(self) -> Float:
        """The adjusted one."""
        return np.asarray(self.basis @ self.A @ self.basis.T)


def kenward_roger(objective: Objective, point: Point) -> KenwardRoger:
    """Adjusted covariance matrix of β̂ of a REML fit.

    Parameters
    ----------
    objective : Objective
    point : Point
        The optimum, in working coordinates.
    """
    with single_threaded_blas():
        A = _units(objective, point.solution)
        P, Q, traces = _by_parameter(objective, point, A, *_blocks(objective, Scaled(point.solution, A)))
    F = cholesky_inverse(point.fixed_factor)
    PF, QF = P @ F, Q @ F
    information = traces - 2.0 * np.trace(QF, axis1=2, axis2=3) + np.einsum("iab,jba->ij", PF, PF)
    W = 2.0 * _inverse((information + information.T) / 2)
    U = np.tensordot(W, Q, axes=2) - (PF @ np.tensordot(W, P, axes=1)).sum(axis=0)
    coordinates, scale = objective.design.coordinates, float(np.sqrt(point.sigma2)) * objective.response.scale
    beta_units = coordinates.beta_units(scale)
    basis = coordinates.beta_map(scale) / beta_units[:, None]
    return KenwardRoger(beta_units, basis, F, F + F @ (U + U.T) @ F, P, W)


@remembered
def kenward_roger_of(model: FittedModel) -> KenwardRoger:
    """Kenward and Roger's adjusted covariance matrix of β̂, with what their tests need."""
    return kenward_roger(model.objective, model.estimates.point)


def kr_test(L: Float, beta: Float, known: KenwardRoger) -> FTest:
    """F test of Lβ = 0 with scaled statistic.

    Parameters
    ----------
    L : (m, p) array of full row rank
    """
    (scaled, _), beta = scaled_rows(L, known.beta_units), beta / known.beta_units
    estimate, L = scaled @ beta, scaled @ known.basis
    q, FL = len(L), known.F @ L.T
    # tr(ΘFP_iF) and tr(ΘFP_iFΘFP_jF) with Θ = Lᵀ(LFLᵀ)⁻¹L, by matrices with q rows
    M = np.linalg.solve(L @ FL, FL.T @ known.P @ FL)
    single = np.trace(M, axis1=1, axis2=2)
    double = M.reshape(len(M), -1) @ M.transpose(0, 2, 1).reshape(len(M), -1).T
    A1 = float(single @ known.W @ single)
    A2 = float((known.W * double).sum())
    B = (A1 + 6.0 * A2) / (2.0 * q)
    g = ((q + 1.0) * A1 - (q + 4.0) * A2) / ((q + 2.0) * A2) if A2 else 0.0
    bottom = 3.0 * q + 2.0 * (1.0 - g)
    c1, c2, c3 = g / bottom, (q - g) / bottom, (q + 2.0 - g) / bottom
    ratio = 1.0 if abs(1.0 - c2 * B) < 1e-10 and abs(1.0 - A2 / q) < 1e-10 else (1.0 - A2 / q) / (1.0 - c2 * B)
    rho = ratio**2 * (1.0 + c1 * B) / (1.0 - c3 * B) / q
    excess = q * rho - 1.0
    if excess:
        df = 4.0 + (q + 2.0) / excess
        scale = 1.0 if abs(df - 2.0) < 1e-2 else df * (1.0 - A2 / q) / (df - 2.0)
    else:  # the covariance matrix of Lβ̂ is as good as known
        df, scale = np.inf, 1.0 - A2 / q
    statistic = scale * float(estimate @ np.linalg.solve(L @ known.A @ L.T, estimate)) / q
    return FTest(q, df, statistic, float(f_upper(statistic, q, df)), scale)


def _inverse(information: Float) -> Float:
    """Inverse on the directions that have information, each parameter in the unit in which its own is one.

    A variance that is large beside σ² is known far less well than σ² in units of σ², and not unknown.
    """
    unit = 1.0 / np.sqrt(np.maximum(np.diag(information), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(unit[:, None] * information * unit)
    kept = values > DEPENDENT * values[-1]
    vectors = unit[:, None] * vectors[:, kept]
    return np.asarray((vectors / values[kept]) @ vectors.T)


def _blocks(objective: Objective, solution: Scaled) -> tuple[Float, Float, Float]:
    """P (m, p, p), Q (m, m, p, p) and tr(V⁻¹G_iV⁻¹G_j) (m, m) for G_0 = W⁻¹ and the entries of Σ."""
    p, entries = len(solution.fixed_factor), solution.request.entries
    S = solution.fixed_scores()
    sigma = [lam @ lam.T for lam in solution.templates]
    weights = np.array([sigma[g][a, b] for g, a, b in zip(*entries, strict=True)])  # γ_i of every entry
    ES = [_picked(S, g, a, b) for g, a, b in zip(*entries, strict=True)]  # E_i S, a list with one array a factor
    stacked = [np.concatenate([one[g] for one in ES], axis=2) for g in range(len(S))]
    BES = [part.reshape(*part.shape[:2], len(ES), p) for part in solution.projected(stacked)]
    m = len(ES) + 1
    P, Q, traces = np.zeros((m, p, p)), np.zeros((m, m, p, p)), np.zeros((m, m))
    for i, one in enumerate(ES, start=1):
        P[i] = -sum(_inner(s, e) for s, e in zip(S, one, strict=True))
        for j in range(1, m):
            Q[i, j] = sum(_inner(e, b[:, :, j - 1]) for e, b in zip(one, BES, strict=True))
    at_fixed = solution.fixed_factor @ solution.fixed_factor.T
    P[0] = -(at_fixed + np.tensordot(weights, P[1:], axes=1))
    Q[0, 1:] = -P[1:] - np.tensordot(weights, Q[1:, 1:], axes=1)
    Q[1:, 0] = Q[0, 1:].transpose(0, 2, 1)
    Q[0, 0] = at_fixed + 2.0 * np.tensordot(weights, P[1:], axes=1)
    Q[0, 0] += np.einsum("i,j,ijab->ab", weights, weights, Q[1:, 1:])
    single, double = _traces(objective, solution)
    traces[1:, 1:] = double
    traces[0, 1:] = traces[1:, 0] = single - double @ weights
    traces[0, 0] = objective.products.n - 2.0 * single @ weights + weights @ double @ weights
    return P, Q, traces


def _by_parameter(
    objective: Objective, point: Point, A: list[Float], P: Float, Q: Float, traces: Float
) -> tuple[Float, Float, Float]:
    """The same for the parameters of the families of covariances, whose G_i are sums of those of entries.

    V is linear in the parameters but for `cs` of three effects and more, where it is taken so around θ̂.
    """
    T = np.zeros((len(P), 1 + len(point.theta)))
    T[0, 0] = 1.0
    for block in objective.blocks:
        rows = slice(1 + block.support.start, 1 + block.support.stop)
        columns = slice(1 + block.parameters.start, 1 + block.parameters.stop)
        if block.structure.keeps in (Keeps.SCALE, Keeps.SCALES):
            a, b = block.structure.support
            unit = np.diagonal(A[block.factor][block.columns, block.columns])
            basis = block.structure.entry_basis(point.theta[block.parameters])
            T[rows, columns] = basis / (unit[a] * unit[b])[:, None]
        else:  # all covariances: the entries themselves, in any directions
            T[rows, columns] = np.eye(block.structure.n_theta)
    return np.tensordot(T.T, P, axes=1), np.einsum("ia,jb,ijkl->abkl", T, T, Q, optimize=True), T.T @ traces @ T


def _picked(S: list[Float], g: int, a: int, b: int) -> list[Float]:
    """E S for the entry (a, b) of the covariance matrix of factor g."""
    out = [np.zeros_like(part) for part in S]
    out[g][:, a] += S[g][:, b]
    if a != b:
        out[g][:, b] += S[g][:, a]
    return out


def _inner(one: Float, other: Float) -> Float:
    return np.einsum("qka,qkb->ab", one, other)


def _traces(objective: Objective, solution: Scaled) -> tuple[Float, Float]:
    """tr(B E_i) and tr(E_i B E_j B) for the entries of Σ.

    Column k of what `_times_B` is given holds the k-th random effect of every connected component at once.
    """
    shapes = objective.plan.shapes
    starts = np.cumsum([0, *(q for q, _ in shapes)])
    component = level_components(objective.plan.pattern)
    entries = list(zip(*solution.request.entries, strict=True))
    # sums[g, h] (K_g, K_h, K_g, K_h): Σ_ℓm B[ℓa, mc] B[ℓb, md]
    sums = {(g, h): np.zeros((shapes[g][1], shapes[h][1]) * 2) for g in range(len(shapes)) for h in range(len(shapes))}
    diagonal = [np.zeros((K, K)) for _, K in shapes]
    for h, (q, K) in enumerate(shapes):
        own = component[starts[h] : starts[h] + q]
        place = places_in_components(own)
        width = max(1, CHUNK_NUMBERS // max(1, K * sum(q * K for q, K in shapes)))
        for first in range(0, int(place.max()) + 1, width):
            count = min(width, int(place.max()) + 1 - first)
            levels = np.flatnonzero((place >= first) & (place < first + count))
            c = [np.zeros((q_g, K_g, count * K)) for q_g, K_g in shapes]
            for b in range(K):
                c[h][levels, b, (place[levels] - first) * K + b] = 1.0
            B = solution.projected(c)
            for g, (q_g, K_g) in enumerate(shapes):
                block = B[g].reshape(q_g, K_g, count, K)
                sums[g, h] += np.einsum("qakc,qbkd->acbd", block, block, optimize=True)
            picked = B[h].reshape(q, K, count, K)[levels, :, place[levels] - first]
            diagonal[h] += picked.sum(axis=0)
    single = np.array([diagonal[g][a, b] * (1.0 if a == b else 2.0) for g, a, b in entries])
    double = np.empty((len(entries), len(entries)))
    for i, (g, a, b) in enumerate(entries):
        for j, (h, c, d) in enumerate(entries):
            total = 0.0
            for x, y in {(a, b), (b, a)}:
                for u, v in {(c, d), (d, c)}:
                    total += sums[g, h][y, u, x, v]
            double[i, j] = total
    return single, double
