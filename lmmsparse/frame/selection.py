"""Which rows of the data take part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import as_text, shown
from lmmsparse.errors import ArgumentError, DataError
from lmmsparse.formula import suggestion
from lmmsparse.frame.columns import Column, Mask, column_of
from lmmsparse.frame.libraries import Table

Rows = NDArray[np.intp]
NA_ACTIONS = ("omit", "exclude", "fail")


@dataclass(frozen=True)
class Selection:
    """Rows kept and what removed the others.

    Attributes
    ----------
    taken : (n,) array of int, or None
        Positions in the data; None when they are all rows in order, and nothing needs copying.
    n_source : int
        Rows in the data.
    reasons : tuple of str
        ``"'x' is missing in 3 rows"``, ...
    """

    taken: Rows | None
    n_source: int
    reasons: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of rows kept."""
        return self.n_source if self.taken is None else self.taken.size

    @property
    def rows(self) -> Rows:
        """Positions of the rows kept."""
        return np.arange(self.n_source) if self.taken is None else self.taken

    def without(self, gone: Mask | None, reasons: tuple[str, ...]) -> Selection:
        """The selection that remains when some of its rows are dropped as well; None drops none.

        Raises
        ------
        DataError
            No row is left; the message says what removed how many.
        """
        taken = self.taken if gone is None else self.rows[~gone]
        remaining = Selection(taken, self.n_source, self.reasons + reasons)
        if remaining.size == 0:
            raise DataError(f"None of the {_rows_text(self.n_source)} is left: {'; '.join(remaining.reasons)}.")
        return remaining


def known_na_action(na_action: str) -> str:
    """``"omit"``, ``"exclude"`` or ``"fail"``; R's ``"na.omit"`` is understood.

    Raises
    ------
    ArgumentError
        It is something else.
    """
    action = (as_text(na_action) or "").removeprefix("na.")
    if action not in NA_ACTIONS:
        raise ArgumentError(f"na_action must be one of {', '.join(map(repr, NA_ACTIONS))}, not {shown(na_action)}.")
    return action


def argument_column(argument: str, value: Any, table: Table) -> Column:
    """An argument that is an array with one value for each row, or the name of a column.

    Raises
    ------
    DataError
        There is no such column, or the lengths differ.
    """
    name = as_text(value)
    if name is not None:
        if name not in table.places:
            raise DataError(
                f"{argument} names {shown(name)}; the data have no such column{suggestion(name, table.names)}"
            )
        return table.column(name)
    column = column_of(argument, value)
    if len(column.values) != table.n_rows:
        raise DataError(f"{argument} has {len(column.values)} values, but the data have {table.n_rows} rows.")
    check_same_index(argument, value, table.index)
    return column


def check_same_index(argument: str, value: Any, index: pd.Index, rows: str = "the data") -> None:
    """Refuse a pandas Series or frame whose labels are not those of the rows: by position it would be wrong numbers.

    Raises
    ------
    DataError
        The labels, or their order, differ.
    """
    if isinstance(value, (pd.Series, pd.DataFrame)) and not value.index.equals(index):
        kind = "Series" if isinstance(value, pd.Series) else "frame"
        raise DataError(
            f"{argument} is a {kind} whose index differs from that of {rows}; align it (reindex), "
            "or give an array to have it taken by position (to_numpy())."
        )


def numeric_argument(argument: str, value: Any, table: Table) -> Column:
    """As `argument_column`, of numbers.

    Raises
    ------
    DataError
        The values are no numbers.
    """
    column = argument_column(argument, value, table)
    if column.kind not in ("number", "logical"):
        raise DataError(f"{argument} must be numbers; these values are of kind {column.kind!r}.")
    return Column(column.values.astype(np.float64), "number", column.missing)


def select_rows(
    table: Table,
    columns: Iterable[tuple[str, Column]],
    *,
    subset: Any = None,
    weights: Column | None = None,
    na_action: str = "omit",
) -> Selection:
    """Apply the subset, then leave out rows of weight zero, then rows where anything is missing.

    Parameters
    ----------
    table : Table
    columns : iterable of (str, Column)
        Name and values of everything in which a missing value drops the row; weights and offset included.
    subset : optional
        Logical array, positions, or the name of a logical column.
    weights : Column, optional
    na_action : {"omit", "exclude", "fail"}

    Raises
    ------
    DataError
        A weight is negative, the subset is none, nothing is left, or something is missing under ``"fail"``.
    """
    selection = _chosen(subset, table)
    if weights is not None:
        selection = _positive_weight(selection, weights, table.index)
    gone: Mask | None = None
    gaps = []
    for name, column in columns:
        if column.missing is not None:
            missing = column.missing if selection.taken is None else column.missing[selection.taken]
            if missing.any():
                gaps.append(f"{name!r} is missing in {_rows_text(int(missing.sum()))}")
                gone = missing if gone is None else gone | missing
    if gaps and na_action == "fail":
        raise DataError(f"na_action='fail' and values are missing: {'; '.join(gaps)}.")
    return selection.without(gone, tuple(gaps))


def _rows_text(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"


def _chosen(subset: Any, table: Table) -> Selection:
    if subset is None:
        return Selection(None, table.n_rows, ())
    rows = _subset_positions(subset, table)
    whole = rows.size == table.n_rows and bool((rows == np.arange(table.n_rows)).all())
    return Selection(
        None if whole else rows, table.n_rows, (f"subset keeps {rows.size} of {_rows_text(table.n_rows)}",)
    )


def _subset_positions(subset: Any, table: Table) -> Rows:
    column = argument_column("subset", subset, table) if isinstance(subset, str) else column_of("subset", subset)
    n_rows = table.n_rows
    if column.kind == "logical":
        if len(column.values) != n_rows:
            raise DataError(f"subset has {len(column.values)} values, but the data have {n_rows} rows.")
        check_same_index("subset", subset, table.index)
        chosen = column.values
        return np.flatnonzero(chosen if column.missing is None else chosen & ~column.missing)
    if isinstance(subset, str):
        raise DataError(f"subset names the column {subset!r}, which is not logical; compare it with something first.")
    if len(column.values) == 0:
        return np.arange(0)
    positions = np.asarray(column.values)
    if column.kind != "number" or positions.dtype.kind not in "iu" or column.missing is not None:
        raise DataError("subset must be a logical array, whole-number positions, or the name of a logical column.")
    if n_rows > 2 and positions.size == n_rows and positions.max() <= 1:
        raise DataError("subset has one 0 or 1 for each row: as positions that repeats two rows; give True and False.")
    outside = (positions < 0) | (positions >= n_rows)
    if outside.any():
        raise DataError(f"subset has position {int(positions[outside][0])}; the data have rows 0 to {n_rows - 1}.")
    return positions.astype(np.intp)


def _positive_weight(selection: Selection, weights: Column, labels: pd.Index) -> Selection:
    values = weights.take(selection.taken).values
    negative = values < 0
    if negative.any():
        first = int(np.argmax(negative))
        raise DataError(f"weights must not be negative; row {labels[selection.rows[first]]!r} has {values[first]:g}.")
    zero = values == 0
    if weights.missing is not None:
        zero &= ~(weights.missing if selection.taken is None else weights.missing[selection.taken])
    if not zero.any():
        return selection
    reason = f"weights are zero in {_rows_text(int(zero.sum()))}"
    return Selection(selection.rows[~zero], selection.n_source, (*selection.reasons, reason))
