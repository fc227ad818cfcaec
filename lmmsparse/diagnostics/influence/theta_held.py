"""Estimates without each of several sets of rows, θ held at its estimate: exact, and without a new fit.

What all rows of a set contribute is taken out of the equations of β (`downdate`); where that costs more than forming
them anew from the rows that are left, or where it leaves only rounding errors, they are formed anew (`rebuild`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lmmsparse.diagnostics.influence.deletions import Deletions, Touched, touched_levels
from lmmsparse.diagnostics.influence.downdate import Equations, left_out, normal_equations
from lmmsparse.diagnostics.influence.estimates import RemainingEstimates, write_estimates, write_partial
from lmmsparse.diagnostics.influence.rebuild import lost_directions, remaining_equations
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.numerics.dense import ranges
from lmmsparse.objective.linear import Objective
from lmmsparse.pls.direct import SMALLEST_RESIDUAL
from lmmsparse.pls.effect_blocks import Blocks, Columns, EffectBlocks

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# So many numbers of rows and blocks are in hand at a time, and so many of the inverse of M.
CHUNK_NUMBERS = 4_000_000
INVERSE_NUMBERS = 50_000_000
# What a pass over the rows costs for each product, and what else forming equations anew costs, in flops of the plan.
PASS_FLOPS = 10.0
OVERHEAD_FLOPS = 5e6
# Equations that keep less than this share of a direction, or of r², are formed anew.
SMALL_SHARE = 1e-7


def held_estimates(
    objective: Objective, estimates: Estimates, deletions: Deletions, memory_limit: float
) -> RemainingEstimates:
    """Estimates without each set of rows, θ being that of all rows.

    Parameters
    ----------
    objective, estimates : Objective, Estimates
        The fit to all rows.
    deletions : Deletions
    memory_limit : float
        Bytes that a factorization may take.
    """
    out = RemainingEstimates.unfitted(deletions.count, len(estimates.beta), len(estimates.theta))
    out.table.theta[:], out.table.converged[:] = estimates.theta, True
    routes = _Routes(objective, estimates, deletions, memory_limit)
    for which, blocks in routes.groups():
        for part in routes.chunks(which):
            T = left_out(routes.known, deletions, routes.touched, part, blocks)
            _write(out, routes, part, routes.known.B - T, memory_limit)
    for one in routes.rebuilt:
        unknown = np.full((1, *routes.known.B.shape), np.nan)
        _write(out, routes, np.array([one]), unknown, memory_limit)
    return out


def _write(out: RemainingEstimates, routes: _Routes, which: Index, B: Float, memory_limit: float) -> None:
    """Solve equations (m, p + 1, p + 1) without each set of rows, forming again those that are mostly rounding."""
    deletions, objective, known = routes.deletions, routes.objective, routes.known
    p, n, reml = B.shape[1] - 1, len(known.residual), objective.reml
    floor = SMALLEST_RESIDUAL * routes.square
    usable = np.ones(len(which), dtype=bool)
    for i in np.flatnonzero(_doubtful(B, known.B, n - deletions.sizes[which])):
        rows = np.flatnonzero(deletions.codes != which[i])
        B[i] = remaining_equations(known, rows, memory_limit)
        kept, lost = lost_directions(known.design, known.weights, rows)
        if lost.shape[1]:
            usable[i] = False
            shift, inverse, r2 = _restricted(B[i], kept)
            degrees = len(rows) - reml * kept.shape[1]
            sigma2 = r2 / degrees if degrees > 0 and r2 > floor else np.nan
            write_partial(out, which[i], objective, routes.estimates, shift, inverse, lost, sigma2)
    which, B = which[usable], B[usable]
    solved = np.linalg.solve(B[:, :p, :p], B[:, :p, p:])[:, :, 0] if p else np.zeros((len(which), 0))
    r2 = B[:, p, p] - (B[:, :p, p] * solved).sum(axis=1)
    degrees = n - deletions.sizes[which] - reml * p
    sigma2 = np.where((degrees > 0) & (r2 > floor), r2 / np.maximum(degrees, 1), np.nan)
    write_estimates(out, which, objective, routes.estimates, np.asarray(solved), B[:, :p, :p], sigma2)


def _restricted(B: Float, kept: Float) -> tuple[Float, Float, float]:
    """Solution, inverse and r² of equations (p + 1, p + 1) for β along some directions, (p, rank)."""
    p = len(kept)
    inverse = kept @ np.linalg.inv(kept.T @ B[:p, :p] @ kept) @ kept.T
    shift = inverse @ B[:p, p]
    return shift, inverse, float(B[p, p] - B[:p, p] @ shift)


def _doubtful(B: Float, whole: Float, rows: Index) -> NDArray[np.bool_]:
    """Equations (m, p + 1, p + 1) which are not known, or have lost almost all of a direction or of r²."""
    p = B.shape[1] - 1
    doubtful = ~np.isfinite(B).all(axis=(1, 2)) | (rows <= p)
    safe = np.where(doubtful[:, None, None], whole, B)
    if p:
        half = np.linalg.solve(np.linalg.cholesky(whole[:p, :p]), safe[:, :p])
        share = np.linalg.solve(np.linalg.cholesky(whole[:p, :p]), half[:, :, :p].transpose(0, 2, 1))
        smallest, vectors = np.linalg.eigh((share + share.transpose(0, 2, 1)) / 2)
        doubtful |= smallest[:, 0] < SMALL_SHARE
        along = np.einsum("mab,ma->mb", vectors, half[:, :, p]) ** 2 / np.maximum(smallest, SMALL_SHARE)
        remaining = safe[:, p, p] - along.sum(axis=1)
    else:
        remaining = safe[:, p, p]
    return np.asarray(doubtful | (remaining < SMALL_SHARE * whole[p, p]))


class _Routes:
    """Which sets of rows are taken out in which way, and what each way needs of the fit."""

    def __init__(self, objective: Objective, estimates: Estimates, deletions: Deletions, memory_limit: float) -> None:
        self.objective, self.estimates, self.deletions = objective, estimates, deletions
        self.inverse_numbers = min(INVERSE_NUMBERS, memory_limit / 16.0)
        self.known: Equations = normal_equations(objective.design, objective.y, objective.weights, estimates.point)
        self.touched: Touched = touched_levels(objective.design.blocks, deletions)
        self.rebuilt: list[int] = []
        w, r = objective.weights, self.known.residual
        self.square = float(r @ (r if w is None else w * r))

    @cached_property
    def blocks(self) -> EffectBlocks:
        """Blocks of M⁻¹ that are at hand."""
        return EffectBlocks(self.estimates.point.solution)

    @cached_property
    def columns(self) -> Columns:
        """Columns of M⁻¹."""
        return Columns(self.objective.plan)

    def groups(self) -> Iterator[tuple[Index, Blocks | None]]:
        """Sets of rows that are taken out in the same way; what is left over goes to ``rebuilt``."""
        touched = self.touched
        shared = touched.shared_size > 0
        yield np.flatnonzero(~shared), None
        which = np.flatnonzero(shared & touched.single)
        if which.size:
            yield which, self.blocks.between_met
        many = shared & ~touched.single
        effects = touched.shared_size + touched.private_size.astype(float)
        anew = many & (3.0 * effects**3 > self._anew_flops())
        self.rebuilt += np.flatnonzero(anew).tolist()
        many &= ~anew
        if self.objective.plan.core.kind == "dense":
            outside = touched.shared & ~np.isin(touched.factor, self.objective.plan.core.blocks)
            inside = many & (np.bincount(touched.deletion, outside, minlength=len(many)) == 0)
            if inside.any():
                yield np.flatnonzero(inside), self.blocks.within_core
            many &= ~inside
        for which in self._parts(np.flatnonzero(many)):
            wanted = self._effects(which)
            columns = self.columns.numbers(wanted)[1]
            if columns * self.objective.plan.solve_flops > len(which) * self._anew_flops():
                self.rebuilt += which.tolist()
            else:
                yield which, self.columns.blocks(self.estimates.point.solution, wanted)

    def chunks(self, which: Index) -> Iterator[Index]:
        """Cut sets into parts of bounded memory, each with one set at least."""
        touched, c = self.touched, len(self.known.B)
        wide = c + sum(block.columns.shape[1] for block in self.objective.design.blocks)
        size = np.where(touched.shared_size > 0, touched.shared_size + touched.private_size, 0)[which]
        numbers = self.deletions.sizes[which] * (wide + 4) + 4.0 * c * c + 5.0 * size.astype(float) ** 2
        part = np.floor(np.cumsum(numbers) / CHUNK_NUMBERS)
        yield from (part for part in np.split(which, np.flatnonzero(np.diff(part)) + 1) if part.size)

    def _effects(self, which: Index) -> Index:
        """Effects that some of the sets share with others, increasing."""
        touched = self.touched
        pairs = touched.pairs(which)
        pairs = pairs[touched.shared[pairs]]
        firsts, sizes = self.known.effects(touched.factor[pairs], touched.level[pairs])
        firsts, where = np.unique(firsts, return_index=True)
        return ranges(firsts, sizes[where])

    def _parts(self, which: Index) -> Iterator[Index]:
        """Cut sets into parts that need a bounded number of columns of M⁻¹; connected ones stay together."""
        if not which.size:
            return
        pairs = self.touched.starts[which]  # the first of each set says where it belongs
        effect = self.known.effects(self.touched.factor[pairs], self.touched.level[pairs])[0]
        order = np.argsort(self.columns.component[effect], kind="stable")
        waiting = [which[order]]
        while waiting:
            part = waiting.pop()
            rows, columns = self.columns.numbers(self._effects(part))
            if rows * columns <= self.inverse_numbers:
                yield np.sort(part)
            elif len(part) == 1:
                self.rebuilt += part.tolist()
            else:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]

    def _anew_flops(self) -> float:
        """Of forming the equations of the remaining rows."""
        c = len(self.known.B)
        wide = c + sum(len(lam) for lam in self.known.templates)
        return self.objective.plan.flops + PASS_FLOPS * len(self.known.residual) * wide**2 + OVERHEAD_FLOPS
