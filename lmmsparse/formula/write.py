"""A part of the formula written out for formulaic: random effects and offsets left out, ``.`` spelled out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lmmsparse.errors import FormulaError
from lmmsparse.formula.expressions import parsed, quoted, to_python
from lmmsparse.formula.pointing import pointed
from lmmsparse.formula.tokens import Token
from lmmsparse.formula.tree import BARS, Group, Item, Part, find, is_operator, sum_parts

POWERS = ("^", "**")


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
    """Whether the item is ``( ... | ... )``."""
    return isinstance(item, Group) and bool(find(item.items, BARS))


def is_offset(item: Item | None) -> bool:
    """Whether the item is ``offset(...)``."""
    return isinstance(item, Token) and item.kind == "call" and item.text.startswith("offset(")


def write_sum(items: Sequence[Item], end: int, around: Surroundings) -> str:
    """The sum as text for formulaic; empty when it holds random effects and offsets only."""
    written = ""
    for part in sum_parts(items, around.text, end):
        negative, body = _write_summand(part, around)
        if body:
            sign = ("-" if negative else "") if not written else (" - " if negative else " + ")
            written += sign + body
    return written


def _write_summand(part: Part, around: Surroundings) -> tuple[bool, str]:
    """Sign and text of one summand; the text is empty for random effects and offsets."""
    item = part.single
    if is_bar(item) or is_offset(item):
        return part.negative, ""
    if isinstance(item, Token) and item.kind == "number" and item.text == "0" and part.negative:
        return False, "1"  # R: removing "no intercept" puts the intercept back
    if isinstance(item, Group) and not part.negative and not _subtracts_terms(item, around.text):
        return False, write_sum(item.items, item.end - 1, around)
    return part.negative, _write_part(part, around)


def _subtracts_terms(group: Group, text: str) -> bool:
    parts = sum_parts(group.items, text, group.end - 1)
    return any(part.negative and not _is_number(part.single) for part in parts)


def _is_number(item: Item | None) -> bool:
    return isinstance(item, Token) and item.kind == "number"


def _write_part(part: Part, around: Surroundings) -> str:
    written = ""
    for i, item in enumerate(part.items):
        if isinstance(item, Group):
            _refuse_intercept(item, around.text)
            inner = write_sum(item.items, item.end - 1, around)
            if not inner:
                return ""
            written += f"({inner})"
        elif item.kind == "operator":
            written += _write_operator(part.items, i, around.text)
        elif item.kind == "number":
            _check_number(part, i, around.text)
            written += item.text
        else:
            written += _write_operand(item, around)
    return written


def _refuse_intercept(group: Group, text: str) -> None:
    """Inside parentheses that stay, R and formulaic disagree about what 0 and 1 mean."""
    for part in sum_parts(group.items, text, group.end - 1):
        if _is_number(part.single):
            message = "Write the 0 or 1 for the intercept outside of these parentheses."
            raise FormulaError(pointed(message, text, part.items[0].start))


def _write_operator(items: Sequence[Item], i: int, text: str) -> str:
    operator = items[i]
    assert isinstance(operator, Token)
    if operator.text == "%in%":  # in R the same as ':'
        if isinstance(items[i - 1], Group) or isinstance(items[i + 1], Group):
            raise FormulaError(pointed("%in% stands between two columns; write ':' here.", text, operator.start))
        return ":"
    return "**" if operator.text in POWERS else f" {operator.text} "


def _write_operand(item: Token, around: Surroundings) -> str:
    if item.kind == "name":
        return quoted(item.text)
    if item.kind == "dot":
        return _write_dot(item, around)
    if item.kind == "text":
        raise FormulaError(pointed("A text literal cannot be a term; name a column.", around.text, item.start))
    return checked_expression(item.text, item.start, around.text, around.columns)


def checked_expression(source: str, start: int, text: str, columns: Collection[str]) -> str:
    """The expression in Python's spelling, checked; messages point into the formula."""
    expression = to_python(source, columns)
    try:
        parsed(expression)
    except FormulaError as error:
        raise FormulaError(pointed(str(error), text, start)) from error.__cause__
    return expression


def _write_dot(item: Token, around: Surroundings) -> str:
    if around.others is None:
        message = "'.' stands for all other columns; it needs the names of the data's columns."
        raise FormulaError(pointed(message, around.text, item.start))
    if not around.others:
        raise FormulaError(pointed("The data have no other columns that '.' could stand for.", around.text, item.start))
    return f"({' + '.join(map(quoted, around.others))})"


def _check_number(part: Part, i: int, text: str) -> None:
    number = part.items[i]
    assert isinstance(number, Token)
    if i > 0 and is_operator(part.items[i - 1], POWERS):
        if number.text.isdigit() and int(number.text) > 0:
            return
        raise FormulaError(pointed("The power of a term must be a whole number from 1 on.", text, number.start))
    if len(part.items) > 1 or number.text not in ("0", "1"):
        message = "The only numbers that can stand as a term are 0 and 1; write I(...) round arithmetic."
        raise FormulaError(pointed(message, text, number.start))
