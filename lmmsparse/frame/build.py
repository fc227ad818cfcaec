"""From data and a formula to a model frame."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import checked_object
from lmmsparse.errors import DataError, FormulaError, MissingRowsWarning, RankDeficiencyWarning
from lmmsparse.formula import Formula, locate, names_of
from lmmsparse.frame.checks import check_columns_finite, check_fixed_size, check_groupings, check_term_size
from lmmsparse.frame.columns import Column
from lmmsparse.frame.evaluate import check_finite
from lmmsparse.frame.evaluated import Parts, evaluate_parts
from lmmsparse.frame.grouping import Grouping, LevelMap, encode, group
from lmmsparse.frame.libraries import Table, open_table
from lmmsparse.frame.model_frame import BarColumns, ModelFrame
from lmmsparse.frame.newdata import NewData
from lmmsparse.frame.response import check_varies
from lmmsparse.frame.selection import Selection, known_na_action, numeric_argument, select_rows
from lmmsparse.frame.variables import Variables, find_variables
from lmmsparse.numerics.rank import independent_columns, spanning_coefficients

Matrix = NDArray[np.float64]


def build_model_frame(
    formula: Formula,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    subset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    na_action: str = "omit",
) -> ModelFrame:
    """Choose the rows and evaluate the formula on them.

    Parameters
    ----------
    formula : Formula
    data : frame or dict of arrays with N rows
        pandas, polars or pyarrow; it is not changed, and only the columns that are needed are read.
    weights, offset : (N,) array-like or str, optional
        Prior weights and known offset, or the name of a column.  Rows of weight zero are left out.
    subset : array-like or str, optional
        Logical array of length N, positions, or the name of a logical column.
    contrasts : dict, optional
        Coding of categorical variables: ``{"recipe": "sum"}``.
    na_action : {"omit", "exclude", "fail"}

    Returns
    -------
    ModelFrame

    Raises
    ------
    FormulaError
        The formula names something that there is not, or an expression fails.
    DataError
        A column or an argument cannot be used.
    GroupingError
        A grouping factor has too few or too many levels.

    Warns
    -----
    MissingRowsWarning
        An expression is missing where its variables are not, as ``log(-1)`` is.
    RankDeficiencyWarning
        Columns of X are left out because earlier ones span them.
    """
    checked_object("build_model_frame", "formula", formula, Formula, "a Formula, as parse_formula returns")
    action = known_na_action(na_action)
    table = open_table(data)
    try:
        variables = find_variables(formula, tuple(table.places))
    except FormulaError as error:
        raise _with_index_hint(error, formula, table) from error.__cause__
    columns = {name: table.column(name) for name in variables.all}
    weight = None if weights is None else numeric_argument("weights", weights, table)
    shift = None if offset is None else numeric_argument("offset", offset, table)
    arguments = {name: column for name, column in (("weights", weight), ("offset", shift)) if column is not None}
    selection = select_rows(
        table, [*columns.items(), *arguments.items()], subset=subset, weights=weight, na_action=action
    )
    codings = {}
    if contrasts is not None:
        from lmmsparse.frame.codings import contrast_codings  # formulaic takes long to import

        factors = names_of(*((*side.names, *side.expressions) for side in formula.sides))
        codings = contrast_codings(contrasts, factors)
    selection, parts = _evaluate_complete(formula, variables, columns, codings, table, selection, action)
    n, labels = selection.size, _labels(table, selection)
    kept = {name: _kept_numbers(name, column, selection, labels) for name, column in arguments.items()}
    groupings, level_maps = _groupings(formula, parts)
    check_groupings(groupings, n)
    bars = tuple(
        BarColumns(bar, matrix, design.names) for bar, (design, matrix) in zip(formula.bars, parts.bars, strict=True)
    )
    for term, (design, _) in zip(bars, parts.bars, strict=True):
        check_columns_finite(term.columns, design)
        _check_bar(term, groupings, n)
    check_columns_finite(parts.X, parts.fixed)
    independent = independent_columns(parts.X, kept.get("weights"))
    dropped = tuple(name for j, name in enumerate(parts.fixed.names) if j not in set(independent.tolist()))
    _warn_rank_deficient(dropped)
    fixed = parts.fixed.keeping(independent) if dropped else parts.fixed
    check_fixed_size(fixed.names, n)
    aliased = spanning_coefficients(parts.X, independent, kept.get("weights"))
    spec = NewData(
        fixed,
        tuple(design for design, _ in parts.bars),
        level_maps,
        formula.offsets,
        parts.state,
        parts.trained,
        variables.groups,
        aliased,
    )
    frame = ModelFrame(
        formula=formula,
        y=parts.y,
        X=np.asfortranarray(parts.X[:, independent]) if dropped or not parts.X.flags.writeable else parts.X,
        fixed_names=fixed.names,
        dropped=dropped,
        aliased=aliased,
        weights=kept.get("weights"),
        offset=_sum(kept.get("offset"), parts.offset),
        groupings=groupings,
        bars=bars,
        taken=selection.taken,
        index=labels,
        source_index=table.index,
        na_action=action,
        library=table.library,
        spec=spec,
    )
    check_varies(frame.y_less_offset, formula.response)
    return frame


def _with_index_hint(error: FormulaError, formula: Formula, table: Table) -> FormulaError:
    for name in table.index.names:
        if name is not None and str(name) not in table.places and locate(str(name), formula.text) is not None:
            return FormulaError(f"{error}\n{name!r} is a level of the index; data.reset_index() makes a column of it.")
    return error


def _labels(table: Table, selection: Selection) -> pd.Index:
    return table.index if selection.taken is None else table.index.take(selection.rows)


def _evaluate_complete(
    formula: Formula,
    variables: Variables,
    columns: Mapping[str, Column],
    codings: Mapping[str, Any],
    table: Table,
    selection: Selection,
    action: str,
) -> tuple[Selection, Parts]:
    """Evaluate until no expression is missing; transforms with memory learn from the rows that remain."""
    while True:
        complete = {name: column.take(selection.taken) for name, column in columns.items()}
        parts = evaluate_parts(formula, variables, complete, codings, _labels(table, selection))
        if not parts.missing:
            return selection, parts
        n = selection.size
        gaps = tuple(f"{name!r} is missing in {int(mask.sum())} of {n} rows" for name, mask in parts.missing.items())
        if action == "fail":
            raise DataError(f"na_action='fail' and values are missing: {'; '.join(gaps)}.")
        selection = selection.without(np.logical_or.reduce(list(parts.missing.values())), gaps)
        warnings.warn(f"{'; '.join(gaps)}; those rows were dropped.", MissingRowsWarning, stacklevel=4)


def _kept_numbers(name: str, column: Column, selection: Selection, labels: pd.Index) -> Matrix:
    kept = column.take(selection.taken)
    check_finite(name, kept, labels)
    return np.array(kept.values, dtype=np.float64)


def _groupings(formula: Formula, parts: Parts) -> tuple[dict[str, Grouping], dict[str, LevelMap]]:
    encoded = {factor: encode(factor, column) for factor, column in parts.groups.items()}
    groupings: dict[str, Grouping] = {}
    level_maps: dict[str, LevelMap] = {}
    for bar in formula.bars:
        if bar.group not in groupings:
            groupings[bar.group], level_maps[bar.group] = group(bar.factors, encoded, bar.group)
    return groupings, level_maps


def _check_bar(term: BarColumns, groupings: Mapping[str, Grouping], n: int) -> None:
    bar = term.bar
    if not term.names:
        raise FormulaError(f"The random-effects term {bar.text} has no columns; write (1 | g) for an intercept.")
    check_term_size(bar.name, len(term.names), groupings[bar.group].n_levels, bar.correlated, n)


def _warn_rank_deficient(dropped: tuple[str, ...]) -> None:
    if dropped:
        warnings.warn(
            "fixed-effect model matrix is rank deficient so dropping"
            f" {len(dropped)} column{'' if len(dropped) == 1 else 's'}: {', '.join(dropped)}",
            RankDeficiencyWarning,
            stacklevel=4,
        )


def _sum(first: Matrix | None, second: Matrix | None) -> Matrix | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second
