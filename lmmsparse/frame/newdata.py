"""The formula of a fit on new rows, without the data of the fit."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.errors import ArgumentError, EstimabilityWarning, FormulaError, NewDataError
from lmmsparse.formula import expression_names, quoted, suggestion
from lmmsparse.frame.columns import Column, Mask
from lmmsparse.frame.evaluate import evaluate
from lmmsparse.frame.grouping import LevelMap, match, match_new
from lmmsparse.frame.libraries import Table, open_table
from lmmsparse.frame.model_matrix import Design
from lmmsparse.frame.variables import Trained, prepared, prepared_like

Matrix = NDArray[np.float64]

# A column that is off by more than this share of its terms is no combination of the others.
NOT_SPANNED = 1e-7


@dataclass(frozen=True)
class NewData:
    """What is needed to evaluate a formula on new rows.

    New data may be of any library that `lmmsparse` reads.  Each method needs only the columns that it reads.

    Attributes
    ----------
    fixed_design : Design
    bar_designs : tuple of Design
        In formula order.
    level_maps : dict of str to LevelMap
        One for each grouping factor.
    offsets : tuple of str
        The ``offset()`` terms.
    state : dict
        What transforms with memory inside offsets and grouping factors have learned.
    variables : dict of str to Trained
        Kinds of the variables of the fixed part, of the bars and of the offsets.
    grouping_variables : tuple of str
        Variables of the grouping factors.
    aliased : (p, number of those) array
        Columns that were left out of X as combinations of those that were kept.
    """

    fixed_design: Design
    bar_designs: tuple[Design, ...]
    level_maps: Mapping[str, LevelMap]
    offsets: tuple[str, ...]
    state: Mapping[str, Any]
    variables: Mapping[str, Trained]
    grouping_variables: tuple[str, ...]
    aliased: Matrix

    def fixed(self, newdata: Any) -> Matrix:
        """Fixed-effect columns.

        Parameters
        ----------
        newdata : frame or dict of arrays with m rows

        Returns
        -------
        (m, p) array
            The columns of `ModelFrame.X`; NaN in rows where a variable is missing, or that cannot be estimated: in
            them a column that was left out of X is not the combination of others that it was in the fit.

        Raises
        ------
        NewDataError
            A column is missing, or a factor has a level that the fit has not seen.

        Warns
        -----
        EstimabilityWarning
            Names the rows that cannot be estimated.
        """
        kept = self.fixed_design.keep
        if kept is None or not self.aliased.size:
            return self._matrix(self.fixed_design, newdata)
        count = sum(self.aliased.shape)
        table = open_table(newdata, allow_empty=True)
        every = self._matrix(replace(self.fixed_design, keep=None, names=("",) * count), table)
        X, others = every[:, kept], every[:, np.setdiff1d(np.arange(count), kept)]
        off = np.abs(others - X @ self.aliased)
        unknown = (off > NOT_SPANNED * (np.abs(others) + np.abs(X) @ np.abs(self.aliased))).any(axis=1)
        if unknown.any():
            rows = ", ".join(repr(label) for label in table.index[unknown][:5])
            count = int(np.count_nonzero(unknown))
            warnings.warn(
                f"the fit cannot tell the mean of {count} of {len(X)} rows, which are NaN: {rows}"
                f"{', ...' if count > 5 else ''}; they break what made columns of the fixed part redundant, as "
                "combinations of levels without observations do",
                EstimabilityWarning,
                stacklevel=4,
            )
            X[unknown] = np.nan
        return np.asarray(X)

    def bar_columns(self, newdata: Any, i: int) -> Matrix:
        """Columns of the i-th bar, in formula order; as `fixed` otherwise."""
        return self._matrix(self.bar_designs[i], newdata)

    def codes(self, newdata: Any, group: str, number_new: bool = False) -> NDArray[np.int32]:
        """Levels of a grouping factor.

        Parameters
        ----------
        newdata : frame or dict of arrays with m rows
        group : str
        number_new : bool
            Number the levels that the fit has not seen, too, after those that it has.

        Returns
        -------
        (m,) array of int32
            Positions in `Grouping.levels`; -1 for a level that the fit has not seen, and for a missing value.

        Raises
        ------
        NewDataError
            A column is missing.
        ArgumentError
            The model has no such grouping factor.
        """
        if group not in self.level_maps:
            raise ArgumentError(f"The model has no grouping factor {group!r}{suggestion(group, self.level_maps)}")
        table = open_table(newdata)
        level_map = self.level_maps[group]
        columns = {factor: self._grouping_column(factor, table) for factor in level_map.factors}
        codes = match(level_map, columns, table.n_rows)
        return match_new(level_map, columns, codes) if number_new else codes

    def offset(self, newdata: Any) -> Matrix:
        """Sum of the ``offset()`` terms.

        Returns
        -------
        (m,) array
            Zeros when the formula has no such term; NaN where a variable is missing.
        """
        table = open_table(newdata)
        total = np.zeros(table.n_rows)
        for expression in self.offsets:
            names = [name for name in expression_names(expression).values if name in self.variables]
            values, complete = self._complete(table, names)
            term = np.full(table.n_rows, np.nan)
            if complete.size:
                column = _evaluated(expression, values, complete.size, self.state)
                term[complete] = np.asarray(column.values, dtype=np.float64)
                if column.missing is not None:
                    term[complete[column.missing]] = np.nan
            total += term
        return total

    def index(self, newdata: Any) -> pd.Index:
        """Row labels: those of a pandas frame, else 0, 1, ..."""
        return open_table(newdata).index

    def _matrix(self, design: Design, newdata: Any) -> Matrix:
        table = open_table(newdata)
        names = [name for name in design.side.variables if name in self.variables]
        values, complete = self._complete(table, names)
        if complete.size and complete.size == table.n_rows:
            return _design_matrix(design, values, table.n_rows)
        matrix = np.full((table.n_rows, len(design.names)), np.nan)
        if complete.size:
            matrix[complete] = _design_matrix(design, values, complete.size)
        return matrix

    def _complete(self, table: Table, names: Iterable[str]) -> tuple[dict[str, pd.Series], NDArray[np.intp]]:
        """The variables on the rows where none of them is missing, and those rows."""
        columns = {name: _required(table, name) for name in names}
        missing = _missing(columns.values(), table.n_rows)
        complete = np.flatnonzero(~missing)
        rows = complete if missing.any() else None
        if complete.size == 0:
            return {}, complete
        return {
            name: prepared_like(name, column.take(rows), self.variables[name]) for name, column in columns.items()
        }, complete

    def _grouping_column(self, factor: str, table: Table) -> Column:
        names = [name for name in expression_names(factor).values if name in self.grouping_variables]
        columns = {name: _required(table, name) for name in names}
        if [quoted(name) for name in names] == [factor]:
            return columns[names[0]]
        missing = _missing(columns.values(), table.n_rows)
        rows = np.flatnonzero(~missing)
        if rows.size == 0:
            return Column(np.zeros(table.n_rows), "number", missing)
        values = {name: prepared(column.take(rows), text_as_factor=False) for name, column in columns.items()}
        return _spread(_evaluated(factor, values, rows.size, self.state), rows, table.n_rows)


def _required(table: Table, name: str) -> Column:
    if name not in table.places:
        raise NewDataError(f"newdata lacks the column {name!r}, which the model needs{suggestion(name, table.names)}")
    return table.column(name)


def _missing(columns: Iterable[Column], n: int) -> Mask:
    missing = np.zeros(n, dtype=bool)
    for column in columns:
        if column.missing is not None:
            missing |= column.missing
    return missing


def _design_matrix(design: Design, values: Mapping[str, pd.Series], n: int) -> Matrix:
    try:
        return design.matrix(values, n)
    except FormulaError as error:
        raise NewDataError(f"With newdata, {error}") from error


def _evaluated(expression: str, values: Mapping[str, pd.Series], n: int, state: Mapping[str, Any]) -> Column:
    try:
        return evaluate(expression, values, n, copy.deepcopy(dict(state)))
    except FormulaError as error:
        raise NewDataError(f"With newdata, {error}") from error


def _spread(column: Column, rows: NDArray[np.intp], n: int) -> Column:
    """Values of some rows, put where they belong among n; the others are missing."""
    place = np.zeros(n, dtype=np.intp)
    place[rows] = np.arange(rows.size)
    missing = np.ones(n, dtype=bool)
    missing[rows] = False if column.missing is None else column.missing
    return Column(column.values.take(place), column.kind, missing)
