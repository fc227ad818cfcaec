"""Sums of a formula as right sides: random effects and offsets left out, ``.`` spelled out, each term expanded."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lmmsparse.errors import FormulaError
from lmmsparse.formula.algebra import INTERCEPT, Terms, by_degree, crossed, multiplied, nesting, powered, summed
from lmmsparse.formula.expressions import as_name, formatted, names_of, parsed, quoted, to_python
from lmmsparse.formula.pointing import pointed
from lmmsparse.formula.right_side import RightSide
from lmmsparse.formula.scan import RESERVED
from lmmsparse.formula.tokens import Token
from lmmsparse.formula.tree import BARS, Group, Item, Part, find, is_operator, sum_parts

POWERS = ("^", "**")
_WHOLE = re.compile("0*[1-9][0-9]{0,8}")
# Operators that bind more tightly come first; those of a level are read from left to right.
PRODUCTS: tuple[dict[str, Callable[[Terms, Terms], Terms]], ...] = (
    {":": crossed, "%in%": crossed},
    {"*": multiplied, "/": nesting},
)


@dataclass(frozen=True)
class Surroundings:
    """What writing needs to know besides the tokens.

    Attributes
    ----------
    text : str
        The formula, for messages.
    columns : collection of str
        Names of the data's columns.
    others : tuple of str or None
        Columns that ``.`` stands for; None when the columns are unknown.
    """

    text: str
    columns: Collection[str]
    others: tuple[str, ...] | None


def is_bar(item: Item | None) -> bool:
    """Whether the item is ``( ... | ... )``, with or without a keyword."""
    return isinstance(item, Group) and bool(find(item.items, BARS))


def is_offset(item: Item | None) -> bool:
    """Whether the item is ``offset(...)``."""
    return isinstance(item, Token) and item.kind == "call" and item.text.startswith("offset(")


def right_side(items: Sequence[Item], end: int, around: Surroundings) -> RightSide:
    """What a sum says that has an intercept unless it takes it away.

    Parameters
    ----------
    items : sequence of Item
        The right side of a formula, or what stands to the left of a bar.
    end : int
        Where it ends in the formula.
    around : Surroundings

    Raises
    ------
    FormulaError
        A term cannot be read, or a number stands where it has no meaning.
    """
    whole = _sum(items, end, around, (INTERCEPT,))
    return RightSide(whole.text or "1", by_degree(whole.terms), whole.factors)


def _sum(items: Sequence[Item], end: int, around: Surroundings, terms: Terms = ()) -> RightSide:
    """The sum, added to some terms; its text is empty when it holds random effects and offsets only."""
    written = ""
    signed, factors = [(False, terms)], []
    for part in _summands(items, end, around.text):
        summand, negative = _product(part, around), part.negative
        if negative and summand.text == "0":  # R: removing "no intercept" puts the intercept back
            summand, negative = replace(summand, text="1"), False
        signed.append((negative or summand.text == "0", summand.terms))
        factors.append(summand.factors)
        sign = ("-" if negative else "") if not written else (" - " if negative else " + ")
        written += sign + summand.text
    return RightSide(written, summed(signed), names_of(*factors))


def _summands(items: Sequence[Item], end: int, text: str) -> Iterator[Part]:
    """Signed products, also those in parentheses that only add; random effects and offsets left out."""
    for part in sum_parts(items, text, end):
        item = part.single
        if is_bar(item) or is_offset(item):
            continue
        if isinstance(item, Group) and not part.negative and not _subtracts_terms(item, text):
            yield from _summands(item.items, item.end - 1, text)
        else:
            yield part


def _subtracts_terms(group: Group, text: str) -> bool:
    parts = sum_parts(group.items, text, group.end - 1)
    return any(part.negative and not _is_number(part.single) for part in parts)


def _is_number(item: Item | None) -> bool:
    return isinstance(item, Token) and item.kind == "number"


def _product(part: Part, around: Surroundings) -> RightSide:
    """A product, or a number: 0 and 1 stand for the intercept."""
    items = part.items
    operands = [_operand(part, 0, around)]
    operators: list[Token] = []
    for i in range(1, len(items), 2):
        operator = items[i]
        assert isinstance(operator, Token)
        if operator.text in POWERS:
            operands[-1] = _power(operands[-1], part, i, around.text)
            continue
        if operator.text == "%in%" and (isinstance(items[i - 1], Group) or isinstance(items[i + 1], Group)):
            message = "%in% stands between two columns; write ':' here."
            raise FormulaError(pointed(message, around.text, operator.start))
        operands.append(_operand(part, i + 1, around))
        operators.append(operator)
    for level in PRODUCTS:
        operands, operators = _multiplied_out(operands, operators, level)
    return operands[0]


def _multiplied_out(
    operands: Sequence[RightSide], operators: Sequence[Token], level: Mapping[str, Callable[[Terms, Terms], Terms]]
) -> tuple[list[RightSide], list[Token]]:
    """The product with operators of one level carried out."""
    left, others = [operands[0]], []
    for operator, right in zip(operators, operands[1:], strict=True):
        if operator.text in level:
            sign = ":" if operator.text == "%in%" else f" {operator.text} "  # in R the same
            terms = level[operator.text](left[-1].terms, right.terms)
            left[-1] = RightSide(left[-1].text + sign + right.text, terms, names_of(left[-1].factors, right.factors))
        else:
            left.append(right)
            others.append(operator)
    return left, others


def _power(base: RightSide, part: Part, i: int, text: str) -> RightSide:
    """The base to the power that stands behind the i-th item of the part."""
    exponent = part.items[i + 1]
    if i > 2 and is_operator(part.items[i - 2], POWERS):
        raise FormulaError(pointed("A power cannot be raised to a power.", text, part.items[i].start))
    if not (isinstance(exponent, Token) and _WHOLE.fullmatch(exponent.text)):
        raise FormulaError(
            pointed("The power of a term must be a whole number from 1 to 999999999.", text, exponent.start)
        )
    return RightSide(f"{base.text}**{exponent.text}", powered(base.terms, int(exponent.text)), base.factors)


def _operand(part: Part, i: int, around: Surroundings) -> RightSide:
    item = part.items[i]
    if isinstance(item, Group):
        _refuse_intercept(item, around.text)
        inner = _sum(item.items, item.end - 1, around)
        return replace(inner, text=f"({inner.text})")
    if item.kind == "number":
        if len(part.items) > 1 or item.text not in ("0", "1"):
            message = "The only numbers that can stand as a term are 0 and 1; write I(...) round arithmetic."
            raise FormulaError(pointed(message, around.text, item.start))
        return RightSide(item.text, (INTERCEPT,), ())
    if item.kind == "text":
        raise FormulaError(pointed("A text literal cannot be a term; name a column.", around.text, item.start))
    if item.kind == "dot":
        others = _others(item, around)
        return RightSide(f"({' + '.join(map(quoted, others))})", tuple((name,) for name in others), others)
    if item.kind == "name":
        return RightSide(quoted(item.text), ((item.text,),), (item.text,))
    expression = checked_expression(item.text, item.start, around.text, around.columns)
    factor = as_name(formatted(expression))
    return RightSide(expression, ((factor,),), (factor,))


def _refuse_intercept(group: Group, text: str) -> None:
    """Inside parentheses that stay, R and formulaic disagree about what 0 and 1 mean."""
    for part in sum_parts(group.items, text, group.end - 1):
        if _is_number(part.single):
            message = "Write the 0 or 1 for the intercept outside of these parentheses."
            raise FormulaError(pointed(message, text, part.items[0].start))


def _others(dot: Token, around: Surroundings) -> tuple[str, ...]:
    """The columns that the dot stands for."""
    if around.others is None:
        message = "'.' stands for all other columns; it needs the names of the data's columns."
        raise FormulaError(pointed(message, around.text, dot.start))
    if not around.others:
        raise FormulaError(pointed("The data have no other columns that '.' could stand for.", around.text, dot.start))
    for name in around.others:
        if RESERVED.search(name):
            raise FormulaError(pointed(f"The column {name!a} holds a reserved character.", around.text, dot.start))
    return around.others


def checked_expression(source: str, start: int, text: str, columns: Collection[str]) -> str:
    """The expression in Python's spelling, checked; messages point into the formula."""
    expression = to_python(source, columns)
    try:
        parsed(expression)
    except FormulaError as error:
        raise FormulaError(pointed(str(error), text, start)) from error.__cause__
    return expression
