"""Variables of a formula: which columns it reads, and the kind that each had in the fit."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from lmmsparse.errors import FormulaError, NewDataError
from lmmsparse.formula import (
    CALLS,
    Formula,
    RightSide,
    expression_names,
    instead_of,
    locate,
    names_of,
    parsed,
    pointed,
    shown,
    suggestion,
)
from lmmsparse.frame.columns import Column, read_only
from lmmsparse.frame.evaluate import new_levels_message
from lmmsparse.frame.grouping import labels_of


@dataclass(frozen=True)
class Variables:
    """Columns that the parts of a formula read.

    Attributes
    ----------
    response, fixed, bars, groups, offsets : tuple of str
        ``bars`` are those left of a bar, ``groups`` those right of one.
    """

    response: tuple[str, ...]
    fixed: tuple[str, ...]
    bars: tuple[str, ...]
    groups: tuple[str, ...]
    offsets: tuple[str, ...]

    @property
    def numeric(self) -> tuple[str, ...]:
        """All but those that only group."""
        return names_of(self.response, self.fixed, self.bars, self.offsets)

    @property
    def all(self) -> tuple[str, ...]:
        """Every column that the formula reads."""
        return names_of(self.numeric, self.groups)


@lru_cache(maxsize=256)
def find_variables(formula: Formula, columns: tuple[str, ...]) -> Variables:
    """Columns that each part of the formula reads.

    Raises
    ------
    FormulaError
        The formula names a column or a function that there is not; the message points at it.
    """

    def of(*expressions: str) -> tuple[str, ...]:
        return names_of(*(_expression_columns(expression, formula, columns) for expression in expressions))

    groups = [factor for bar in formula.bars for factor in bar.factors]
    return Variables(
        response=of(formula.response),
        fixed=names_of(_side_columns(formula.fixed, formula, columns)),
        bars=names_of(*(_side_columns(bar.left, formula, columns) for bar in formula.bars)),
        groups=of(*dict.fromkeys(groups)),
        offsets=of(*formula.offsets),
    )


def _side_columns(side: RightSide, formula: Formula, columns: Collection[str]) -> Iterator[str]:
    for name in side.names:
        if name not in columns:
            raise _unknown(name, formula, columns)
        yield name
    for expression in side.expressions:
        yield from _expression_columns(expression, formula, columns)


def _expression_columns(expression: str, formula: Formula, columns: Collection[str]) -> Iterator[str]:
    names = expression_names(expression)
    for name in names.calls:
        if name not in CALLS:
            other = instead_of(name, parsed(expression)[0])
            known = f"there are {', '.join(sorted(CALLS))}, and NumPy's elementwise ones as np.name."
            message = f"There is no function {shown(name)!r} in formulas{':' + other if other else '; ' + known}"
            raise FormulaError(pointed(message, formula.text, locate(name, formula.text)))
    for name in names.values:
        if name not in columns:
            raise _unknown(name, formula, columns)
        yield name


def _unknown(name: str, formula: Formula, columns: Collection[str]) -> FormulaError:
    message = f"The data have no column {shown(name)!r}{suggestion(name, columns)}"
    for column in columns:
        if column != name and unicodedata.normalize("NFC", column) == unicodedata.normalize("NFC", name):
            message = (
                f"The column {shown(column)!r} looks as in the formula, but is written with other Unicode characters "
                "(composed and decomposed accents): rename it by unicodedata.normalize('NFC', name)."
            )
    return FormulaError(pointed(message, formula.text, locate(name, formula.text)))


# Every smaller whole number is a double.
LARGEST_EXACT = 2**53


@dataclass(frozen=True)
class Trained:
    """What a variable was in the fit.

    Attributes
    ----------
    kind : str
        As in `Column`.
    categories : pandas.Index or None
        Levels of a factor or of text.
    """

    kind: str
    categories: pd.Index | None


def prepared(column: Column, *, text_as_factor: bool) -> pd.Series:
    """A complete column as expressions and formulaic are to see it.

    Integers become doubles, so that products of large ones do not overflow, unless doubles cannot hold them; a factor
    loses the levels that do not occur.
    """
    values = column.values
    if column.kind == "number":
        whole = values.dtype.kind in "iu"
        if whole and len(values) and max(-int(values.min()), int(values.max())) > LARGEST_EXACT:
            return column.series
        return pd.Series(read_only(values.astype(np.float64, copy=False)), copy=False)
    if column.kind == "factor" or (text_as_factor and isinstance(values, pd.Categorical)):
        return pd.Series(values.remove_unused_categories())
    if column.kind == "text" and text_as_factor:
        codes, levels = pd.factorize(values, sort=True)
        return pd.Series(pd.Categorical.from_codes(codes, categories=levels))
    return column.series


class Prepared(Mapping[str, pd.Series]):
    """Complete columns, made ready by `prepared` when they are asked for: plain numbers never are.

    Parameters
    ----------
    columns : mapping of str to Column
    names : collection of str
        Those that the mapping holds.
    factors : collection of str
        Those in which text becomes a factor.
    """

    def __init__(self, columns: Mapping[str, Column], names: Collection[str], factors: Collection[str]) -> None:
        self.columns, self.names, self.factors = columns, names, factors
        self.made: dict[str, pd.Series] = {}

    def __getitem__(self, name: str) -> pd.Series:
        if name not in self.names:
            raise KeyError(name)
        if name not in self.made:
            self.made[name] = prepared(self.columns[name], text_as_factor=name in self.factors)
        return self.made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def trained(self, name: str) -> Trained:
        """The kind of a column, for new data."""
        kind = self.columns[name].kind
        if kind == "factor" or (kind == "text" and name in self.factors):
            return Trained("factor", self[name].cat.categories)
        return Trained(kind, None)


def prepared_like(name: str, column: Column, known: Trained) -> pd.Series:
    """A complete column of new data, of the kind that it had in the fit.

    Levels are matched by their labels, so that the number 1 and the text "1" are the same level.

    Raises
    ------
    NewDataError
        The kind differs, or a factor has levels that the fit has not seen.
    """
    if known.kind == "factor":
        return _matched_levels(name, column, known)
    if known.kind in ("number", "logical") and column.kind in ("number", "logical"):
        values = prepared(column, text_as_factor=False)
        if known.kind == "number":
            return values.astype(np.float64) if column.kind == "logical" else values
        if not values.isin([0, 1]).all():
            raise NewDataError(f"Column {name!r} was logical in the fit; in newdata it has other values than 0 and 1.")
        return values.astype(bool)
    if known.kind != column.kind:
        raise NewDataError(f"Column {name!r} was of kind {known.kind!r} in the fit, but is {column.kind!r} in newdata.")
    return column.series


def _matched_levels(name: str, column: Column, known: Trained) -> pd.Series:
    assert known.categories is not None
    if isinstance(column.values, pd.Categorical):
        codes, levels = column.values.codes, column.values.categories
    else:
        codes, levels = pd.factorize(column.values)
    places = pd.Index(labels_of(known.categories)).get_indexer(pd.Index(labels_of(levels)))
    matched = places[codes]
    if (matched < 0).any():
        unseen = [labels_of(levels)[code] for code in np.unique(codes[matched < 0])]
        raise NewDataError(new_levels_message(name, unseen))
    return pd.Series(pd.Categorical.from_codes(matched, categories=known.categories))
