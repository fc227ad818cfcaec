"""A formula made from another one by saying what changes: ``. ~ . + x - (1 | g)``, as in R."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lmmsparse.errors import ArgumentError, FormulaError
from lmmsparse.formula.pointing import pointed
from lmmsparse.formula.scan import blank_literals, respaced
from lmmsparse.formula.tokens import tokens
from lmmsparse.formula.tree import Group, Item, nested, sum_parts, walk
from lmmsparse.formula.write import is_bar, is_offset

# A dot that is no part of a name or of a number.
DOT = re.compile(r"(?<![\w.])\.(?![\w.])")
INTERCEPTS = ("0", "1")


@dataclass(frozen=True)
class _Summand:
    """A term of a right-hand side as it was written.

    Attributes
    ----------
    negative : bool
    text : str
    kind : str
        ``"special"`` for random effects and offsets, ``"dot"`` for a dot alone, ``"plain"`` for a name, a number or a
        call, ``"compound"`` for what is made of several terms.
    start : int
        Its place.
    """

    negative: bool
    text: str
    kind: str
    start: int

    def like(self, other: _Summand) -> bool:
        """The same text but for blanks outside of quotes."""
        return respaced(self.text, "") == respaced(other.text, "")


def updated_formula(formula: str, change: str) -> str:
    """The formula with a change made to it.

    Parameters
    ----------
    formula : str
    change : str
        A formula in which ``.`` stands for the same side of the other one; without a left side the response stays.
        Terms that follow a minus sign are taken away.

    Returns
    -------
    str

    Raises
    ------
    FormulaError
        The change cannot be read, or takes away a random-effects term or an offset that is not there.
    ArgumentError
        ``change`` is not a string.

    Examples
    --------
    >>> updated_formula("y ~ x + (x | g)", "log(.) ~ . + z - (x | g) + (1 | g)")
    'log(y) ~ x + z + (1 | g)'
    """
    if not isinstance(change, str):
        raise ArgumentError(f"a change of the formula must be text such as '. ~ . + x', not {type(change).__name__}")
    response, old = _read(formula)
    left, wanted = _read(change)
    summands: list[_Summand] = []
    for summand in wanted:
        if summand.kind == "dot" and not summand.negative:
            summands += [other for other in old if not _holds(summands, other)]
        elif summand.negative:
            summands = _without(summands, summand, change)
        else:
            for part in _dots_replaced(summand, old):
                if not _holds(summands, part):
                    summands.append(part)
    sides = _replaced_dots(left.strip() or ".", response.strip()), _written(summands)
    return " ~ ".join(sides)


def _read(text: str) -> tuple[str, list[_Summand]]:
    """Left side and summands of the right one."""
    blanked = blank_literals(text)
    tilde = blanked.find("~")
    if tilde < 0:
        raise FormulaError(pointed("A change needs a '~', as in '. ~ . + x'.", text, None))
    if (second := blanked.find("~", tilde + 1)) >= 0:
        raise FormulaError(pointed("A formula has one '~' only.", text, second))
    items = nested(tokens(text, tilde + 1), text)
    if not items:
        raise FormulaError(pointed("There is nothing to the right of '~'.", text, tilde))
    return text[:tilde], _summands(items, text, len(text))


def _summands(items: Sequence[Item], text: str, end: int) -> list[_Summand]:
    out = []
    for part in sum_parts(items, text, end):
        item, start = part.single, part.items[0].start
        if item is None:
            kind = "compound"
        elif is_bar(item) or is_offset(item):
            kind = "special"
        elif isinstance(item, Group):
            inner = _summands(item.items, text, item.end - 1)
            if not part.negative and any(summand.kind == "special" for summand in inner):
                out += inner
                continue
            kind = "compound"
        else:
            kind = "dot" if item.kind == "dot" else "plain"
        source = respaced(text[start : part.items[-1].end])
        out.append(_Summand(part.negative, source, kind, start))
        if kind == "special" and "dot" in {token.kind for token in walk(part.items)}:
            message = "'.' cannot stand inside a random-effects term."
            raise FormulaError(pointed(message, text, start))
    return out


def _holds(summands: Sequence[_Summand], other: _Summand) -> bool:
    """A random-effects term or an offset is there already: twice, it would not be identified."""
    return other.kind == "special" and any(summand.like(other) for summand in summands)


def _dots_replaced(summand: _Summand, old: Sequence[_Summand]) -> list[_Summand]:
    """The summand with the old fixed part for each dot in it; the old intercept and random effects stay beside it."""
    if summand.kind != "compound" or not DOT.search(blank_literals(summand.text)):
        return [summand]
    beside = [other for other in old if other.kind == "special" or other.text in INTERCEPTS]
    fixed = _written([other for other in old if other not in beside])
    return [_Summand(False, _replaced_dots(summand.text, f"({fixed})"), "compound", summand.start), *beside]


def _without(summands: list[_Summand], removed: _Summand, change: str) -> list[_Summand]:
    """The summands less one of them."""
    if removed.kind == "dot":
        raise FormulaError(pointed("'.' cannot be taken away; name the terms that are to go.", change, removed.start))
    kept = [summand for summand in summands if summand.negative or not summand.like(removed)]
    if removed.kind == "special":
        if len(kept) == len(summands):
            there = ", ".join(summand.text for summand in summands if summand.kind == "special") or "none"
            message = f"There is no {removed.text} to take away; random effects and offsets are: {there}."
            raise FormulaError(pointed(message, change, removed.start))
        return kept
    # a compound term may hold what is removed, and the intercept is there without being written
    if removed.kind == "plain" and len(kept) < len(summands) and all(s.kind in ("plain", "special") for s in kept):
        return kept
    return [*summands, removed]


def _replaced_dots(text: str, by: str) -> str:
    pieces, last = [], 0
    for found in DOT.finditer(blank_literals(text)):
        pieces += [text[last : found.start()], by]
        last = found.end()
    return "".join([*pieces, text[last:]])


def _written(summands: Sequence[_Summand]) -> str:
    written = ""
    for summand in summands:
        sign = ("-" if summand.negative else "") if not written else (" - " if summand.negative else " + ")
        written += sign + summand.text
    return written or "1"
