"""Python expressions of a formula, evaluated on columns of data."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmmsparse.errors import DataError, FormulaError, LmmError
from lmmsparse.formula import parsed, quoted, shown
from lmmsparse.frame.columns import Column, column_of


def run(expression: str, values: Mapping[str, pd.Series], state: MutableMapping[str, Any]) -> Any:
    """Evaluate an expression in R's arithmetic; transforms with memory learn into ``state`` or use what is there.

    Raises
    ------
    FormulaError
        The expression fails.
    """
    from lmmsparse.frame.interpret import Interpreter  # formulaic takes long to import, and few formulas need it

    tree, aliases = parsed(expression)
    try:
        with np.errstate(all="ignore"):
            return Interpreter(values, aliases, state).value(tree.body)
    except LmmError as error:
        raise type(error)(f"In {shown(expression)!r}: {error}") from error
    except Exception as error:
        cause = shown(str(error))
        raise FormulaError(f"{shown(expression)!r} could not be evaluated: {type(error).__name__}: {cause}") from error


def evaluate(expression: str, values: Mapping[str, pd.Series], n: int, state: MutableMapping[str, Any]) -> Column:
    """Evaluate an expression that yields one value for each row.

    Parameters
    ----------
    expression : str
        Python, names that are no identifiers in back-quotes.
    values : mapping of str to Series
        The columns that the expression reads, complete.
    n : int
        Number of rows.
    state : mutable mapping
        What transforms with memory have learned; filled when empty.

    Raises
    ------
    FormulaError
        The expression fails, or does not give one value for each row.
    DataError
        It gives a type that a model cannot use.
    """
    name = expression.strip("`") if quoted(expression.strip("`")) == expression else None
    if name is not None and name in values:
        return column_of(name, values[name])
    return column_of(expression, one_per_row(expression, run(expression, values, state), n))


def one_per_row(expression: str, result: Any, n: int) -> Any:
    """The result, when it is one-dimensional and of length n.

    Raises
    ------
    FormulaError
        It is neither.
    """
    result = getattr(result, "__wrapped__", result)  # formulaic's transforms wrap what they return
    if isinstance(result, np.ndarray) and result.ndim == 2 and result.shape[1] == 1:
        result = result[:, 0]
    shape = np.shape(result) if not isinstance(result, dict) else ()
    if shape != (n,):
        what = "a single value" if shape == () else f"an array of shape {shape}"
        raise FormulaError(f"{expression!r} gives {what}; one value for each of the {n} rows is needed here.")
    return result


def first_infinite(column: Column) -> int | None:
    """Position of the first infinite value of a numeric column."""
    values = column.values
    if column.kind != "number" or values.dtype.kind != "f" or not len(values):
        return None
    if np.isfinite(values.min()) and np.isfinite(values.max()):
        return None
    infinite = np.isinf(values)
    return int(np.argmax(infinite)) if infinite.any() else None


def check_finite(name: str, column: Column, labels: pd.Index) -> None:
    """Refuse infinite values.

    Raises
    ------
    DataError
        Names the column or expression and the first row.
    """
    place = first_infinite(column)
    if place is not None:
        raise infinite_error(name, labels[place])


def infinite_error(name: str, row: object) -> DataError:
    """What to tell about an infinite value."""
    return DataError(
        f"{name!r} is infinite, first in row {row!r}; correct the value, or make it missing to drop the row."
    )


def new_levels_message(name: str, unseen: Sequence[Any]) -> str:
    """What to tell about levels of a fixed effect that the fit has not seen."""
    shown = ", ".join(repr(str(level)) for level in unseen[:5]) + (", ..." if len(unseen) > 5 else "")
    return f"new levels detected in newdata: {name!r} has {shown}; leave those rows out."
