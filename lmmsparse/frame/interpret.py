"""An expression that was accepted, evaluated node by node over a closed list of functions; nothing is compiled."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import numpy as np
import pandas as pd

from lmmsparse.errors import FormulaError
from lmmsparse.formula import NUMPY_CALLS, NUMPY_CONSTANTS, is_literal
from lmmsparse.frame.functions import CODINGS, FUNCTIONS, as_double

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Mod: operator.mod,
    ast.FloorDiv: operator.floordiv,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
LOGICAL = (ast.BitAnd, ast.BitOr, ast.Invert)
NUMPY = {name: getattr(np, name) for name in (*NUMPY_CALLS, *NUMPY_CONSTANTS)}


class Interpreter:
    """Evaluates the tree of one expression.

    Operands of arithmetic are taken to floating-point: NumPy would let int8 overflow and would add logical values as
    a logical "or"; R does neither.

    Parameters
    ----------
    values : mapping of str to Series
        The columns, which are not changed.
    aliases : mapping of str to str
        Identifiers in the tree to the names of columns that they stand for.
    state : mutable mapping
        What transforms with memory have learned, by their call; filled when empty.
    """

    def __init__(
        self, values: Mapping[str, pd.Series], aliases: Mapping[str, str], state: MutableMapping[str, Any]
    ) -> None:
        self.values, self.aliases, self.state = values, aliases, state

    def value(self, node: ast.expr) -> Any:
        """The value of a node."""
        if is_literal(node):
            return ast.literal_eval(node)
        if isinstance(node, ast.Name):
            return self.values[self.aliases.get(node.id, node.id)]
        if isinstance(node, ast.Attribute):
            return _member(node)
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.UnaryOp):
            operand = self.value(node.operand)
            return OPERATORS[type(node.op)](operand if isinstance(node.op, LOGICAL) else as_double(operand))
        if isinstance(node, ast.Compare):
            return OPERATORS[type(node.ops[0])](self.value(node.left), self.value(node.comparators[0]))
        assert isinstance(node, ast.Call), "only accepted expressions come here"
        return self._call(node)

    def _binary(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.op, LOGICAL):
            return OPERATORS[type(node.op)](left, right)
        left, right = as_double(left), as_double(right)
        if not isinstance(node.op, ast.Add) and (isinstance(left, str) or isinstance(right, str)):
            raise FormulaError("Texts have no arithmetic.")  # nor is '%' to format numbers
        return OPERATORS[type(node.op)](left, right)

    def _call(self, node: ast.Call) -> Any:
        arguments = [self.value(argument) for argument in node.args]
        named = {str(keyword.arg): self.value(keyword.value) for keyword in node.keywords}
        function = FUNCTIONS[node.func.id] if isinstance(node.func, ast.Name) else _member(node.func)
        if getattr(function, "__is_stateful_transform__", False):
            named["_state"] = self.state.setdefault(ast.unparse(node), {})
        return function(*arguments, **named)


def _member(node: ast.expr) -> Any:
    assert isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name), "only accepted expressions come here"
    return (NUMPY if node.value.id == "np" else CODINGS)[node.attr]
