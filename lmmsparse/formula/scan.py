"""One pass over the characters of a formula: brackets and quotes balance, and literals are blanked.

The blanked copy has the same length, so that offsets in it are offsets in the formula.  Everything that later
searches for an operator searches the copy, where no operator can hide in a text literal or in a quoted name.
"""

from __future__ import annotations

import re

from lmmsparse.errors import FormulaError
from lmmsparse.formula.limits import CHARACTERS, DEPTH
from lmmsparse.formula.pointing import pointed

CLOSERS = {"(": ")", "[": "]", "{": "}"}
FILLER = "_"
# Characters in which factors are written for formulaic, and halves of characters.
RESERVED = re.compile("[\u2035-\u2037\ud800-\udfff]")


def blank_literals(text: str) -> str:
    """Replace the inside of text literals and of back-quoted names by underscores.

    Raises
    ------
    FormulaError
        A bracket or a quote is not closed, or is closed without having been opened, or a character is reserved.
    """
    if len(text) > CHARACTERS:
        raise FormulaError(f"The formula has {len(text)} characters; at most {CHARACTERS} are read.")
    reserved = RESERVED.search(text)
    if reserved is not None:
        message = f"The reserved character {reserved[0]!a} cannot stand in a formula; rename the column."
        raise FormulaError(pointed(message, text, reserved.start()))
    blanked = list(text)
    opened: list[int] = []
    i = 0
    while i < len(text):
        char = text[i]
        if char in "`\"'":
            end = _closing_quote(text, i)
            blanked[i + 1 : end] = FILLER * (end - i - 1)
            i = end
        elif char in CLOSERS:
            opened.append(i)
            if len(opened) > DEPTH:
                raise FormulaError(pointed(f"Brackets can be nested {DEPTH} deep at most.", text, i))
        elif char in CLOSERS.values():
            _close(text, opened, i)
        i += 1
    if opened:
        raise FormulaError(pointed(f"This {text[opened[-1]]!r} is never closed.", text, opened[-1]))
    return "".join(blanked)


def _closing_quote(text: str, start: int) -> int:
    quote = text[start]
    i = start + 1
    while i < len(text) and text[i] != quote:
        i += 2 if text[i] == "\\" and quote != "`" else 1
    if i >= len(text):
        what = "back-quote" if quote == "`" else "quote"
        raise FormulaError(pointed(f"This {what} is never closed.", text, start))
    if quote == "`" and i == start + 1:
        raise FormulaError(pointed("There is no name between these back-quotes.", text, start))
    return i


def _close(text: str, opened: list[int], i: int) -> None:
    if not opened:
        raise FormulaError(pointed(f"This {text[i]!r} closes nothing; remove it or open it before.", text, i))
    expected = CLOSERS[text[opened.pop()]]
    if text[i] != expected:
        raise FormulaError(pointed(f"Expected {expected!r} here, found {text[i]!r}.", text, i))


def respaced(text: str, blank: str = " ") -> str:
    """The text with this in place of each run of blanks; what stands in quotes is left alone."""
    pieces, done = [], 0
    for found in re.finditer(r"\s+", blank_literals(text)):
        pieces.append(text[done : found.start()])
        done = found.end()
    return blank.join([*pieces, text[done:]]).strip()
