"""The rows that are predicted: those of the fit, or new ones, as the formula of the fit reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.arguments import as_numbers, as_text, shown
from lmmsparse.design.terms import RandomTerm
from lmmsparse.errors import ArgumentError, NewDataError
from lmmsparse.fitted.means import Selected, random_part, selected_effects
from lmmsparse.fitted.model import FittedModel
from lmmsparse.frame import Codes, ModelFrame, Table, open_table
from lmmsparse.frame.selection import check_same_index, numeric_argument

Float = NDArray[np.float64]


@dataclass(frozen=True)
class TermRows:
    """What rows have to do with one term.

    Attributes
    ----------
    term : int
    codes : (m,) array
        Level of each row; −1 for a level that the fit has not seen.
    columns : (m, k) array
        Columns left of the bar.
    selected : tuple of int
        Those that are meant.
    """

    term: int
    codes: Codes
    columns: Float
    selected: tuple[int, ...]

    def masked(self, rows: NDArray[np.bool_] | None = None) -> Float:
        """The columns with zeros for those that are not meant, and in rows for which ``rows`` is False, (m, k)."""
        if rows is None and len(self.selected) == self.columns.shape[1]:
            return self.columns
        chosen, out = list(self.selected), np.zeros(self.columns.shape)
        part = self.columns[:, chosen]
        out[:, chosen] = part if rows is None else np.where(rows[:, None], part, 0.0)
        return out


@dataclass(frozen=True)
class PredictedRows:
    """Rows to be predicted, in the user's coordinates.

    Attributes
    ----------
    X : (m, p) array
    offset : (m,) array or None
    chosen : tuple of TermRows
        Random effects that enter the mean.
    others : tuple of TermRows
        The other random effects; empty where nobody asked.
    weights : (m,) array or None
        Prior weights of observations in these rows.
    fitted : bool
        They are the rows of the fit.
    """

    X: Float
    offset: Float | None
    chosen: tuple[TermRows, ...]
    others: tuple[TermRows, ...]
    weights: Float | None
    fitted: bool

    def mean(self, beta: Float, modes: Sequence[Float]) -> Float:
        """Offset + Xβ + the chosen random effects, (m,)."""
        total = self.X @ beta
        if self.offset is not None:
            total = total + self.offset
        for one in self.chosen:
            total += random_part(one.columns, one.codes, modes[one.term], one.selected)
        return np.asarray(total)


def fitted_rows(frame: ModelFrame, terms: Sequence[RandomTerm], re_form: Any) -> PredictedRows:
    """The rows of the fit."""
    chosen, others = _split(selected_effects(re_form, terms, frame.spec), terms)

    def rows_of(choice: Selected) -> TermRows:
        term = terms[choice.term]
        return TermRows(choice.term, term.codes, term.columns, choice.columns)

    return PredictedRows(
        frame.X,
        frame.offset,
        tuple(rows_of(choice) for choice in chosen),
        tuple(rows_of(choice) for choice in others),
        frame.weights,
        True,
    )


def new_rows(
    frame: ModelFrame,
    terms: Sequence[RandomTerm],
    table: Table,
    re_form: Any,
    *,
    allow_new_levels: bool,
    offset: Any = None,
    weights: Any = None,
    with_others: bool = False,
) -> PredictedRows:
    """New rows.

    Parameters
    ----------
    frame : ModelFrame
    terms : sequence of RandomTerm
    table : Table with m rows
    re_form : None, str or 0
    allow_new_levels : bool
    offset, weights : (m,) arrays or numbers, optional
    with_others : bool
        Read the columns of the random effects that ``re_form`` leaves out, too.

    Raises
    ------
    NewDataError
        A column is missing, or a level is new and ``allow_new_levels`` is False.
    ArgumentError
        ``re_form``, ``offset`` or ``weights`` cannot be used.
    DataError
        ``offset`` or ``weights`` is a Series with another index than the new rows.
    """
    chosen, others = _split(selected_effects(re_form, terms, frame.spec), terms)
    X = frame.spec.fixed(table)
    total = frame.spec.offset(table)
    if offset is not None:
        total = total + row_numbers(offset, "offset", table)
    codes = {group: frame.spec.codes(table, group) for group in dict.fromkeys(terms[c.term].group for c in chosen)}
    if not allow_new_levels:
        for group, levels in codes.items():
            check_levels(levels, group)
    unseen = np.full(table.n_rows, -1, dtype=np.int32)

    def rows_of(choice: Selected) -> TermRows:
        term = terms[choice.term]
        columns = frame.spec.bar_columns(table, term.bar)
        return TermRows(choice.term, codes.get(term.group, unseen), columns, choice.columns)

    return PredictedRows(
        X,
        total,
        tuple(rows_of(choice) for choice in chosen),
        tuple(rows_of(choice) for choice in others) if with_others else (),
        None if weights is None else checked_weights(weights, table),
        False,
    )


def opened(model: FittedModel, newdata: Any, offset: Any, method: str) -> tuple[Table, Any]:
    """New data, and the offset that goes with them: by default their column of the name that the fit had."""
    table = open_table(newdata, allow_empty=True)
    if model.call.has_offset and offset is None:
        if model.call.offset not in table.places:
            raise NewDataError(
                "the model was fitted with an offset argument: "
                f"give {method}(newdata, offset=...) the offset of the new rows, 0 for none"
            )
        offset = model.call.offset
    return table, offset


def check_no_row_values(method: str, offset: Any, weights: Any) -> None:
    """Refuse values of new rows where there are none."""
    if offset is not None or weights is not None:
        name = "weights" if offset is None else "offset"
        raise ArgumentError(f"{method}: {name} goes with newdata; the rows of the fit have theirs")


def check_levels(codes: Codes, group: str) -> None:
    """Refuse levels that the fit has not seen."""
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        raise NewDataError(
            f"new levels detected in newdata: {int((codes < 0).sum())} rows have a level of {group!r} that "
            f"the fit has not seen, or none (the first is row {row}); allow_new_levels=True predicts them without "
            f"the effects of {group!r}"
        )


def row_numbers(values: Any, name: str, table: Table) -> Float:
    """A number for each of m new rows, (m,): from an array, one for all, or a column; NaN where that is missing."""
    m = table.n_rows
    named = as_text(values)
    if named is not None:
        if named not in table.places:
            raise NewDataError(f"newdata lacks the column {shown(named)}, which {name} names")
        column = numeric_argument(name, named, table)
        return column.values if column.missing is None else np.where(column.missing, np.nan, column.values)
    check_same_index(name, values, table.index)
    numbers = as_numbers(values)
    if numbers is None:
        raise ArgumentError(f"{name} must be numbers, one for each row of newdata or one for all, got {shown(values)}")
    if np.isinf(numbers).any():
        raise ArgumentError(f"{name} must be finite, got {shown(values)}")
    if numbers.ndim and numbers.shape != (m,):
        raise ArgumentError(f"{name} has {numbers.size} values, newdata {m} rows")
    return np.asarray(np.broadcast_to(numbers, (m,)))


def checked_weights(weights: Any, table: Table) -> Float:
    """Prior weights of m new rows, (m,).

    Raises
    ------
    ArgumentError
        Of a wrong length, or not all positive and finite.
    """
    values = row_numbers(weights, "weights", table)
    bad = ~(np.isfinite(values) & (values > 0.0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ArgumentError(f"weights must be positive and finite, got {values[row]:g} in row {row}")
    return values


def _split(selected: Sequence[Selected], terms: Sequence[RandomTerm]) -> tuple[list[Selected], list[Selected]]:
    """The random effects that are selected, and the others."""
    chosen = {choice.term: choice for choice in selected if choice.columns}
    others = []
    for t, term in enumerate(terms):
        taken = chosen[t].columns if t in chosen else ()
        rest = tuple(j for j in range(len(term.names)) if j not in taken)
        if rest:
            others.append(Selected(t, rest))
    return list(chosen.values()), others
