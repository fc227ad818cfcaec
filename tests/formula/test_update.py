"""A formula made from another one: what R's update.formula does, bars and offsets included."""

import pytest

from lmmsparse.errors import ArgumentError, FormulaError
from lmmsparse.formula import parse_formula, updated_formula

OLD = "y ~ x + I(x^2) + (x | g)"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (". ~ .", "y ~ x + I(x^2) + (x | g)"),
        (". ~ . + z", "y ~ x + I(x^2) + (x | g) + z"),
        ("~ . - (x|g) + (1 | g)", "y ~ x + I(x^2) + (1 | g)"),
        ("log(.) ~ . - x", "log(y) ~ I(x^2) + (x | g)"),
        (". ~ . - 1", "y ~ x + I(x^2) + (x | g) - 1"),
        ("~ .:z", "y ~ (x + I(x^2)):z + (x | g)"),
        ("~ . + (x|g)", "y ~ x + I(x^2) + (x | g)"),
        ("w ~ z + (1 | k)", "w ~ z + (1 | k)"),
        ("~ . + offset(w)", "y ~ x + I(x^2) + (x | g) + offset(w)"),
    ],
)
def test_changes(change: str, expected: str) -> None:
    """The text of the new formula, which can be read."""
    assert updated_formula(OLD, change) == expected
    parse_formula(expected)


def test_a_term_that_a_product_holds_is_subtracted() -> None:
    """``x * z - x`` is not ``x * z``."""
    assert updated_formula("y ~ x * z + x + (1 | g)", "~ . - x") == "y ~ x * z + x + (1 | g) - x"
    assert updated_formula("y ~ . + (1 | g)", "~ . - x") == "y ~ . + (1 | g) - x"


def test_an_intercept_stays_outside_of_products() -> None:
    """Inside of parentheses 0 and 1 would be refused."""
    for old, change, new in [
        ("y ~ b - 1 + (1 | g)", "~ .:a", "y ~ (b):a - 1 + (1 | g)"),
        ("y ~ 0 + b + c + (1 | g)", "~ .^2", "y ~ (b + c)^2 + 0 + (1 | g)"),
    ]:
        assert updated_formula(old, change) == new
        parse_formula(new)


def test_parentheses_that_hold_a_bar_are_opened() -> None:
    """A bar inside of a sum in parentheses is a bar like others."""
    assert updated_formula("y ~ (x + (1|g)) + z", "~ . - (1 | g) + (1 | h)") == "y ~ x + z + (1 | h)"


def test_dots_in_names_and_literals_stay() -> None:
    """Only a dot by itself stands for the old side."""
    new = updated_formula("IQ.ver ~ `a . b` + (1 | g)", "log(.) ~ . + f(x, '.') + IQ.cen + 0.5:z")
    assert new == "log(IQ.ver) ~ `a . b` + (1 | g) + f(x, '.') + IQ.cen + 0.5:z"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("x", "needs a '~'"),
        (". ~ . ~ x", "one '~' only"),
        (". ~ ", "nothing to the right"),
        ("~ . - (1 | q)", r"no \(1 | q\) to take away"),
        ("~ z - .", "cannot be taken away"),
        ("~ (. | g)", "random-effects term"),
        ("~ . + ", "Nothing follows"),
    ],
)
def test_errors(change: str, message: str) -> None:
    """What cannot be read is said with its place."""
    with pytest.raises(FormulaError, match=message):
        updated_formula(OLD, change)


def test_only_text_is_a_change() -> None:
    """Anything else is refused by its type."""
    with pytest.raises(ArgumentError, match="not int"):
        updated_formula(OLD, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a  b", "a\tb", "a\nb", "a\u00a0b", "u \u2028 v"])
def test_blanks_in_quotes_are_kept(name: str) -> None:
    assert updated_formula("y ~ x + (1 | g)", f". ~ .   + `{name}`") == f"y ~ x + (1 | g) + `{name}`"
    assert updated_formula(f"y ~ x:`{name}` + (1 | g)", f". ~ . - x : `{name}`").startswith("y ~ ")
    changed = updated_formula("y ~ x + (1 | g)", f". ~ . + np.where(t ==  '{name}', 1, 0)")
    assert changed == f"y ~ x + (1 | g) + np.where(t == '{name}', 1, 0)"


def test_blanks_outside_of_quotes_do_not_count() -> None:
    assert updated_formula("y ~ log( x ) + z + (1 | g)", ". ~ . - log(x)") == "y ~ z + (1 | g)"
    assert updated_formula("y ~ z + (1|`a  b`)", ". ~ . - ( 1 | `a  b` ) + (1 | h)") == "y ~ z + (1 | h)"
