"""A mixed-model formula, read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from lmmsparse.arguments import as_list, as_text, name_of
from lmmsparse.covariance import STRUCTURES
from lmmsparse.errors import ArgumentError, FormulaError
from lmmsparse.formula.expressions import expression_names
from lmmsparse.formula.grouping import Factors, expand_grouping
from lmmsparse.formula.pointing import pointed, suggestion
from lmmsparse.formula.scan import blank_literals, respaced
from lmmsparse.formula.tokens import Token, tokens
from lmmsparse.formula.tree import BARS, Group, Item, Part, find, groups, is_operator, nested, sum_parts, walk
from lmmsparse.formula.types import Bar, Formula
from lmmsparse.formula.write import Surroundings, checked_expression, is_bar, is_offset, right_side


@dataclass(frozen=True)
class _Term:
    """A random-effects term before its left side is written out."""

    left: tuple[Item, ...]
    left_end: int
    factors: Factors
    keyword: str
    group: Group


def parse_formula(text: str, columns: Sequence[str] = ()) -> Formula:
    """Read an lme4 formula.

    Parameters
    ----------
    text : str
        ``"response ~ fixed + (columns | grouping)"``; everything that lme4 accepts, and the name of a structure of
        covariances before a bar, ``cs(columns | grouping)``.
    columns : sequence of str, optional
        Names of the data's columns.  They are needed for ``.`` (all other columns), and they let dotted names
        (``IQ.ver.cen``) stand unquoted inside functions.

    Returns
    -------
    Formula

    Raises
    ------
    FormulaError
        The formula cannot be read; the message quotes it and points at the place.
    ArgumentError
        ``text`` is not a string.

    Examples
    --------
    >>> formula = parse_formula("strength ~ 1 + (1 | batch/cask)")
    >>> formula.fixed.text
    '1'
    >>> [bar.group for bar in formula.bars]
    ['cask:batch', 'batch']
    """
    plain = as_text(text)
    if plain is None:
        raise ArgumentError(f"formula must be text such as 'y ~ x + (1 | g)', not {type(text).__name__}.")
    return _parsed(plain, tuple(name_of(name) for name in as_list(columns)))


@lru_cache(maxsize=256)
def _parsed(text: str, names: tuple[str, ...]) -> Formula:
    known = frozenset(names)
    tilde = _tilde(text)
    response = _response(text, tilde, known)
    items = nested(tokens(text, tilde + 1), text)
    if not items:
        raise FormulaError(pointed("There is nothing to the right of '~'.", text, tilde))
    for group in groups(items):
        if group.keyword:
            _check_keyword(group, text)
    bar_groups, offset_calls = _special_terms(items, text, len(text))
    if not bar_groups:
        message = "No random effects terms specified in formula; add one such as (1 | group)."
        raise FormulaError(pointed(message, text, None))
    terms = [_term(group, text, known) for group in bar_groups]
    offsets = tuple(_offset(call, text, known) for call in offset_calls)
    others = _other_columns(names, response, terms, offsets) if names else None
    around = Surroundings(text, known, others)
    bars = tuple(bar for term in terms for bar in _bars(term, around))
    return Formula(text, response, right_side(items, len(text), around), bars, offsets)


def _tilde(text: str) -> int:
    blanked = blank_literals(text)
    tilde = blanked.find("~")
    if tilde < 0:
        message = "A formula needs a '~' between the response and the terms, as in 'y ~ x + (1 | g)'."
        raise FormulaError(pointed(message, text, None))
    second = blanked.find("~", tilde + 1)
    if second >= 0:
        raise FormulaError(pointed("A formula has one '~' only.", text, second))
    return tilde


def _response(text: str, tilde: int, columns: Collection[str]) -> str:
    source = text[:tilde]
    if not source.strip():
        raise FormulaError(pointed("There is no response to the left of '~'.", text, tilde))
    start = len(source) - len(source.lstrip())
    blanked = blank_literals(source)
    if "|" in blanked:
        raise FormulaError(pointed("A random-effects bar cannot stand in the response.", text, blanked.find("|")))
    return checked_expression(source, start, text, columns)


def _check_keyword(group: Group, text: str) -> None:
    """The name before a bar is that of a structure, and the bar is all that it takes."""
    name = group.keyword
    if name not in STRUCTURES:
        message = (
            f"There is no covariance structure {name!r} of random effects; there are {', '.join(STRUCTURES)}"
            f"{suggestion(name, STRUCTURES)} (Write a logical 'or' as np.logical_or(a, b).)"
        )
        raise FormulaError(pointed(message, text, group.start))
    named = find(group.items[1:2], ("=",)) and not find(group.items[2:3], ("=",))
    for item in group.items:
        if is_operator(item, (",",)) or (named and item is group.items[1]):
            message = f"{name}() takes one bar and nothing else: {name}(1 + x | g)."
            raise FormulaError(pointed(message, text, item.start))
    double = find(group.items, ("||",))
    if double:
        message = f"{name} and '||' both say how the effects covary: write {name}(x | g) or (x || g)."
        raise FormulaError(pointed(message, text, group.items[double[0]].start))


def _special_terms(items: Sequence[Item], text: str, end: int) -> tuple[list[Group], list[Token]]:
    """The random-effects terms and the offsets of a sum, in order."""
    bare = find(items, BARS)
    if bare:
        message = "Put parentheses round a random-effects term: (1 | g)."
        raise FormulaError(pointed(message, text, items[bare[0]].start))
    bars: list[Group] = []
    offsets: list[Token] = []
    for part in sum_parts(items, text, end):
        _check_place(part, text)
        item = part.single
        if isinstance(item, Group) and is_bar(item):
            bars.append(item)
        elif isinstance(item, Group):
            inner_bars, inner_offsets = _special_terms(item.items, text, item.end - 1)
            bars += inner_bars
            offsets += inner_offsets
        elif isinstance(item, Token) and is_offset(item):
            offsets.append(item)
    return bars, offsets


def _check_place(part: Part, text: str) -> None:
    """Bars and offsets are added, never subtracted, multiplied or handed to a function."""
    for token in walk(part.items):
        if token.kind == "call" and "|" in (blanked := blank_literals(token.text)):
            message = (
                "A bar cannot stand inside a function call: add (1 | g) as a term of its own"
                " (and write a logical 'or' as np.logical_or(a, b))."
            )
            name = token.text.partition("(")[0].strip()
            if name in STRUCTURES:
                message = f"The bar of {name}() stands in no other parentheses: write {name}(1 + x | g)."
            raise FormulaError(pointed(message, text, token.start + blanked.find("|")))
        bar, offset = is_operator(token, BARS), is_offset(token)
        if (bar or offset) and (part.negative or part.single is None):
            what = "A random-effects term" if bar else "An offset"
            how = "subtracted" if part.negative else "combined with other terms by anything but '+'"
            raise FormulaError(pointed(f"{what} cannot be {how}; add it.", text, token.start))


def _term(group: Group, text: str, columns: Collection[str]) -> _Term:
    places = find(group.items, BARS)
    inside = [token for token in walk(group.items) if is_operator(token, BARS)]
    if len(inside) > 1:
        raise FormulaError(pointed("A random-effects term has one bar only.", text, inside[1].start))
    bar = group.items[places[0]]
    assert isinstance(bar, Token)
    left, right = group.items[: places[0]], group.items[places[0] + 1 :]
    if not left:
        message = "There is nothing to the left of this bar; write (1 | g) for a random intercept."
        raise FormulaError(pointed(message, text, bar.start))
    if not right:
        raise FormulaError(pointed("There is no grouping factor to the right of this bar.", text, bar.start))
    for token in walk(group.items):
        if is_offset(token):
            raise FormulaError(pointed("An offset cannot stand inside a random-effects term.", text, token.start))
    factors = expand_grouping(right, text, group.end - 1, columns)
    return _Term(left, bar.start, factors, group.keyword or ("us" if bar.text == "|" else "diag"), group)


def _offset(call: Token, text: str, columns: Collection[str]) -> str:
    inside = call.text[len("offset(") : -1]
    if not inside.strip():
        raise FormulaError(pointed("There is nothing inside offset().", text, call.start))
    return checked_expression(inside, call.start, text, columns)


def _bars(term: _Term, around: Surroundings) -> list[Bar]:
    left = right_side(term.left, term.left_end, around)
    source = respaced(around.text[term.group.start : term.group.end])
    return [Bar(left, factors, term.keyword, source, term.group.start) for factors in term.factors]


def _other_columns(
    columns: Sequence[str], response: str, terms: Sequence[_Term], offsets: Sequence[str]
) -> tuple[str, ...]:
    grouping = [variable for term in terms for factors in term.factors for variable in factors]
    used = {name for expression in (response, *offsets, *grouping) for name in expression_names(expression).values}
    return tuple(dict.fromkeys(column for column in columns if column not in used))
