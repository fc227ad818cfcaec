"""Grouping factors: integer codes and level labels, for the data at hand and for new data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.errors import GroupingError
from lmmsparse.frame.columns import Column
from lmmsparse.numerics.dense import row_chunks

Codes = NDArray[np.signedinteger[Any]]
Keys = NDArray[np.int64]
# A table of flags is faster than a hash table while it stays in the cache's neighbourhood.
DENSE_FACTOR = 4
DENSE_MINIMUM = 1 << 16


@dataclass(frozen=True, eq=False)
class Levels:
    """The levels of a factor in order; their labels are written when they are asked for.

    Attributes
    ----------
    values : array-like
        One value a level.
    """

    values: Any

    def __len__(self) -> int:
        return len(self.values)

    def __getstate__(self) -> dict[str, Any]:
        return {"values": self.values}  # labels can be written again

    @cached_property
    def index(self) -> pd.Index:
        """The labels."""
        return pd.Index(labels_of(self.values))


@dataclass(frozen=True, eq=False)
class JointLevels:
    """The levels of an interaction, labelled ``"a:A"``; as `Levels` otherwise.

    Attributes
    ----------
    left, right : Levels or JointLevels
        Of the two factors.
    keys : (n_levels,) array of int64
        Place on the left times the number of levels on the right, plus place on the right; increasing.
    """

    left: Levels | JointLevels
    right: Levels | JointLevels
    keys: Keys

    def __len__(self) -> int:
        return len(self.keys)

    def __getstate__(self) -> dict[str, Any]:
        return {"left": self.left, "right": self.right, "keys": self.keys}

    @cached_property
    def index(self) -> pd.Index:
        """The labels."""
        left, right = np.divmod(self.keys, len(self.right))
        first = self.left.index.to_numpy(dtype=object)[left]
        second = self.right.index.to_numpy(dtype=object)[right]
        labels = pd.Index([f"{a}:{b}" for a, b in zip(first, second, strict=True)])
        if labels.is_unique:
            return labels
        # "p:q" with "r" reads as "p" with "q:r" does: quotes tell them apart
        twice = labels.duplicated(keep=False)
        pairs = zip(labels, twice, first, second, strict=True)
        return pd.Index([f"{a!r}:{b!r}" if same else label for label, same, a, b in pairs])


@dataclass(frozen=True)
class Grouping:
    """A grouping factor.

    Attributes
    ----------
    name : str
        ``"Subject"``, or ``"cask:batch"`` for an interaction.
    codes : (n,) array of int8, int16 or int32
        Position of each row's level in ``levels``.
    labels : Levels or JointLevels
        Observed levels in order; those of an interaction are ``"a:A"``, the first factor varying slowest.
    """

    name: str
    codes: Codes
    labels: Levels | JointLevels

    @property
    def levels(self) -> pd.Index:
        """Labels of the levels."""
        return self.labels.index

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return len(self.labels)


@dataclass(frozen=True)
class LevelMap:
    """The levels of a grouping factor, as far as new data need them.

    Attributes
    ----------
    factors : tuple of str
        The variables or expressions that interact.
    levels : tuple of Levels
        Those of each of them.
    keys : tuple of arrays of int64
        Combinations seen when the second, third, ... factor joins, increasing; a combination is numbered by
        its place here.
    """

    factors: tuple[str, ...]
    levels: tuple[Levels, ...]
    keys: tuple[Keys, ...]


def code_type(n_levels: int) -> Any:
    """The narrowest integer type that holds the codes of so many levels."""
    return np.int8 if n_levels <= 1 << 7 else np.int16 if n_levels <= 1 << 15 else np.int32


def encode(name: str, column: Column) -> tuple[Codes, Levels]:
    """Codes and levels of one complete column, in their natural order.

    Numbers are ordered by size, text by code point, logical values False before True, times by time; a
    categorical keeps its order and loses its unused levels.

    Raises
    ------
    GroupingError
        Two different levels read the same as text.
    """
    codes, values = _observed(column)
    levels = Levels(values)
    if column.kind == "factor" and values.dtype.kind == "O" and not levels.index.is_unique:
        label = levels.index[levels.index.duplicated()][0]
        raise GroupingError(f"Grouping factor {name!r} has two different levels that both read {label!r}.")
    return codes, levels


def _observed(column: Column) -> tuple[Codes, Any]:
    values = column.values
    n = len(values)
    if isinstance(values, pd.Categorical):
        numbers = values.codes
        codes, present = _renumbered(lambda rows: numbers[rows], n, len(values.categories))
        return codes, values.categories[present]
    if column.kind == "logical":
        flags = np.ascontiguousarray(values).view(np.int8)
        codes, present = _renumbered(lambda rows: flags[rows], n, 2)
        return codes, present.astype(bool)
    if values.dtype.kind in "iu":
        smallest, largest = int(values.min()), int(values.max())
        wide = np.uint64 if values.dtype.kind == "u" else np.int64
        if largest - smallest < max(DENSE_FACTOR * n, DENSE_MINIMUM):
            origin = wide(smallest)
            codes, present = _renumbered(
                lambda rows: (values[rows].astype(wide, copy=False) - origin).astype(np.int64, copy=False),
                n,
                largest - smallest + 1,
            )
            return codes, present.astype(wide) + origin
    if isinstance(values, pd.arrays.NumpyExtensionArray):
        values = values.to_numpy()  # which pandas 2 does not take for an array
    places, uniques = pd.factorize(values, sort=True)
    return places.astype(code_type(len(uniques))), uniques


def _renumbered(keys: Callable[[slice], NDArray[Any]], n: int, size: int) -> tuple[Codes, NDArray[np.intp]]:
    """Number those of the keys 0 … size−1 that occur in n rows; keys are read in blocks of rows."""
    seen = np.zeros(size, dtype=bool)
    for rows in row_chunks(n, 1):
        seen[keys(rows)] = True
    present = np.flatnonzero(seen)
    codes = np.empty(n, dtype=code_type(len(present)))
    number = None if len(present) == size else (np.cumsum(seen, dtype=np.int32) - 1).astype(codes.dtype)
    for rows in row_chunks(n, 1):
        codes[rows] = keys(rows) if number is None else number[keys(rows)]
    return codes, present


def labels_of(values: Any) -> list[str]:
    """Level values as text: 1.0 reads ``"1"``, a day without time reads ``"2020-01-31"``."""
    index = pd.Index(values)
    if isinstance(index, pd.DatetimeIndex):
        whole_days = bool((index == index.normalize()).all())
        return [stamp.strftime("%Y-%m-%d") if whole_days else str(stamp) for stamp in index]
    return [_label(value) for value in index.tolist()]


def _label(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return str(int(value))
    return str(value)


def group(factors: Sequence[str], encoded: Mapping[str, tuple[Codes, Levels]], name: str) -> tuple[Grouping, LevelMap]:
    """Grouping factor of one variable, or of the interaction of several.

    Parameters
    ----------
    factors : sequence of str
    encoded : mapping of str to (codes, levels)
        From `encode`, for each of them.
    name : str
    """
    codes: Codes
    labels: Levels | JointLevels
    codes, labels = encoded[factors[0]]
    keys: list[Keys] = []
    for factor in factors[1:]:
        right, levels = encoded[factor]
        codes, present = _joined(codes, right, len(labels), len(levels))
        labels = JointLevels(labels, levels, present)
        keys.append(present)
    level_map = LevelMap(tuple(factors), tuple(encoded[factor][1] for factor in factors), tuple(keys))
    return Grouping(name, codes, labels), level_map


def _joined(left: Codes, right: Codes, height: int, width: int) -> tuple[Codes, Keys]:
    """Number the pairs of levels that occur, by left times width plus right."""

    def keys(rows: slice) -> Keys:
        return left[rows].astype(np.int64) * width + right[rows]

    if height * width < max(DENSE_FACTOR * len(left), DENSE_MINIMUM):
        codes, present = _renumbered(keys, len(left), height * width)
        return codes, present.astype(np.int64)
    places, uniques = pd.factorize(keys(slice(None)), sort=True)
    return places.astype(code_type(len(uniques))), cast(Keys, np.asarray(uniques))


def match(level_map: LevelMap, columns: Mapping[str, Column], n: int) -> NDArray[np.int32]:
    """Codes of new rows in the levels of a fit; -1 for a level or combination that the fit has not seen.

    Parameters
    ----------
    level_map : LevelMap
    columns : mapping of str to Column
        The variable or expression of each factor, on the new rows; missing values get -1.
    n : int
        Number of new rows.
    """
    codes = _matched(level_map.factors[0], level_map.levels[0].index, columns, n)
    for factor, levels, keys in zip(level_map.factors[1:], level_map.levels[1:], level_map.keys, strict=True):
        right = _matched(factor, levels.index, columns, n)
        wanted = codes * len(levels) + right
        place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
        codes = np.where((codes >= 0) & (right >= 0) & (keys[place] == wanted), place, -1)
    return codes.astype(np.int32)


def match_new(level_map: LevelMap, columns: Mapping[str, Column], codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Codes of `match` in which each distinct new level has a number of its own, from the number of levels on.

    Parameters
    ----------
    level_map : LevelMap
    columns : mapping of str to Column
    codes : (m,) array
        Those of `match`; rows whose level is missing keep -1.
    """
    complete = codes < 0
    for factor in level_map.factors:
        missing = columns[factor].missing
        if missing is not None:
            complete = complete & ~missing
    rows = np.flatnonzero(complete)
    if rows.size == 0:
        return codes
    number = np.zeros(rows.size, dtype=np.int64)
    for factor in level_map.factors:
        right, values = _observed(columns[factor].take(rows))
        number = np.unique(number * len(values) + right, return_inverse=True)[1]
    known = len(level_map.keys[-1]) if level_map.keys else len(level_map.levels[0])
    out = codes.copy()
    out[rows] = known + number
    return out


def _matched(factor: str, levels: pd.Index, columns: Mapping[str, Column], n: int) -> NDArray[np.int64]:
    column = columns[factor]
    complete = None if column.missing is None else np.flatnonzero(~column.missing)
    matched = np.full(n, -1, dtype=np.int64)
    if n == 0 or (complete is not None and complete.size == 0):
        return matched
    codes, values = _observed(column.take(complete))
    found = levels.get_indexer(pd.Index(labels_of(values)))
    matched[slice(None) if complete is None else complete] = found[codes]
    return matched
