"""The parts of a formula, evaluated on the rows that are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.errors import DataError
from lmmsparse.formula import Formula, RightSide, quoted
from lmmsparse.frame.columns import Column, Mask, warn_of_numbers_as_text
from lmmsparse.frame.evaluate import check_finite, evaluate
from lmmsparse.frame.model_matrix import Design, learn_design
from lmmsparse.frame.variables import Prepared, Trained, Variables

if TYPE_CHECKING:
    from formulaic.transforms.contrasts import Contrasts

Matrix = NDArray[np.float64]
RESPONSE_HINTS = {
    "text": "convert it to numbers",
    "factor": "a linear mixed model needs a numeric one",
    "time": "convert it to a number, such as days since a date",
}


@dataclass(frozen=True)
class Parts:
    """A formula evaluated on complete rows.

    Attributes
    ----------
    y : (n,) array
    fixed : Design
    X : (n, p) array
        All columns, aliased ones included.
    bars : tuple of (Design, (n, k) array)
    groups : dict of str to Column
        The variable or expression of each grouping factor.
    offset : (n,) array or None
        Sum of the ``offset()`` terms.
    state : dict
        What transforms with memory inside offsets and grouping factors have learned.
    trained : dict of str to Trained
        Kinds of the variables outside of grouping factors.
    missing : dict of str to (n,) array of bool
        Expressions that are missing in some rows; the rest is of no use then.
    """

    y: Matrix
    fixed: Design
    X: Matrix
    bars: tuple[tuple[Design, Matrix], ...]
    groups: dict[str, Column]
    offset: Matrix | None
    state: dict[str, Any]
    trained: dict[str, Trained]
    missing: dict[str, Mask]


def evaluate_parts(
    formula: Formula,
    variables: Variables,
    columns: Mapping[str, Column],
    contrasts: Mapping[str, Contrasts],
    labels: pd.Index,
) -> Parts:
    """Evaluate the formula.

    Parameters
    ----------
    formula : Formula
    variables : Variables
    columns : mapping of str to (n,) Column
        Complete.
    contrasts : mapping of str to Contrasts
    labels : (n,) pandas.Index
        Row labels, for messages.

    Raises
    ------
    FormulaError
        An expression fails.
    DataError
        A value is infinite, or a variable is of a kind that its place does not allow.
    """
    n = len(labels)
    for name in variables.numeric:
        check_finite(name, columns[name], labels)
    _refuse_times(formula, columns)
    design_names = {*variables.fixed, *variables.bars}
    for name in design_names:
        warn_of_numbers_as_text(name, columns[name], labels)
    values = Prepared(columns, variables.numeric, design_names)
    missing: dict[str, Mask] = {}
    state: dict[str, Any] = {}
    y = _response(formula.response, columns, variables, n, missing, labels)
    offset = _offsets(formula, values, n, state, missing, labels)
    learned: dict[RightSide, tuple[Design, Matrix]] = {}
    for side in formula.sides:
        if side not in learned:
            design, matrix, gaps = learn_design(side, columns, values, contrasts, labels)
            learned[side] = design, matrix
            missing |= gaps
    groups = _groups(formula, variables, columns, n, state, missing)
    kinds = {name: values.trained(name) for name in (*design_names, *variables.offsets)}
    fixed, X = learned[formula.fixed]
    return Parts(y, fixed, X, tuple(learned[bar.left] for bar in formula.bars), groups, offset, state, kinds, missing)


def _refuse_times(formula: Formula, columns: Mapping[str, Column]) -> None:
    for side in formula.sides:
        for name in side.names:
            if columns[name].kind == "time":
                raise DataError(f"Column {name!r} holds times; convert it to a number, such as days since a date.")


def _response(
    expression: str,
    columns: Mapping[str, Column],
    variables: Variables,
    n: int,
    missing: dict[str, Mask],
    labels: pd.Index,
) -> Matrix:
    name = variables.response[0] if len(variables.response) == 1 else ""
    if expression == quoted(name):
        column = columns[name]
    else:
        column = evaluate(expression, Prepared(columns, variables.response, ()), n, {})
    if column.kind in RESPONSE_HINTS:
        kind = {"factor": "categorical", "time": "a time"}.get(column.kind, column.kind)
        raise DataError(f"The response {expression!r} is {kind}; {RESPONSE_HINTS[column.kind]}.")
    return _numbers(expression, column, missing, labels)


def _numbers(expression: str, column: Column, missing: dict[str, Mask], labels: pd.Index) -> Matrix:
    check_finite(expression, column, labels)
    if column.missing is not None:
        missing[expression] = column.missing
    return np.array(column.values, dtype=np.float64)


def _offsets(
    formula: Formula,
    values: Mapping[str, pd.Series],
    n: int,
    state: dict[str, Any],
    missing: dict[str, Mask],
    labels: pd.Index,
) -> Matrix | None:
    total: Matrix | None = None
    for expression in formula.offsets:
        column = evaluate(expression, values, n, state)
        if column.kind not in ("number", "logical"):
            raise DataError(f"offset({expression}) is of kind {column.kind!r}; it must be numbers.")
        term = _numbers(expression, column, missing, labels)
        total = term if total is None else total + term
    return total


def _groups(
    formula: Formula,
    variables: Variables,
    columns: Mapping[str, Column],
    n: int,
    state: dict[str, Any],
    missing: dict[str, Mask],
) -> dict[str, Column]:
    names = {quoted(name): name for name in variables.groups}
    values = Prepared(columns, variables.groups, ())
    groups: dict[str, Column] = {}
    for factor in dict.fromkeys(factor for bar in formula.bars for factor in bar.factors):
        if factor in names:
            groups[factor] = columns[names[factor]]
            continue
        groups[factor] = evaluate(factor, values, n, state)
        if (gaps := groups[factor].missing) is not None:
            missing[factor] = gaps
    return groups
