"""Messages that quote a formula and point at a character of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lmmsparse.arguments import near_miss
from lmmsparse.formula.limits import SHOWN, printable, shown


def pointed(message: str, text: str, position: int | None) -> str:
    """The message, the line of the formula that holds ``position``, and a caret below the character.

    Without a position the formula alone is quoted.
    """
    if position is None:
        return f"{message}\n    {shown(' '.join(text.split()))}"
    position = min(max(position, 0), len(text))
    begin = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    end = len(text) if end < 0 else end
    if end - begin > 2 * SHOWN:  # the neighbourhood of the place will do
        begin, end = max(begin, position - SHOWN // 2), min(end, position + SHOWN // 2)
    return f"{message}\n    {printable(text[begin:end])}\n    {' ' * (position - begin)}^"


def locate(name: str, text: str) -> int | None:
    """Offset of the first occurrence of ``name`` as a name in the formula, None when there is none.

    Text literals and longer names in back-quotes are passed over.
    """
    word = re.escape(name)
    other = r"`[^`]*`|\"[^\"]*\"|'[^']*'"
    for found in re.finditer(rf"(?P<quoted>`{word}`)|{other}|(?P<plain>(?<![\w.]){word}(?![\w.]))", text):
        if found.lastgroup:
            return found.start() + (found.lastgroup == "quoted")
    return None


def suggestion(name: str, candidates: Iterable[object]) -> str:
    """The end of a sentence: ``"; did you mean 'Days'?"`` for a near miss, else a full stop."""
    near = near_miss(name, candidates)
    return "." if near is None else f"; did you mean {near!r}?"
