"""The blocks of A = [Z X y]ᵀ W [Z X y] on the pairs of levels that meet: every evaluation works on them alone.

Cross-products may be added and multiplied: those of parts of the data make those of the whole, ``a + b``, and a sum of
stored ones Σ c_b B_b is that of rows whose precision is Σ c_b E_b.  What depends on codes alone is the `Pattern`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Index = NDArray[np.int32]
Factors = tuple[int, int]


@dataclass(frozen=True)
class Pairs:
    """Pairs of levels of two grouping factors that meet: ``first`` and ``second`` (m,), sorted by (first, second)."""

    first: Index
    second: Index

    def __len__(self) -> int:
        return len(self.first)

    def keys(self, width: int) -> NDArray[np.int64]:
        """One increasing number a pair, ``width`` being the number of levels of the second factor."""
        return self.first.astype(np.int64) * width + self.second

    def same(self, other: Pairs) -> bool:
        """Whether they are the same pairs."""
        if self is other:
            return True
        return np.array_equal(self.first, other.first) and np.array_equal(self.second, other.second)


@dataclass(frozen=True)
class Oriented:
    """Pairs of factors g and h with g first, whichever way they are stored.

    Attributes
    ----------
    first, second : (m,) arrays
    order : (m,) array or None
        Place of each pair among the stored ones where they are stored with h first; None where g is first.
    """

    first: Index
    second: Index
    order: NDArray[np.intp] | None

    def values(self, stored: Float) -> Float:
        """Blocks Z_gᵀWZ_h, (m, K_g, K_h), from the stored ones."""
        if self.order is None:
            return stored
        return np.ascontiguousarray(stored[self.order].transpose(0, 2, 1))


@dataclass(frozen=True)
class Pattern:
    """Levels of the grouping factors g = 0, 1, … and which of them meet.

    Attributes
    ----------
    shapes : tuple of (int, int)
        Levels q_g and columns K_g of every factor.
    pairs : dict (g, h) → Pairs, g < h
    """

    shapes: tuple[tuple[int, int], ...]
    pairs: dict[Factors, Pairs]

    def oriented(self, g: int, h: int) -> Oriented:
        """Pairs of levels of g and h, sorted with g first."""
        if g < h:
            link = self.pairs[g, h]
            return Oriented(link.first, link.second, None)
        stored = self.pairs[h, g]
        order = np.lexsort((stored.first, stored.second))
        return Oriented(stored.second[order], stored.first[order], order)

    def same(self, other: Pattern) -> bool:
        """Whether numbers on the one can be added to numbers on the other as they are."""
        if self is other:
            return True
        alike = self.shapes == other.shapes and self.pairs.keys() == other.pairs.keys()
        return alike and all(link.same(other.pairs[key]) for key, link in self.pairs.items())

    def union(self, other: Pattern) -> Pattern:
        """The pairs of both; itself when it has those of the other already."""
        if self.same(other):
            return self
        if self.shapes != other.shapes:
            raise ValueError(f"patterns of different factors: {self.shapes} and {other.shapes}")
        pairs = {}
        for key, link in self.pairs.items():
            width = self.shapes[key[1]][0]
            keys = np.union1d(link.keys(width), other.pairs[key].keys(width))
            pairs[key] = Pairs((keys // width).astype(np.int32), (keys % width).astype(np.int32))
        return Pattern(self.shapes, pairs)


@dataclass(frozen=True)
class CrossProducts:
    """Numbers on a pattern, and those of the columns of [X y].

    Attributes
    ----------
    pattern : Pattern
    n : int
        Rows.
    log_det : float
        log|W| of the precision W of the rows over σ⁻²: Σ log w for prior weights w.
    diagonal : tuple of (q_g, K_g, K_g) arrays
        Z_gᵀWZ_g, one block a level.
    coupling : dict (g, h) → (m, K_g, K_h) array
        Z_gᵀWZ_h on the pairs of the pattern.
    rhs : tuple of (q_g, K_g, p + 1) arrays
        Z_gᵀW[X y].
    fixed : (p + 1, p + 1) array
        [X y]ᵀW[X y].
    """

    pattern: Pattern
    n: int
    log_det: float
    diagonal: tuple[Float, ...]
    coupling: dict[Factors, Float]
    rhs: tuple[Float, ...]
    fixed: Float

    @property
    def p(self) -> int:
        """Number of fixed-effect columns."""
        return self.fixed.shape[0] - 1

    def on(self, pattern: Pattern) -> CrossProducts:
        """The same numbers on a pattern that has these pairs and others, which are zero."""
        if self.pattern.same(pattern):
            return replace(self, pattern=pattern)
        coupling = {}
        for key, link in pattern.pairs.items():
            width, stored = pattern.shapes[key[1]][0], self.coupling[key]
            coupling[key] = np.zeros((len(link), *stored.shape[1:]))
            coupling[key][np.searchsorted(link.keys(width), self.pattern.pairs[key].keys(width))] = stored
        return replace(self, pattern=pattern, coupling=coupling)

    def __add__(self, other: CrossProducts) -> CrossProducts:
        return combination((1.0, 1.0), (self, other), n=self.n + other.n, log_det=self.log_det + other.log_det)


def combination(
    coefficients: Sequence[float], parts: Sequence[CrossProducts], *, n: int, log_det: float
) -> CrossProducts:
    """Σ c_b B_b on the union of the patterns; nothing is searched for when they are one already.

    Parameters
    ----------
    coefficients : sequence of float
        c_b, also negative.
    parts : sequence of CrossProducts
    n : int
        Rows that the sum stands for.
    log_det : float
        log|W| of their precision.
    """
    pattern = reduce(Pattern.union, (part.pattern for part in parts))
    placed = [part.on(pattern) for part in parts]

    def total(blocks: Sequence[Float]) -> Float:
        out = coefficients[0] * blocks[0]
        for c, block in zip(coefficients[1:], blocks[1:], strict=True):
            out += c * block
        return out

    return CrossProducts(
        pattern=pattern,
        n=n,
        log_det=log_det,
        diagonal=tuple(map(total, zip(*(part.diagonal for part in placed), strict=True))),
        coupling={key: total([part.coupling[key] for part in placed]) for key in pattern.pairs},
        rhs=tuple(map(total, zip(*(part.rhs for part in placed), strict=True))),
        fixed=total([part.fixed for part in placed]),
    )
