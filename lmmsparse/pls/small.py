"""The engine for small models, whose whole evaluation is one call: Python's overhead would be most of their time.

The equations are stored densely beside the leaves of one factor; many (θ, y) of one design are evaluated together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.blocks import CrossProducts
from lmmsparse.errors import FactorizationError
from lmmsparse.kernels import small as kernels
from lmmsparse.pls.direct import NOT_IDENTIFIED, SMALLEST_RESIDUAL, Direct, LoadedDirect, floored, losses_of
from lmmsparse.pls.factor import SMALLEST_PIVOT, SMALLEST_REMAINDER, TOO_LARGE
from lmmsparse.pls.plan import Plan
from lmmsparse.pls.releasable import ReleasableFactor
from lmmsparse.pls.solution import Request, Solution

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
    lost : (problems, 2) array
        `Losses.pivots` and `Losses.pivot`.
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
    lost: Float
    u: tuple[Float, ...]
    beta: Float
    fixed_factor: Float
    sums: tuple[Float, ...]
    information: Float
    failed: Index


def is_small(plan: Plan, p: int) -> bool:
    """Whether one call costs less than the plan's bookkeeping."""
    leaf = plan.peeled[0].block
    q, K = plan.shapes[leaf]
    R = plan.q - q * K + p
    return q * K * (R + 1.0) ** 2 + float(R) ** 3 <= SMALL_FLOPS


def small_design(products: CrossProducts, plan: Plan) -> SmallDesign:
    """The equations of a model without its response."""
    leaf = plan.peeled[0].block
    others = tuple(g for g in range(len(plan.shapes)) if g != leaf)
    q, K = plan.shapes[leaf]
    r, p = plan.q - q * K, products.p
    R = r + p
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


class Small:
    """Whole evaluations in one call of a kernel."""

    squares = True

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def load(self, products: CrossProducts, request: Request) -> LoadedSmall:
        """Write cross-products down for the kernel."""
        return LoadedSmall(self, Direct(self.plan).load(products, request), small_design(products, self.plan))


@dataclass(frozen=True)
class SmallSolution(Solution):
    """A solution whose derivatives came with it."""

    of_kernel: SmallSolutions

    def sums(self) -> list[Float]:
        """As `Solution.sums`."""
        return [total[0] for total in self.of_kernel.sums]

    def information(self) -> Float:
        """As `Solution.information`."""
        return self.of_kernel.information[0]


