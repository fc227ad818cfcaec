"""Which rows are left out together, and which random effects they touch: array-only functions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lmmsparse.design.coordinates import WorkingBlock
from lmmsparse.numerics.dense import ranges

Float = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Deletions:
    """A partition of the rows into sets, each of which is left out in turn.

    Attributes
    ----------
    codes : (n,) array
        The set of each row; every set has rows.
    count : int
    """

    codes: Index
    count: int

    @cached_property
    def sizes(self) -> Index:
        """Rows of every set, (count,)."""
        return np.bincount(self.codes, minlength=self.count)

    @cached_property
    def starts(self) -> Index:
        """First place of every set in ``order``, (count + 1,)."""
        return np.concatenate([[0], np.cumsum(self.sizes)])

    @cached_property
    def order(self) -> Index:
        """Rows, set after set."""
        return np.argsort(self.codes, kind="stable")

    def rows(self, which: Index) -> Index:
        """Rows of some sets, set after set."""
        return self.order[ranges(self.starts[which], self.sizes[which])]


@dataclass(frozen=True)
class Touched:
    """Pairs of a set of rows and a level that occurs in it, sorted by set, private levels before shared ones.

    A level is private to a set when it occurs nowhere else.

    Attributes
    ----------
    deletion, factor, level : (pairs,) arrays
    shared : (pairs,) array of bool
    place : (pairs,) array
        Position of the first effect of the level among the private, or the shared, effects of its set.
    starts : (count + 1,) array
        First pair of every set.
    private_size, shared_size : (count,) arrays
        Random effects of either kind.
    single : (count,) array of bool
        All rows of the set have the same level of every factor of which any has a shared level.
    by_row : tuple of (n,) arrays
        The pair of each row, for every factor.
    """

    deletion: Index
    factor: Index
    level: Index
    shared: NDArray[np.bool_]
    place: Index
    starts: Index
    private_size: Index
    shared_size: Index
    single: NDArray[np.bool_]
    by_row: tuple[Index, ...]

    def pairs(self, which: Index) -> Index:
        """Pairs of some sets, set after set."""
        return ranges(self.starts[which], self.starts[which + 1] - self.starts[which])


def touched_levels(blocks: tuple[WorkingBlock, ...], deletions: Deletions) -> Touched:
    """Levels that every set of rows touches."""
    deletion: list[Index] = []
    factor, level, shared, by_row = [], [], [], []
    counts = np.zeros((2, len(blocks), deletions.count), dtype=np.intp)  # of private and of shared levels
    for g, block in enumerate(blocks):
        keys = deletions.codes.astype(np.int64) * block.n_levels + block.codes
        found, where = np.unique(keys, return_inverse=True)
        of_set, of_level = np.divmod(found, block.n_levels)
        elsewhere = np.bincount(of_level, minlength=block.n_levels)[of_level] > 1
        for kind in range(2):
            counts[kind, g] = np.bincount(of_set[elsewhere == kind], minlength=deletions.count)
        by_row.append(where.ravel() + sum(len(part) for part in deletion))
        deletion.append(of_set)
        factor.append(np.full(len(found), g))
        level.append(of_level)
        shared.append(elsewhere)
    sizes = np.array([block.columns.shape[1] for block in blocks])
    sets, factors, kinds = np.concatenate(deletion), np.concatenate(factor), np.concatenate(shared)
    order = np.lexsort((factors, kinds, sets))
    new = np.empty_like(order)
    new[order] = np.arange(len(order))
    sets, factors, kinds = sets[order], factors[order], kinds[order]
    width = sizes[factors]
    first = np.cumsum(width) - width
    heads = np.concatenate([[True], (sets[1:] != sets[:-1]) | (kinds[1:] != kinds[:-1])])
    private, common = counts
    return Touched(
        deletion=sets,
        factor=factors,
        level=np.concatenate(level)[order],
        shared=kinds,
        place=first - np.maximum.accumulate(np.where(heads, first, 0)),
        starts=np.searchsorted(sets, np.arange(deletions.count + 1)),
        private_size=sizes @ private,
        shared_size=sizes @ common,
        single=((common == 0) | ((common == 1) & (private == 0))).all(axis=0),
        by_row=tuple(new[pairs] for pairs in by_row),
    )
