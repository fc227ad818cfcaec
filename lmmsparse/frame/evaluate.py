"""Python expressions of a formula, evaluated on columns of data."""

from __future__ import annotations

import ast
import copy
import functools
import unicodedata
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmmsparse.errors import DataError, FormulaError, LmmError
from lmmsparse.formula import MODULES, alias_of, parsed, quoted
from lmmsparse.frame.columns import Column, column_of

AS_DOUBLE = "as_double_"
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.Mod, ast.FloorDiv)


class _Arithmetic(ast.NodeTransformer):
    """Wraps operands of arithmetic in `as_double`, and renames columns that have the name of a function."""

    def __init__(self, renamed: Mapping[str, str]) -> None:
        self.renamed = renamed

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self.renamed.get(node.id, node.id), node.ctx)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        function = node.func
        self.generic_visit(node)
        if isinstance(function, ast.Name):
            node.func = function
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ARITHMETIC):
            node.left, node.right = _wrapped(node.left), _wrapped(node.right)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.USub | ast.UAdd):
            node.operand = _wrapped(node.operand)
        return node


def _wrapped(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Constant) or (isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant)):
        return node
    return ast.Call(ast.Name(AS_DOUBLE, ast.Load()), [node], [])


@functools.lru_cache(maxsize=1024)
def _code(expression: str, renamed: frozenset[str]) -> str:
    """What Python is to evaluate: arithmetic in doubles, and aliases for columns that have the name of a function."""
    tree = copy.deepcopy(parsed(expression)[0])
    tree = _Arithmetic({name: alias_of(name) for name in renamed}).visit(tree)
    return ast.unparse(ast.fix_missing_locations(tree))


def run(expression: str, values: Mapping[str, pd.Series], state: MutableMapping[str, Any]) -> Any:
    """Evaluate an expression in R's arithmetic; transforms with memory learn into ``state`` or use what is there.

    Operands of arithmetic are taken to floating-point: NumPy would let int8 overflow and would add logical values as
    a logical "or"; R does neither.

    Raises
    ------
    FormulaError
        The expression fails.
    """
    from formulaic.utils.stateful_transforms import stateful_eval  # takes long to import, and few formulas need it

    from lmmsparse.frame.functions import NAMESPACE, as_double

    renamed = frozenset(name for name in values if name in NAMESPACE and name not in MODULES)
    quoted_names = parsed(expression)[1].values()
    named = {alias_of(name): values[name] for name in (*renamed, *quoted_names) if name in values}
    # Python folds characters of identifiers, and a column must be found under the folded name too.
    folded = {unicodedata.normalize("NFKC", name): column for name, column in values.items()}
    try:
        with np.errstate(all="ignore"):
            names = {**folded, **values, **NAMESPACE, AS_DOUBLE: as_double, **named}
            return stateful_eval(_code(expression, renamed), names, None, state, None)
    except LmmError:
        raise
    except Exception as error:
        message = f"{expression!r} could not be evaluated: {type(error).__name__}: {error}"
        raise FormulaError(message) from error


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