class LoadedSmall:
    """The equations of a small model, with a response and a request.

    Parameters
    ----------
    engine : Small
    direct : LoadedDirect
        The same for what a fit asks of its factor afterwards.
    design : SmallDesign
    """

    def __init__(self, engine: Small, direct: LoadedDirect, design: SmallDesign) -> None:
        self.engine, self.direct, self.design = engine, direct, design
        self.products, self.request = direct.products, direct.request
        p, fixed = self.products.p, self.products.fixed
        self.responses = small_responses(design, [b[:, :, p:] for b in self.products.rhs], fixed[:p, p:], fixed[p:, p])

    def with_right(self, products: CrossProducts, request: Request) -> LoadedSmall:
        """The same ZᵀW[Z X] with another response or request."""
        return LoadedSmall(self.engine, self.direct.with_right(products, request), self.design)

    def batch(
        self, rhs: Sequence[Float], fixed: Float, squares: Float
    ) -> Callable[[NDArray[np.intp], Sequence[Float]], SmallSolutions]:
        """The same design with many responses."""
        return partial(self.solve_many, small_responses(self.design, rhs, fixed, squares))

    def factor_for(self, templates: Sequence[Float]) -> ReleasableFactor:
        """As `LoadedDirect.factor_for`."""
        return self.direct.factor_for(templates)

    def many(self) -> Callable[[NDArray[np.intp], Sequence[Float]], SmallSolutions]:
        """The problem itself for many λ at once."""
        return partial(self.solve_many, self.responses)

    def solve(self, templates: Sequence[Float]) -> Solution:
        """Solve for λ of every grouping factor.

        Raises
        ------
        FactorizationError
            λ is out of range, or the fixed effects are not identified.
        """
        found = self.solve_many(self.responses, np.zeros(1, dtype=np.intp), [lam[None] for lam in templates])
        if found.failed[0]:
            raise FactorizationError(TOO_LARGE if found.failed[0] == 1 else NOT_IDENTIFIED)
        pwrss, degenerate = floored(float(found.pwrss[0]), float(self.products.fixed[-1, -1]))
        return SmallSolution(
            products=self.products,
            request=self.request,
            templates=tuple(templates),
            releasable=self.direct.factor_for(templates),
            logdet=float(found.logdet[0]),
            pwrss=pwrss,
            sigma2=pwrss / self.request.degrees(self.products),
            beta=found.beta[0],
            u=tuple(u[0] for u in found.u),
            fixed_factor=found.fixed_factor[0],
            degenerate=degenerate,
            losses=losses_of(self.products, found.fixed_factor[0], pwrss, *found.lost[0].tolist()),
            of_kernel=found,
        )

    def solve_many(
        self, responses: SmallResponses, which: NDArray[np.intp], templates: Sequence[Float]
    ) -> SmallSolutions:
        """Solve several problems of this design.

        Parameters
        ----------
        responses : SmallResponses
        which : (problems,) array
            Response of each problem.
        templates : sequence of (problems, K_g, K_g) arrays
            λ of every factor.
        """
        degrees = float(self.request.degrees(self.products))
        return evaluate(self.design, responses, which, templates, self.request, degrees)


def evaluate(
    design: SmallDesign,
    responses: SmallResponses,
    which: NDArray[np.intp],
    templates: Sequence[Float],
    request: Request,
    degrees: float,
) -> SmallSolutions:
    """Call the kernel, `lmmsparse.kernels.small.evaluate`, with room for what it writes."""
    entries = request.entries
    m, (q, K), R, T = len(which), design.A.shape[:2], design.rest.shape[0], len(entries[0])
    width, factors = int(design.sizes.max(initial=1)), len(design.others)
    padded = np.zeros((m, factors, width, width))
    for position, h in enumerate(design.others):
        size = design.sizes[position]
        padded[:, position, :size, :size] = templates[h]
    places = np.full(len(templates), -1, dtype=np.int32)
    places[list(design.others)] = np.arange(factors)
    scalars, effects, fixed = np.zeros((m, 5)), np.zeros((m, q * K + R)), np.zeros((m, design.p, design.p))
    leaf_sums, rest_sums = np.zeros((m, K, K)), np.zeros((m, factors, width, width))
    information, failed = np.zeros((m, T, T)), np.zeros(m, dtype=np.int32)
    kernels.evaluate(
        A=design.A,
        B=design.B,
        rest=design.rest,
        factor=design.factor,
        sizes=design.sizes,
        b_leaf=responses.leaf,
        b_rest=responses.rest,
        yy=responses.square,
        response=np.asarray(which, dtype=np.int32),
        lam=np.ascontiguousarray(templates[design.leaf]),
        templates=padded,
        owner=places[entries[0]],
        row=entries[1],
        column=entries[2],
        degrees=degrees,
        reml=request.reml,
        smallest_share=SMALLEST_RESIDUAL,
        smallest_pivot=SMALLEST_PIVOT,
        smallest_remainder=SMALLEST_REMAINDER,
        scalars=scalars,
        effects=effects,
        fixed=fixed,
        leaf_sums=leaf_sums,
        rest_sums=rest_sums,
        information=information,
        failed=failed,
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
        lost=scalars[:, 3:],
        u=tuple(u),
        beta=effects[:, start:],
        fixed_factor=fixed,
        sums=tuple(sums),
        information=information,
        failed=failed,
    )
