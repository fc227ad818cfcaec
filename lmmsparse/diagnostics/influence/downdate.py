"""What remains of the normal equations of β when rows are left out and θ is held: array-only functions.

With r = y − Xβ̂ and Q = V⁻¹ in units of σ², the equations of all rows are B = [X r]ᵀQ[X r], and without the rows S

    B_(S) = B − T_S,    T_S = E_Sᵀ Q_SS⁻¹ E_S,    E = Q[X r].

With the penalized solutions U = M⁻¹ΛᵀZᵀW[X r], rows Ẽ = [X r] − ZΛU, E = WẼ, H the rows of ZΛ in S, and the random
effects that S touches parted into private ones p, which have no rows elsewhere, and shared ones s:

    T_S = ẼᵀWẼ + U_pᵀU_p + Fᵀ(I − C N)⁻¹C F,   F = H_sᵀWẼ,   N = H_sᵀWH_s − H_sᵀWH_p (I + H_pᵀWH_p)⁻¹ H_pᵀWH_s,

C being the block of M⁻¹ for s.  It follows from Woodbury's formula and ΛᵀZᵀWẼ = U.  Without shared effects, as when
S is all rows of a level in which every other factor is nested, the last part vanishes and C is not needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.design.coordinates import WorkingDesign
from lmmsparse.diagnostics.influence.deletions import Deletions, Touched
from lmmsparse.kernels.sums import level_products
from lmmsparse.numerics.dense import ranges
from lmmsparse.objective.points import Point
from lmmsparse.pls.effect_blocks import Blocks

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# A pivot of I − C N below this has lost too many digits: the equations are then formed anew.
SMALLEST_PIVOT = 1e-7


@dataclass(frozen=True)
class Equations:
    """A fit at one θ as deletions need it, in working coordinates.

    Attributes
    ----------
    design : WorkingDesign
    weights : (n,) array or None
    residual : (n,) array
        r = y − Xβ̂.
    templates : tuple of (K, K) arrays
        λ of every factor.
    U : tuple of (q, K, p + 1) arrays
        M⁻¹ΛᵀZᵀW[X r] of every factor.
    B : (p + 1, p + 1) array
        [X r]ᵀV⁻¹[X r]; X and r are orthogonal in it.
    first : (factors + 1,) array
        Number of the first random effect of every factor.
    """

    design: WorkingDesign
    weights: Float | None
    residual: Float
    templates: tuple[Float, ...]
    U: tuple[Float, ...]
    B: Float
    first: Index

    def effects(self, factor: Index, level: Index) -> tuple[Index, Index]:
        """Number of the first random effect of some levels, and how many they have."""
        sizes = np.array([len(lam) for lam in self.templates])[factor]
        return self.first[factor] + level * sizes, sizes


def normal_equations(design: WorkingDesign, y: Float, weights: Float | None, point: Point) -> Equations:
    """The equations of all rows.

    Parameters
    ----------
    y : (n,) array
        Working response.
    weights : (n,) array or None
    point : Point
        Its r² may have been summed over the rows.
    """
    p = len(point.beta)
    U = point.solution.fixed_modes() if p else [np.zeros((*u.shape, 0)) for u in point.u]
    B = np.zeros((p + 1, p + 1))
    B[:p, :p] = point.fixed_factor @ point.fixed_factor.T
    B[p, p] = point.pwrss
    return Equations(
        design=design,
        weights=weights,
        residual=y - design.X @ point.beta,
        templates=point.templates,
        U=tuple(np.concatenate([part, u[:, :, None]], axis=2) for part, u in zip(U, point.u, strict=True)),
        B=B,
        first=np.concatenate([[0], np.cumsum([u.size for u in point.u])]).astype(np.intp),
    )


def left_out(known: Equations, deletions: Deletions, touched: Touched, which: Index, blocks: Blocks | None) -> Float:
    """T_S of some sets of rows, (m, p + 1, p + 1); NaN where rounding leaves too little of it.

    Parameters
    ----------
    which : (m,) array
        The sets, increasing.
    blocks : Blocks or None
        Blocks of M⁻¹ for their shared effects; None when there are none.
    """
    design, c = known.design, len(known.B)
    rows = deletions.rows(which)
    position = np.repeat(np.arange(len(which)), deletions.sizes[which])
    H = [block.columns[rows] @ lam for block, lam in zip(design.blocks, known.templates, strict=True)]
    E = np.column_stack([design.X[rows], known.residual[rows]])
    for block, h, U in zip(design.blocks, H, known.U, strict=True):
        E -= np.einsum("ik,ikc->ic", h, U[block.codes[rows]])
    weights = np.ones(len(rows)) if known.weights is None else known.weights[rows]
    # a private level counts as K further rows, the penalties of its effects
    pairs = touched.pairs(which)
    private = pairs[~touched.shared[pairs]]
    values, codes, w = [E], [position], [weights]
    for g, U in enumerate(known.U):
        own = private[touched.factor[private] == g]
        values.append(U[touched.level[own]].reshape(-1, c))
        codes.append(np.repeat(np.searchsorted(which, touched.deletion[own]), U.shape[1]))
        w.append(np.ones(len(codes[-1])))
    T = outer_sums(np.concatenate(values), np.concatenate(codes), np.concatenate(w), len(which))
    if blocks is None:
        return T
    first_row = np.concatenate([[0], np.cumsum(deletions.sizes[which])])
    for same in _alike(touched, which):
        chosen = ranges(first_row[same], deletions.sizes[which[same]])
        by_factor = [pair[rows[chosen]] for pair in touched.by_row]
        before = int(touched.private_size[which[same[0]]])
        offsets = [touched.place[pair] + before * touched.shared[pair] for pair in by_factor]
        N, F = _cross_products(
            np.repeat(np.arange(len(same)), deletions.sizes[which[same]]),
            offsets,
            [h[chosen] for h in H],
            E[chosen],
            weights[chosen],
            len(same),
            before + int(touched.shared_size[which[same[0]]]),
        )
        effects = _shared_effects(known, touched, which[same])
        T[same] += _through_shared(N, F, blocks(effects))
    return T


def outer_sums(values: Float, codes: Index, weights: Float, count: int) -> Float:
    """Σ w v vᵀ over the rows v of each code, (count, c, c)."""
    sums = np.zeros((count, values.shape[1], values.shape[1]))
    none = np.zeros((len(values), 0))
    rhs = np.zeros((count, values.shape[1], 1))
    level_products(codes.astype(np.int32), values, weights, none, np.zeros(len(values)), sums, rhs)
    return sums


def _alike(touched: Touched, which: Index) -> list[Index]:
    """Positions in ``which`` of sets with as many private and shared effects, of the same factors."""
    pairs = touched.pairs(which)
    counts = touched.starts[which + 1] - touched.starts[which]
    marks = np.where(touched.shared[pairs], 1 << touched.factor[pairs], 0)
    key = np.bitwise_or.reduceat(marks, np.cumsum(counts) - counts)  # of the factors that have shared levels
    for size in (touched.private_size[which], touched.shared_size[which]):
        key = key * (size.max() + 1) + size
    order = np.argsort(key, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(key[order])) + 1)
    return [group for group in groups if touched.shared_size[which[group[0]]]]


def _cross_products(
    position: Index, offsets: list[Index], H: list[Float], E: Float, weights: Float, count: int, size: int
) -> tuple[Float, Float]:
    """HᵀWH (count, size, size) and HᵀWẼ (count, size, c) of sets with as many effects.

    Parameters
    ----------
    position : (rows,) array
        The set of each row.
    offsets : list of (rows,) arrays
        Position of the first effect of the row's level in the set, for every factor.
    """
    N, F = np.zeros(count * size * size), np.zeros((count * size, E.shape[1]))
    for g, (own, h) in enumerate(zip(offsets, H, strict=True)):
        for a in range(h.shape[1]):
            at, weighted = position * size + own + a, weights * h[:, a]
            for j in range(E.shape[1]):
                F[:, j] += np.bincount(at, weighted * E[:, j], minlength=count * size)
            for other, k in zip(offsets[g:], H[g:], strict=True):
                for b in range(k.shape[1]):
                    product = weighted * k[:, b]
                    N += np.bincount(at * size + other + b, product, minlength=len(N))
                    if other is not own:
                        N += np.bincount((position * size + other + b) * size + own + a, product, minlength=len(N))
    return N.reshape(count, size, size), F.reshape(count, size, -1)


def _shared_effects(known: Equations, touched: Touched, which: Index) -> Index:
    """Numbers of the shared effects of sets that have as many, (m, s)."""
    pairs = touched.pairs(which)
    pairs = pairs[touched.shared[pairs]]
    return ranges(*known.effects(touched.factor[pairs], touched.level[pairs])).reshape(len(which), -1)


def _through_shared(N: Float, F: Float, C: Float) -> Float:
    """Fᵀ(I − C N)⁻¹C F with private effects eliminated, (m, c, c): with C = GGᵀ, FᵀG (I − GᵀNG)⁻¹ GᵀF."""
    s = C.shape[1]
    p = N.shape[1] - s
    inner = N[:, p:, p:]
    if p:
        cross = N[:, :p, p:]
        inner = inner - cross.transpose(0, 2, 1) @ np.linalg.solve(N[:, :p, :p] + np.eye(p), cross)
    try:
        G = np.linalg.cholesky(C)
        R = np.linalg.cholesky(np.eye(s) - G.transpose(0, 2, 1) @ inner @ G)
    except np.linalg.LinAlgError:
        return np.full((len(F), F.shape[2], F.shape[2]), np.nan)
    half = np.linalg.solve(R, G.transpose(0, 2, 1) @ F[:, p:])
    out = half.transpose(0, 2, 1) @ half
    out[np.diagonal(R, axis1=1, axis2=2).min(axis=1) ** 2 < SMALLEST_PIVOT] = np.nan
    return np.asarray(out)
