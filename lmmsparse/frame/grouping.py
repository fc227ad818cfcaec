"""Grouping factors: integer codes and level labels, for the data at hand and for new data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.errors import GroupingError
from lmmsparse.frame.columns import Column

Codes = NDArray[np.int32]
Keys = NDArray[np.int64]
# A table of flags is faster than a hash table while it stays in the cache's neighbourhood.
DENSE_FACTOR = 4
DENSE_MINIMUM = 1 << 16


@dataclass(frozen=True)
class Grouping:
    """A grouping factor.

    Attributes
    ----------
    name : str
        ``"Subject"``, or ``"cask:batch"`` for an interaction.
    codes : (n,) array of int32
        Position of each row's level in ``levels``.
    levels : pandas.Index of str
        Observed levels in order; those of an interaction are ``"a:A"``, the first factor varying slowest.
    """

    name: str
    codes: Codes
    levels: pd.Index


@dataclass(frozen=True)
class LevelMap:
    """The levels of a grouping factor, as far as new data need them.

    Attributes
    ----------
    factors : tuple of str
        The variables or expressions that interact.
    levels : tuple of pandas.Index
        Labels of each of them.
    keys : tuple of arrays of int64
        Combinations seen when the second, third, ... factor joins, increasing; a combination is numbered by
        its place here.
    """

    factors: tuple[str, ...]
    levels: tuple[pd.Index, ...]
    keys: tuple[Keys, ...]


def encode(name: str, column: Column) -> tuple[Codes, pd.Index]:
    """Codes and labels of the levels of one complete column, in their natural order.

    Numbers are ordered by size, text by code point, logical values False before True, times by time; a
    categorical keeps its order and loses its unused levels.

    Raises
    ------
    GroupingError
        Two different levels read the same as text.
    """
    codes, values = _observed(column)
    levels = pd.Index(labels_of(values))
    if not levels.is_unique:
        label = levels[levels.duplicated()][0]
        raise GroupingError(f"Grouping factor {name!r} has two different levels that both read {label!r}.")
    return codes, levels


def _observed(column: Column) -> tuple[Codes, Any]:
    values = column.values
    if column.kind == "factor":
        codes, present = _compressed(values.cat.codes.to_numpy(), len(values.cat.categories))
        return codes, values.cat.categories[present]
    if column.kind == "logical":
        codes, present = _compressed(values.to_numpy().view(np.uint8), 2)
        return codes, present.astype(bool)
    if values.dtype.kind in "iu":
        wide = values.to_numpy().astype(np.uint64 if values.dtype.kind == "u" else np.int64)
        smallest, largest = wide.min(), wide.max()
        if int(largest) - int(smallest) < max(DENSE_FACTOR * wide.size, DENSE_MINIMUM):
            codes, present = _compressed((wide - smallest).astype(np.int64), int(largest) - int(smallest) + 1)
            return codes, present.astype(wide.dtype) + smallest
    places, uniques = pd.factorize(values, sort=True)
    return places.astype(np.int32), uniques


def _compressed(codes: NDArray[Any], size: int) -> tuple[Codes, NDArray[np.intp]]:
    """Renumber codes 0...size-1 so that only those that occur remain."""
    seen = np.zeros(size, dtype=bool)
    seen[codes] = True
    if seen.all():
        return codes.astype(np.int32), np.arange(size)
    renumber = np.cumsum(seen, dtype=np.int32) - np.int32(1)
    return renumber[codes], np.flatnonzero(seen)


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


def group(
    factors: Sequence[str], encoded: Mapping[str, tuple[Codes, pd.Index]], name: str
) -> tuple[Grouping, LevelMap]:
    """Grouping factor of one variable, or of the interaction of several.

    Parameters
    ----------
    factors : sequence of str
    encoded : mapping of str to (codes, levels)
        From `encode`, for each of them.
    name : str
    """
    codes, levels = encoded[factors[0]]
    labels = levels
    keys: list[Keys] = []
    for factor in factors[1:]:
        right_codes, right_levels = encoded[factor]
        width = len(right_levels)
        codes, present = _densified(codes.astype(np.int64) * width + right_codes, len(labels) * width)
        left, right = np.divmod(present, width)
        left_labels, right_labels = labels.to_numpy(dtype=object), right_levels.to_numpy(dtype=object)
        labels = pd.Index([f"{a}:{b}" for a, b in zip(left_labels[left], right_labels[right], strict=True)])
        keys.append(present)
    level_map = LevelMap(tuple(factors), tuple(encoded[factor][1] for factor in factors), tuple(keys))
    return Grouping(name, codes, labels), level_map


def _densified(keys: Keys, size: int) -> tuple[Codes, Keys]:
    """Number the keys that occur by size."""
    if size < max(DENSE_FACTOR * keys.size, DENSE_MINIMUM):
        codes, present = _compressed(keys, size)
        return codes, present.astype(np.int64)
    places, uniques = pd.factorize(keys, sort=True)
    return places.astype(np.int32), cast(Keys, np.asarray(uniques))


def match(level_map: LevelMap, columns: Mapping[str, Column], n: int) -> Codes:
    """Codes of new rows in the levels of a fit; -1 for a level or combination that the fit has not seen.

    Parameters
    ----------
    level_map : LevelMap
    columns : mapping of str to Column
        The variable or expression of each factor, on the new rows; missing values get -1.
    n : int
        Number of new rows.
    """
    codes = _matched(level_map.factors[0], level_map.levels[0], columns, n)
    for factor, levels, keys in zip(level_map.factors[1:], level_map.levels[1:], level_map.keys, strict=True):
        right = _matched(factor, levels, columns, n)
        wanted = codes * len(levels) + right
        place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
        codes = np.where((codes >= 0) & (right >= 0) & (keys[place] == wanted), place, -1)
    return codes.astype(np.int32)


def _matched(factor: str, levels: pd.Index, columns: Mapping[str, Column], n: int) -> NDArray[np.int64]:
    column = columns[factor]
    complete = None if column.missing is None else np.flatnonzero(~column.missing)
    matched = np.full(n, -1, dtype=np.int64)
    if complete is not None and complete.size == 0:
        return matched
    codes, values = _observed(column.take(complete))
    found = levels.get_indexer(pd.Index(labels_of(values)))
    matched[slice(None) if complete is None else complete] = found[codes]
    return matched
