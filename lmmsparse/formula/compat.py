"""The tokenizer of formulaic, behind tokens of our own.

Nothing else in this package touches formulaic.  Its tokenizer groups a call with its arguments, keeps quoted
names together and joins neighbouring operator characters; here the operators are separated again, every
token gets its exact place, and a blank between a function and its parenthesis (``log (x)``, fine in R) is
closed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from formulaic.errors import FormulaSyntaxError
from formulaic.parser.algos.tokenize import tokenize

from lmmsparse.errors import FormulaError
from lmmsparse.formula.pointing import pointed
from lmmsparse.formula.scan import blank_literals

OPERATOR = re.compile(r"%[^%]*%|\|\||\*\*|\S")
KINDS = {"name": "name", "python": "call", "value": "number", "context": "bracket"}


@dataclass(frozen=True)
class Token:
    """A piece of a formula.

    Attributes
    ----------
    kind : str
        ``"name"``, ``"call"``, ``"number"``, ``"text"``, ``"dot"``, ``"bracket"`` or ``"operator"``.
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
    try:
        for token in tokenize(" " * start + blanked[start:]):
            if token.kind is None or token.source_start is None or token.source_end is None:
                continue
            pieces.extend(_translate(token.kind.value, text, blanked, token.source_start, token.source_end + 1))
    except FormulaSyntaxError as error:
        raise FormulaError(pointed("This formula cannot be split into terms.", text, None)) from error
    return _joined_calls(pieces, text)


def _translate(kind: str, text: str, blanked: str, start: int, end: int) -> list[Token]:
    if blanked[start] == "%":
        return [Token("operator", "".join(text[start : end + 1].split()), start, end + 1)]
    if kind == "operator":
        found = OPERATOR.finditer(blanked, start, end)
        return [Token("operator", piece.group(), piece.start(), piece.end()) for piece in found]
    if blanked[start] == "`":
        return [Token("name", text[start + 1 : end], start, end + 1)]
    if blanked[start] == "{":
        message = "Braces have no meaning in a formula; write I(...) round arithmetic."
        raise FormulaError(pointed(message, text, start))
    if text[start:end] == ".":
        return [Token("dot", ".", start, end)]
    if blanked[start] in "\"'":
        return [Token("text", text[start:end], start, end)]
    return [Token(KINDS[kind], text[start:end], start, end)]


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
