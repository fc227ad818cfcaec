"""Formulas that cannot be read: the message points at the character."""

from __future__ import annotations

import pytest

from lmmsparse.errors import FormulaError
from lmmsparse.formula import parse_formula
from lmmsparse.formula.expressions import BACK_QUOTE, EXPRESSION, TOKEN, alias_of


@pytest.mark.parametrize(
    ("text", "message", "pointed_at"),
    [
        ("y ~ x | g", "Put parentheses round", "|"),
        ("y ~ x*(1|g)", "combined with other terms", "|"),
        ("y ~ x:(1|g)", "combined with other terms", "|"),
        ("y ~ x/(1|g)", "combined with other terms", "|"),
        ("y ~ (x + (1|g))*z", "combined with other terms", "|"),
        ("y ~ x - (1|g)", "cannot be subtracted", "|"),
        ("y ~ x - (z + (1|g))", "cannot be subtracted", "|"),
        ("y ~ log((1|g))", "inside a function call", "|"),
        ("y ~ (|g)", "nothing to the left of this bar", "|"),
        ("y ~ (1|)", "no grouping factor", "|"),
        ("y ~ (1|g|h)", "one bar only", "|h"),
        ("y ~ (1 + (1|g)|h)", "one bar only", "|h"),
        ("y ~ (1 | | g)", "one bar only", "| g"),
        ("y ~ (1|1)", "cannot be a grouping factor", "1)"),
        ("y ~ (1|'g')", "cannot be a grouping factor", "'g'"),
        ("y ~ (1|a-b)", "cannot be subtracted", "b)"),
        ("y ~ (1|a^b)", "no meaning between grouping factors", "^"),
        ("y ~ x + (1|g", "never closed", "(1"),
        ("y ~ x + (1|g))", "closes nothing", ")"),
        ("y ~ f(x] + (1|g)", "Expected ')'", "]"),
        ("y ~ `x + (1|g)", "back-quote is never closed", "`"),
        ("y ~ `` + (1|g)", "no name between", "`"),
        ("y ~ f('x) + (1|g)", "quote is never closed", "'"),
        ("y ~ () + (1|g)", "nothing between these parentheses", "()"),
        ("y ~ x ~ (1|g)", "one '~' only", "~ (1"),
        ("   ~ (1|g)", "no response", "~"),
        ("y ~ ", "nothing to the right", "~"),
        ("y | z ~ x + (1|g)", "cannot stand in the response", "| z"),
        ("y ~ x & z + (1|g)", "has no meaning", "&"),
        ("y ~ x == 2 + (1|g)", "has no meaning", "=="),
        ("y ~ x $ z + (1|g)", "has no meaning", "$"),
        ("y ~ x z + (1|g)", "operator is missing", "z"),
        ("y ~ x + (1|g) z", "operator is missing", "z"),
        ("y ~ * x + (1|g)", "no term before", "*"),
        ("y ~ x * + z + (1|g)", "cannot stand here", "+"),
        ("y ~ (1|g) +", "Nothing follows", "+"),
        ("y ~ (x:|g)", "Nothing follows", ":"),
        ("y ~ 2*x + (1|g)", "only numbers", "2"),
        ("y ~ x + 3 + (1|g)", "only numbers", "3"),
        ("y ~ x^0 + (1|g)", "power of a term", "0"),
        ("y ~ x^z + (1|g)", "power of a term", "z"),
        ("y ~ x^(2) + (1|g)", "power of a term", "(2"),
        ("y ~ x^2^3 + (1|g)", "raised to a power", "^3"),
        ("y ~ z*(x - 1) + (1|g)", "outside of these parentheses", "1)"),
        ("y ~ 'a' + (1|g)", "text literal", "'a'"),
        ("y ~ [x] + (1|g)", "Square brackets", "["),
        ("y ~ {x} + (1|g)", "Braces", "{"),
        ("y ~ x - offset(z) + (1|g)", "offset cannot be subtracted", "offset"),
        ("y ~ x*offset(z) + (1|g)", "offset cannot be combined", "offset"),
        ("y ~ (offset(z)|g)", "cannot stand inside", "offset"),
        ("y ~ offset() + (1|g)", "nothing inside", "offset"),
        ("y ~ I(x +) + (1|g)", "not a valid expression", "I("),
        ("log(y ~ x + (1|g)", "never closed", "("),
        ("y +* 2 ~ x + (1|g)", "not a valid expression", "y"),
        ("y ~ I(x > 1 & z > 2) + (1|g)", "parentheses round each comparison", "I("),
        ("y ~ . + (1|g)", "needs the names", "."),
    ],
)
def test_message_points_at_the_place(text: str, message: str, pointed_at: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula(text)
    said, quoted, caret = str(caught.value).split("\n")
    assert message in said
    assert quoted == f"    {text}"
    column = caret.index("^")
    assert quoted[column:].startswith(pointed_at)


@pytest.mark.parametrize(
    ("text", "message"),
    [("x + (1|g)", "needs a '~'"), ("", "needs a '~'"), ("y ~ x", "No random effects terms specified")],
)
def test_errors_without_a_place_quote_the_formula(text: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message) as caught:
        parse_formula(text)
    assert text in str(caught.value)


def test_caret_is_on_the_right_line() -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula("y ~ x +\n\t  (1|g|h)")
    assert str(caught.value).endswith("\n       (1|g|h)\n           ^")


def test_dot_that_stands_for_nothing() -> None:
    with pytest.raises(FormulaError, match="no other columns"):
        parse_formula("y ~ . + (1|g)", ["y", "g"])


@pytest.mark.parametrize("mark", [EXPRESSION, BACK_QUOTE, TOKEN, "\ud800"])
@pytest.mark.parametrize(
    "text",
    [
        "y ~ `{}open(1)` + (1 | g)",
        "y ~ x + (`a{}` | g)",
        "y ~ log(`a{}`) + (1 | g)",
        "y ~ np.where(t == '{}u', 1, 0) + (1 | g)",
        "y ~ . + (1 | g)",
    ],
)
def test_reserved_characters_are_refused(text: str, mark: str) -> None:
    """What is written with them inside could be read as something else."""
    with pytest.raises(FormulaError, match="reserved character"):
        parse_formula(text.format(mark), ("y", "x", "g", f"a{mark}"))


def test_an_identifier_of_our_own_is_a_column_like_others() -> None:
    own = alias_of("x y")
    formula = parse_formula(f"y ~ I(`x y` + {own}) + (1 | g)", ("y", "g", "x y", own))
    assert set(formula.fixed.variables) == {"x y", own}
    assert parse_formula(f"y ~ {own} + (1 | g)").fixed.names == (own,)
