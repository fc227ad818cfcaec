"""Our tokens against formulaic's, which stand for the same pieces."""

from __future__ import annotations

import re

import pytest
from formulaic.parser.algos.tokenize import tokenize
from hypothesis import given
from hypothesis import strategies as st

from lmmsparse.errors import FormulaError
from lmmsparse.formula.scan import blank_literals
from lmmsparse.formula.tokens import Token, tokens
from tests.designs import generated

OPERATOR = re.compile(r"%[^%]*%|\|\||\*\*|\S")
KINDS = {"name": "name", "python": "call", "value": "number", "context": "bracket"}
PIECES = [
    "y", "x1", "Days", "IQ.ver.cen", "_a", "é", "`my x`", "`a|b`", "0", "1", "2.5", ".", "log(x)", "poly(x, 2)",
    "I(x^2)", "np.log(x + 1)", "factor(a, levels=['A', '(^'])", "f(g(x), [1, 2])[0]", "C(a)", "cut(x, c(0, 1))",
    "+", "-", "*", "/", ":", "^", "**", "|", "||", "~", "%in%", "(", ")", "(1|g)", "(0 + x || g)", " ", "  ",
]  # fmt: skip


def translated(text: str) -> list[Token]:
    """formulaic's tokens, operators one by one."""
    out: list[Token] = []
    for token in tokenize(blank_literals(text)):  # brackets inside of literals are none
        if token.kind is None:
            continue
        start, end, kind = token.source_start, token.source_end + 1, token.kind.value
        if text[start] == "%":
            out.append(Token("operator", "".join(text[start : end + 1].split()), start, end + 1))
        elif kind == "operator":
            out += [Token("operator", m.group(), m.start(), m.end()) for m in OPERATOR.finditer(text, start, end)]
        elif text[start] == "`":
            out.append(Token("name", text[start + 1 : end], start, end + 1))
        elif text[start:end] == ".":
            out.append(Token("dot", ".", start, end))
        else:
            out.append(Token(KINDS[kind], text[start:end], start, end))
    return out


def balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return False
    return depth == 0


@generated
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=9), st.sampled_from(["", " "]))
def test_tokens_are_formulaics(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    # names that touch, and a call after a blank, are ours alone
    if not balanced(text) or re.search(r"[\w.`\]]\s*\(|[\w.`)\]][`\w.\[]|\)\s*[\[(]", re.sub(r"\w+\(", "f", text)):
        return
    assert tokens(text) == translated(text)


@pytest.mark.parametrize(
    "text",
    [
        "y ~ x + (1 | g)",
        "log(y) ~ poly(x, 2) * a + (x || g:h)",
        "`my y` ~ `a|b` + I(x^2) - 1 + (0 + x | a/b)",
        "y ~ . + np.log(x + 1) ** 2 + a %in% b",
        "y ~ factor(a, levels=['A', '(^']) + offset(2.5 * x)",
    ],
)
def test_whole_formulas(text: str) -> None:
    assert tokens(text) == translated(text)


def test_ours_alone() -> None:
    assert [token.text for token in tokens("log (x) + f(x) [0]")] == ["log(x)", "+", "f(x)", "[", "0", "]"]
    with pytest.raises(FormulaError, match="no partner"):
        tokens("a % b")
    with pytest.raises(FormulaError, match="Braces"):
        tokens("{x}")
