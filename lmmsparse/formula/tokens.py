"""The pieces of a formula: names, numbers, calls with their arguments, operators, each with its exact place.

A call is one piece, unless a bar stands in its parentheses: then it is a random-effects term, ``cs(x | g)``, and what
is inside is split like the rest.  A blank between a function and its parenthesis (``log (x)``, fine in R) is closed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lmmsparse.errors import FormulaError
from lmmsparse.formula.limits import PIECES
from lmmsparse.formula.pointing import pointed
from lmmsparse.formula.scan import blank_literals

# A number is not the beginning of a word; a word may begin with one.
PIECE = re.compile(
    r"(?P<blank>\s+)|(?P<operator>%[^%()\[\]{}]*%|\|\||\*\*)|(?P<quoted>`[^`]*`)|(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<number>[0-9.]+(?![\w.]))|(?P<name>[\w.]+)|(?P<bracket>[()\[\]])|(?P<brace>[{}])|(?P<sign>[^%])"
)
OPENER = re.compile(r"\s*\(")
OPENERS, CLOSERS = "([{", ")]}"


@dataclass(frozen=True)
class Token:
    """A piece of a formula.

    Attributes
    ----------
    kind : str
        ``"name"``, ``"call"``, ``"number"``, ``"text"``, ``"dot"``, ``"bracket"``, ``"operator"``, or ``"keyword"`` for
        the name before parentheses that hold a bar.
    text : str
        The characters of the piece; for a name, the name without its quotes.
    start, end : int
        Its place in the formula, ``end`` exclusive.
    """

    kind: str
    text: str
    start: int
    end: int


def tokens(text: str, start: int = 0) -> list[Token]:
    """Split a formula into tokens.

    Parameters
    ----------
    text : str
        The formula, or a part of one.
    start : int
        Offset of the first character to read; places are still counted from the beginning of ``text``.

    Raises
    ------
    FormulaError
        Brackets or quotes do not balance, or the text cannot be split.
    """
    blanked = blank_literals(text)
    pieces: list[Token] = []
    place = start
    while place < len(text):
        found = PIECE.match(blanked, place)
        if found is None:
            raise FormulaError(pointed("This '%' has no partner; write %in% between grouping factors.", text, place))
        kind, begin, place = str(found.lastgroup), place, found.end()
        if kind == "brace":
            raise FormulaError(
                pointed("Braces have no meaning in a formula; write I(...) round arithmetic.", text, begin)
            )
        if kind == "name" and _opens_bar(blanked, place):
            kind = "keyword"
        elif kind == "name":
            while place < len(text) and blanked[place] in "([":
                kind, place = "call", _closing(blanked, place) + 1
        if kind != "blank":
            pieces.append(_token(kind, text, begin, place))
        if len(pieces) > PIECES:
            raise FormulaError(pointed(f"The formula has more than {PIECES} names and operators.", text, begin))
    return _joined_calls(pieces, text)


def _opens_bar(blanked: str, place: int) -> bool:
    """Whether parentheses follow that hold a bar, not counting what is in brackets of its own."""
    found = OPENER.match(blanked, place)
    if found is None:
        return False
    opener = found.end() - 1
    depth = 0
    for char in blanked[opener : _closing(blanked, opener)]:
        depth += (char in OPENERS) - (char in CLOSERS)
        if char == "|" and depth == 1:
            return True
    return False


def _token(kind: str, text: str, start: int, end: int) -> Token:
    piece = text[start:end]
    if kind == "quoted":
        return Token("name", piece[1:-1], start, end)
    if kind in ("sign", "operator"):
        return Token("operator", "".join(piece.split()), start, end)
    return Token("dot" if piece == "." else kind, piece, start, end)


def _closing(blanked: str, opener: int) -> int:
    """Where the bracket that opens here is closed; that it is was checked before."""
    depth = 0
    for i in range(opener, len(blanked)):
        if blanked[i] in OPENERS:
            depth += 1
        elif blanked[i] in CLOSERS:
            depth -= 1
            if depth == 0:
                return i
    raise AssertionError("brackets were checked before")


def _joined_calls(pieces: list[Token], text: str) -> list[Token]:
    joined: list[Token] = []
    i = 0
    while i < len(pieces):
        piece = pieces[i]
        unquoted = piece.kind == "name" and text[piece.start] != "`"
        if unquoted and i + 1 < len(pieces) and pieces[i + 1].text == "(":
            last = _matching(pieces, i + 1)
            start, end = pieces[i + 1].start, pieces[last].end
            joined.append(Token("call", piece.text + text[start:end], piece.start, end))
            i = last
        else:
            joined.append(piece)
        i += 1
    return joined


def _matching(pieces: list[Token], opener: int) -> int:
    depth = 0
    for i in range(opener, len(pieces)):
        if pieces[i].kind == "bracket":
            depth += 1 if pieces[i].text in "([" else -1
            if depth == 0:
                return i
    raise AssertionError("brackets were checked before")
