"""Blocks of C = M⁻¹ between any random effects, numbered factor after factor: those that some rows share, for one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lmmsparse.pls.components import level_components, places_in_components
from lmmsparse.pls.factor import SelectedInverse
from lmmsparse.pls.plan import Plan
from lmmsparse.pls.row_variances import inverse_pairs
from lmmsparse.pls.solution import Solution

Float = NDArray[np.float64]
Index = NDArray[np.intp]
# From random effects (m, s), numbered factor after factor, to the blocks C (m, s, s) between them.
Blocks = Callable[[Index], Float]

# So many numbers of C are solved for at a time.
CHUNK_NUMBERS = 4_000_000


def first_effects(plan: Plan) -> Index:
    """Number of the first random effect of every factor, and their total."""
    return np.concatenate([[0], np.cumsum([q * K for q, K in plan.shapes])]).astype(np.intp)


class EffectBlocks:
    """Blocks of C that need no further solves: they are parts of the selected inverse.

    Parameters
    ----------
    solution : Solution
    """

    def __init__(self, solution: Solution) -> None:
        self._solution, self._plan = solution, solution.releasable.plan

    @cached_property
    def _inverse(self) -> SelectedInverse:
        return self._solution.inverse(couplings=True)

    def between_met(self, effects: Index) -> Float:
        """Blocks between levels that occur together, at most one of each factor; each row has the same factors."""
        starts, shapes = first_effects(self._plan), self._plan.shapes
        m, s = effects.shape
        out = np.empty((m, s, s))
        present = []
        for g, (_, K) in enumerate(shapes):
            where = np.flatnonzero((effects[0] >= starts[g]) & (effects[0] < starts[g + 1]))
            if where.size:
                present.append((g, slice(where[0], where[0] + K), (effects[:, where[0]] - starts[g]) // K))
        for i, (g, own, level) in enumerate(present):
            out[:, own, own] = self._inverse.diagonal[g][level]
            for h, other, partner in present[i + 1 :]:
                cross = inverse_pairs(self._plan, self._inverse, (g, h), (level, partner))
                out[:, own, other], out[:, other, own] = cross, cross.transpose(0, 2, 1)
        return out

    @cached_property
    def _core_row(self) -> Index:
        """Row of every effect in the core; -1 of those outside."""
        starts, core = first_effects(self._plan), self._plan.core
        row = np.full(starts[-1], -1, dtype=np.intp)
        for h in core.blocks:
            row[starts[h] : starts[h + 1]] = core.rows(h, self._plan.shapes[h][1])
        return row

    def within_core(self, effects: Index) -> Float:
        """Blocks between any effects of a dense core."""
        rows, core = self._core_row[effects], self._inverse.core
        assert core is not None
        first, second = np.broadcast_arrays(rows[:, :, None], rows[:, None, :])
        return core.at(first.ravel(), second.ravel()).reshape(first.shape)


class Columns:
    """Where the columns of C for some effects would go: effects that no chain of rows connects share a column.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        sizes = [K for q, K in self.plan.shapes for _ in range(q)]
        self.component = np.repeat(level_components(plan.pattern), sizes)

    def numbers(self, effects: Index) -> tuple[int, int]:
        """Rows and columns that `blocks` would hold."""
        most = np.bincount(self.component[effects]).max(initial=0)
        return len(effects), int(most)

    def blocks(self, solution: Solution, effects: Index) -> Blocks:
        """Blocks between any of the given effects, (k,) without repetition."""
        starts = first_effects(self.plan)
        component = self.component[effects]
        place = places_in_components(component)
        count = int(place.max(initial=-1)) + 1
        C = np.empty((len(effects), count))
        width = max(1, CHUNK_NUMBERS // int(starts[-1]))
        for first in range(0, count, width):
            last = min(first + width, count)
            chosen = np.flatnonzero((place >= first) & (place < last))
            unit = np.zeros((int(starts[-1]), last - first))
            unit[effects[chosen], place[chosen] - first] = 1.0
            parts = [unit[starts[g] : starts[g + 1]].reshape(*shape, -1) for g, shape in enumerate(self.plan.shapes)]
            solved = solution.apply_inverse(parts)
            C[:, first:last] = np.concatenate([part.reshape(-1, last - first) for part in solved])[effects]
        position = np.full(int(starts[-1]), -1, dtype=np.intp)
        position[effects] = np.arange(len(effects))

        def blocks(wanted: Index) -> Float:
            rows = position[wanted]
            found = C[rows[:, :, None], place[rows][:, None, :]]
            owner = component[rows]
            return np.where(owner[:, :, None] == owner[:, None, :], found, 0.0)

        return blocks
