"""The grouping side of a bar, expanded to the factors that it stands for."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lmmsparse.errors import FormulaError
from lmmsparse.formula.expressions import quoted, to_python
from lmmsparse.formula.limits import GROUPINGS
from lmmsparse.formula.pointing import pointed
from lmmsparse.formula.tokens import Token
from lmmsparse.formula.tree import Group, Item, is_operator, sum_parts

Factors = list[tuple[str, ...]]
TIGHT = (":", "%in%")


def expand_grouping(items: Sequence[Item], text: str, end: int, columns: Collection[str]) -> Factors:
    """Grouping factors of ``(... | items)``, each a tuple of variables that interact.

    ``a/b`` gives ``b:a`` and ``a``; ``a*b`` gives ``a``, ``b`` and ``a:b``; ``a + b`` gives ``a`` and ``b``.

    Raises
    ------
    FormulaError
        An operand is a number, or an operator has no meaning between grouping factors.
    """
    factors: Factors = []
    for part in sum_parts(items, text, end):
        if part.negative:
            place = part.items[0].start
            raise FormulaError(pointed("A grouping factor cannot be subtracted.", text, place))
        factors = _union(factors, _product(part.items, text, columns))
    return factors


def _product(items: Sequence[Item], text: str, columns: Collection[str]) -> Factors:
    """``*`` and ``/`` from left to right, after the tighter ``:``."""
    left: Factors = []
    operator = ""
    begin = 0
    for i in range(len(items) + 1):
        if i < len(items) and not is_operator(items[i], ("*", "/")):
            continue
        right = _interaction(items[begin:i], text, columns)
        if operator == "*":
            left = _union(_union(left, right), _cross(left, right))
        elif operator == "/":
            left = _union(_cross(right, [_all_variables(left)]), left)
        else:
            left = right
        begin = i + 1
        if i < len(items):
            operator = _symbol(items[i])
    return left


def _interaction(items: Sequence[Item], text: str, columns: Collection[str]) -> Factors:
    factors = _operand(items[0], text, columns)
    for operator, operand in zip(items[1::2], items[2::2], strict=True):
        if not is_operator(operator, TIGHT):
            message = f"The operator {_symbol(operator)!r} has no meaning between grouping factors."
            raise FormulaError(pointed(message, text, operator.start))
        factors = _cross(factors, _operand(operand, text, columns))
    return factors


def _operand(item: Item, text: str, columns: Collection[str]) -> Factors:
    if isinstance(item, Group):
        return expand_grouping(item.items, text, item.end - 1, columns)
    if item.kind == "name":
        return [(quoted(item.text),)]
    if item.kind == "call":
        return [(to_python(item.text, columns),)]
    message = f"{item.text!r} cannot be a grouping factor; name a column of the data."
    raise FormulaError(pointed(message, text, item.start))


def _symbol(item: Item) -> str:
    return item.text if isinstance(item, Token) else ""


def _cross(left: Factors, right: Factors) -> Factors:
    if len(left) * len(right) > GROUPINGS:
        raise FormulaError(f"The groups of one random-effects term expand to more than {GROUPINGS}; that is the most.")
    return _union([], [tuple(dict.fromkeys(a + b)) for a in left for b in right])


def _all_variables(factors: Factors) -> tuple[str, ...]:
    return tuple(dict.fromkeys(variable for factor in factors for variable in factor))


def _union(left: Factors, right: Factors) -> Factors:
    return list(dict.fromkeys([*left, *right]))
