"""How large a formula may be: a stranger's text ends in an answer or an error, never in a machine that is busy."""

from __future__ import annotations

import re

CHARACTERS = 100_000
PIECES = 20_000
DEPTH = 100
TERMS = 5_000
# Coding an interaction asks for each subset of its factors.
ORDER = 10
GROUPINGS = 500
# Of one expression: its nodes, and how deep they lie in each other.
NODES = 2_000
NODE_DEPTH = 150
INTEGER = 2**63 - 1
NUMBER = 1e150
LITERAL = 10_000
COLUMNS_OF_A_TRANSFORM = 1_000
# Of the model matrix of one side.
COLUMNS = 20_000
DEGREE = 100
# What a message quotes of a text.
SHOWN = 160


def printable(text: str) -> str:
    """The text on one line, with a mark for every character that would steer a terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", re.sub(r"[\t\n\r]", " ", text))


def shown(text: str) -> str:
    """The text, or its beginning and its end when it is long, as it can be printed."""
    if len(text) > SHOWN:
        half = SHOWN // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return printable(text)
