"""Small models, whose whole evaluation is one call: Python's overhead would be most of their time.

The equations are stored densely beside the leaves of one factor; many (θ, y) of one design are evaluated together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.blocks import CrossProducts
from lmmsparse.kernels import small as kernels
from lmmsparse.pls.factor import SMALLEST_PIVOT, SMALLEST_REMAINDER
from lmmsparse.pls.plan import Plan

Float = NDArray[np.float64]
Index = NDArray[np.int32]

# Up to so many multiplications an evaluation, a dense array of all couplings costs less than a plan for sparse ones.
SMALL_FLOPS = 1e6


@dataclass(frozen=True)
class SmallDesign:
    """Cross-products of a design, without a response, around the leaves of one factor.

    Attributes
    ----------
    leaf : int
        Position of the factor whose levels are the leaves.
    others : tuple of int
        The other factors, in the order of the rest rows.
    A, B, rest : arrays
        As `lmmsparse.kernels.small.evaluate` wants them.
    factor, sizes : arrays
        Position in ``others`` of the factor of each rest row, and columns of each.
    """

    leaf: int
    others: tuple[int, ...]
    A: Float
    B: Float
    rest: Float
    factor: Index
    sizes: Index

    @property
    def r(self) -> int:
        """Random effects in the rest."""
        return len(self.factor)

    @property
    def p(self) -> int:
        """Fixed effects."""
        return self.rest.shape[0] - self.r


@dataclass(frozen=True)
class SmallResponses:
    """Cross-products of a small design with several responses.

    Attributes
    ----------
    leaf : (responses, q, K) array
    rest : (responses, R) array
    square : (responses,) array
        yᵀWy.
    """

    leaf: Float
    rest: Float
    square: Float


@dataclass(frozen=True)
class SmallSolutions:
    """Solutions of several problems.

    Attributes
    ----------
    logdet, logdet_fixed, pwrss : (problems,) arrays
        log|M|, log|XᵀV⁻¹X| and r².
    u : tuple of (problems, q_g, K_g) arrays
        Spherical modes of every factor.
    beta : (problems, p) array
    fixed_factor : (problems, p, p) array
        Lower Cholesky factor of XᵀV⁻¹X.
    sums : tuple of (problems, K_g, K_g) arrays
        Σ_ℓ [C_ℓℓ + û_ℓ û_ℓᵀ/σ̂²] of every factor.
    information : (problems, n_theta, n_theta) array
        Average information with respect to the free entries of the covariances.
    failed : (problems,) array
        1 where a pivot of a random effect was rounding, 2 where one of a fixed effect was: the numbers of such a
        problem mean nothing.
    """

    logdet: Float
    logdet_fixed: Float
    pwrss: Float
    u: tuple[Float, ...]
    beta: Float
    fixed_factor: Float
    sums: tuple[Float, ...]
    information: Float
    failed: Index


def small_design(products: CrossProducts, plan: Plan) -> SmallDesign | None:
    """The design of a model that is small enough; None for the others."""
    leaf = plan.peeled[0].block
    others = tuple(g for g in range(len(plan.shapes)) if g != leaf)
    q, K = plan.shapes[leaf]
    r, p = sum(plan.shapes[h][0] * plan.shapes[h][1] for h in others), products.p
    R = r + p
    if q * K * (R + 1.0) ** 2 + float(R) ** 3 > SMALL_FLOPS:
        return None
    B, rest = np.zeros((q, K, R)), np.zeros((R, R))
    offsets = dict(zip(others, np.cumsum([0] + [plan.shapes[h][0] * plan.shapes[h][1] for h in others]), strict=False))
    for h in others:
        q_h, K_h = plan.shapes[h]
        rows = offsets[h] + np.arange(q_h * K_h).reshape(q_h, K_h)
        link = products.pattern.oriented(leaf, h)
        values = link.values(products.coupling[min(leaf, h), max(leaf, h)])
        B[link.first[:, None, None], np.arange(K)[:, None], rows[link.second][:, None, :]] = values
        rest[rows[:, :, None], rows[:, None, :]] = products.diagonal[h]
        rest[rows, r:] = products.rhs[h][:, :, :p]
        rest[r:, rows] = products.rhs[h][:, :, :p].transpose(2, 0, 1)
        for i in others:
            if i > h:
                pair, values = products.pattern.pairs[h, i], products.coupling[h, i]
                columns = offsets[i] + np.arange(np.prod(plan.shapes[i])).reshape(plan.shapes[i])
                rest[rows[pair.first][:, :, None], columns[pair.second][:, None, :]] = values
                rest[columns[pair.second][:, :, None], rows[pair.first][:, None, :]] = values.transpose(0, 2, 1)
    B[:, :, r:] = products.rhs[leaf][:, :, :p]
    rest[r:, r:] = products.fixed[:p, :p]
    sizes = np.array([plan.shapes[h][1] for h in others], dtype=np.int32)
    counts = [plan.shapes[h][0] * plan.shapes[h][1] for h in others]
    factor = np.repeat(np.arange(len(others), dtype=np.int32), counts)
    return SmallDesign(leaf, others, np.ascontiguousarray(products.diagonal[leaf]), B, rest, factor, sizes)


def small_responses(design: SmallDesign, Zty: Sequence[Float], Xty: Float, yty: Float) -> SmallResponses:
    """Responses of a small design.

    Parameters
    ----------
    Zty : sequence of (q_g, K_g, responses) arrays
    Xty : (p, responses) array
    yty : (responses,) array
    """
    rest = [np.moveaxis(Zty[h], 2, 0).reshape(len(yty), -1) for h in design.others] + [Xty.T]
    return SmallResponses(
        leaf=np.ascontiguousarray(np.moveaxis(Zty[design.leaf], 2, 0)),
        rest=np.ascontiguousarray(np.concatenate(rest, axis=1)),
        square=np.ascontiguousarray(yty),
    )


def evaluate(
    design: SmallDesign,
    responses: SmallResponses,
    which: NDArray[np.intp],
    templates: Sequence[Float],
    entries: tuple[Index, Index, Index],
    degrees: float,
    reml: bool,
    smallest_share: float,
) -> SmallSolutions:
    """Evaluate several problems.

    Parameters
    ----------
    which : (problems,) array
        Response of each problem.
    templates : sequence of (problems, K_g, K_g) arrays
        λ of every factor.
    entries : tuple of three (n_theta,) arrays
        Factor, row and column of the entry of a covariance matrix that each parameter is.
    degrees, reml, smallest_share
        As in `lmmsparse.kernels.small.evaluate`.
    """
    m, (q, K), R, T = len(which), design.A.shape[:2], design.rest.shape[0], len(entries[0])
    width, factors = int(design.sizes.max(initial=1)), len(design.others)
    padded = np.zeros((m, factors, width, width))
    for position, h in enumerate(design.others):
        size = design.sizes[position]
        padded[:, position, :size, :size] = templates[h]
    places = np.full(len(templates), -1, dtype=np.int32)
    places[list(design.others)] = np.arange(factors)
    scalars, effects, fixed = np.zeros((m, 3)), np.zeros((m, q * K + R)), np.zeros((m, design.p, design.p))
    leaf_sums, rest_sums = np.zeros((m, K, K)), np.zeros((m, factors, width, width))
    information, failed = np.zeros((m, T, T)), np.zeros(m, dtype=np.int32)
    kernels.evaluate(
        design.A,
        design.B,
        design.rest,
        design.factor,
        design.sizes,
        responses.leaf,
        responses.rest,
        responses.square,
        np.asarray(which, dtype=np.int32),
        np.ascontiguousarray(templates[design.leaf]),
        padded,
        places[entries[0]],
        entries[1],
        entries[2],
        degrees,
        reml,
        smallest_share,
        SMALLEST_PIVOT,
        SMALLEST_REMAINDER,
        scalars,
        effects,
        fixed,
        leaf_sums,
        rest_sums,
        information,
        failed,
    )
    sums: list[Float] = [leaf_sums] * len(templates)
    u: list[Float] = [effects[:, : q * K].reshape(m, q, K)] * len(templates)
    start = q * K
    for position, h in enumerate(design.others):
        size = int(design.sizes[position])
        stop = start + int(np.count_nonzero(design.factor == position))
        sums[h] = rest_sums[:, position, :size, :size]
        u[h] = effects[:, start:stop].reshape(m, (stop - start) // size, size)
        start = stop
    return SmallSolutions(
        logdet=scalars[:, 0],
        logdet_fixed=scalars[:, 1],
        pwrss=scalars[:, 2],
        u=tuple(u),
        beta=effects[:, start:],
        fixed_factor=fixed,
        sums=tuple(sums),
        information=information,
        failed=failed,
    )
