"""Formulas that lme4 accepts, taken apart as lme4 takes them apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmsparse.errors import ArgumentError, FormulaError
from lmmsparse.formula import Bar, RightSide, parse_formula

COLUMNS = ("y", "x", "z", "g", "h", "a", "b", "c", "IQ.ver.cen", "my y", "my x", "my g", "class")


def bars_of(text: str) -> list[tuple[str, str, bool]]:
    return [(bar.left.text, bar.group, bar.correlated) for bar in parse_formula(text, COLUMNS).bars]


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("(1|g)", [("1", "g", True)]),
        ("(x|g)", [("x", "g", True)]),
        ("(0+x|g)", [("0 + x", "g", True)]),
        ("(-1 + x|g)", [("-1 + x", "g", True)]),
        ("(x-1|g)", [("x - 1", "g", True)]),
        ("(x||g)", [("x", "g", False)]),
        ("(1|a/b)", [("1", "b:a", True), ("1", "a", True)]),
        ("(1|a/b/c)", [("1", "c:b:a", True), ("1", "b:a", True), ("1", "a", True)]),
        ("(x||a/b)", [("x", "b:a", False), ("x", "a", False)]),
        ("(1|a:b)", [("1", "a:b", True)]),
        ("(1|a %in% b)", [("1", "a:b", True)]),
        ("(1|a*b)", [("1", "a", True), ("1", "b", True), ("1", "a:b", True)]),
        ("(1|a+b)", [("1", "a", True), ("1", "b", True)]),
        ("(1|a+b+a)", [("1", "a", True), ("1", "b", True)]),
        ("(1|a:a)", [("1", "a", True)]),
        ("(1|(a/b))", [("1", "b:a", True), ("1", "a", True)]),
        ("(1|(a+b):c)", [("1", "a:c", True), ("1", "b:c", True)]),
        ("(1|(a+b)/c)", [("1", "c:a:b", True), ("1", "a", True), ("1", "b", True)]),
        ("(1|a/(b+c))", [("1", "b:a", True), ("1", "c:a", True), ("1", "a", True)]),
        ("((1|g))", [("1", "g", True)]),
        ("(((1|g)) + (x|h))", [("1", "g", True), ("x", "h", True)]),
        ("(1|factor(g))", [("1", "factor(g)", True)]),
        ("(1|as.factor(g))", [("1", "as.factor(g)", True)]),
        ("(1|np.floor(x))", [("1", "np.floor(x)", True)]),
        ("(1|factor(a):b)", [("1", "factor(a):b", True)]),
        ("(1|`my g`)", [("1", "my g", True)]),
        ("(1|class)", [("1", "class", True)]),
        ("(1|IQ.ver.cen)", [("1", "IQ.ver.cen", True)]),
        ("(poly(x, 2) + I(z^2)|g)", [("poly(x, 2) + I(z**2)", "g", True)]),
        ("(x\n  |\n\tg)", [("x", "g", True)]),
        ("(x*z|g)", [("x * z", "g", True)]),
        ("((x + z)|g)", [("x + z", "g", True)]),
        ("(1|g) + (0 + x|g)", [("1", "g", True), ("0 + x", "g", True)]),
    ],
)
def test_bars(term: str, expected: list[tuple[str, str, bool]]) -> None:
    assert bars_of(f"y ~ z + {term}") == expected


@pytest.mark.parametrize(
    ("right", "fixed"),
    [
        ("(1|g)", "1"),
        ("1 + (1|g)", "1"),
        ("0 + (1|g)", "0"),
        ("x + (1|g)", "x"),
        ("(1|g) + x", "x"),
        ("(x + (1|g))", "x"),
        ("x + ((1|g) + z)", "x + z"),
        ("((1|g) + (1|h))", "1"),
        ("x + + (1|g)", "x"),
        ("x - 1 + (1|g)", "x - 1"),
        ("x + -1 + (1|g)", "x - 1"),
        ("- -x + (1|g)", "x"),
        ("x - 0 + (1|g)", "x + 1"),
        ("(x - 1) + (1|g)", "x - 1"),
        ("a + x + (z - x) + (1|g)", "a + x + (z - x)"),
        ("(a + b)^2 + (1|g)", "(a + b)**2"),
        ("a %in% b + (1|g)", "a:b"),
        ("a*b - a:b + (1|g)", "a * b - a : b"),
        ("log (x) + (1|g)", "log(x)"),
        ("I(x ^ 2) + (1|g)", "I(x ** 2)"),
        ("`my x` + (1|g)", "`my x`"),
        ("IQ.ver.cen + log(IQ.ver.cen) + (1|g)", "`IQ.ver.cen` + log(`IQ.ver.cen`)"),
        ("scale(x, center=TRUE) + (1|g)", "scale(x, center=True)"),
        ("as.factor(x) + (1|g)", "as_factor(x)"),
        ("C(a, levels=['^(', 'TRUE']) + (1|g)", "C(a, levels=['^(', 'TRUE'])"),
        ("x + offset(z) + (1|g)", "x"),
        ("offset(z) + (1|g)", "1"),
    ],
)
def test_fixed_part(right: str, fixed: str) -> None:
    assert parse_formula(f"y ~ {right}", COLUMNS).fixed.text == fixed


@pytest.mark.parametrize(
    ("left", "response"),
    [
        ("y", "y"),
        ("log(y)", "log(y)"),
        ("y/10", "y/10"),
        ("y + 1", "y + 1"),
        ("I(a^2 + b)", "I(a**2 + b)"),
        ("-y^2", "-y**2"),
        ("`my y`", "`my y`"),
        ("IQ.ver.cen", "`IQ.ver.cen`"),
        ("log(IQ.ver.cen)/2", "log(`IQ.ver.cen`)/2"),
        ("\n y ", "y"),
    ],
)
def test_response(left: str, response: str) -> None:
    assert parse_formula(f"{left} ~ (1|g)", COLUMNS).response == response


def test_a_formula_keeps_what_the_user_wrote() -> None:
    formula = parse_formula("y ~ x + (1 | a/b) + ((x  ||\n g))")
    assert formula.text == "y ~ x + (1 | a/b) + ((x  ||\n g))"
    assert [bar.text for bar in formula.bars] == ["(1 | a/b)", "(1 | a/b)", "(x || g)"]
    assert [bar.position for bar in formula.bars] == [8, 8, 21]


def test_dot_stands_for_the_columns_that_are_not_used_otherwise() -> None:
    columns = ("y", "x", "my x", "g", "w", "s.t", "class")
    formula = parse_formula("log(y) ~ . + offset(w) + (1|factor(g))", columns)
    assert formula.fixed.text == "(x + `my x` + `s.t` + `class`)"
    assert parse_formula("y ~ .*x + (1|g)", ("y", "x", "z", "g")).fixed.text == "(x + z) * x"
    assert parse_formula("y ~ . - x + (1|g)", ("y", "x", "z", "g")).fixed.text == "(x + z) - x"


def test_dotted_names_need_no_columns_outside_of_functions() -> None:
    formula = parse_formula("IQ.post ~ IQ.ver + (IQ.ver|school.id)")
    assert formula.response == "`IQ.post`"
    assert formula.fixed.text == "`IQ.ver`"
    assert formula.bars[0].factors == ("`school.id`",)
    assert formula.bars[0].group == "school.id"


def test_offsets_are_collected() -> None:
    formula = parse_formula("y ~ offset(log(x)) + z + (offset(2*`my x`) + (1|g))", COLUMNS)
    assert formula.offsets == ("log(x)", "2*`my x`")
    assert formula.fixed.text == "z"


def test_a_column_may_be_called_offset() -> None:
    formula = parse_formula("y ~ offset + (offset|g)")
    assert formula.offsets == ()
    assert (formula.fixed.text, formula.bars[0].left.text) == ("offset", "offset")


def test_formula_must_be_text() -> None:
    with pytest.raises(ArgumentError, match="must be text"):
        parse_formula(3)  # type: ignore[arg-type]


def test_bars_are_plain_values() -> None:
    left = RightSide("1", ((),), ())
    bar = Bar(left, ("b", "a"), "us", "(1 | a/b)", 4)
    assert bar.group == "b:a"
    assert bar == parse_formula("y ~ (1 | a/b)").bars[0]
    assert hash(bar) == hash(parse_formula("y ~ (1 | a/b)").bars[0])


# A grouping side as a nested list: a name, or an operator with two sides.
NAMES = st.sampled_from(["a", "b", "c", "g", "h"])
GROUPINGS = st.recursive(
    NAMES, lambda sides: st.tuples(st.sampled_from(["/", ":", "*", "+"]), sides, sides), max_leaves=6
)


def written(grouping: object) -> str:
    if isinstance(grouping, str):
        return grouping
    assert isinstance(grouping, tuple)
    operator, left, right = grouping
    return f"({written(left)}) {operator} ({written(right)})"


def expanded(grouping: object) -> list[frozenset[str]]:
    """The factors that a grouping stands for, as sets of variables; the definition, written down once more."""
    if isinstance(grouping, str):
        return [frozenset(grouping)]
    assert isinstance(grouping, tuple)
    operator, left, right = grouping[0], expanded(grouping[1]), expanded(grouping[2])
    crossed = [one | other for one in left for other in right]
    if operator == "+":
        return left + right
    if operator == ":":
        return crossed
    if operator == "*":
        return left + right + crossed
    return left + [frozenset().union(*left) | other for other in right]


@given(GROUPINGS)
def test_grouping_sides_expand_as_defined(grouping: object) -> None:
    bars = parse_formula(f"y ~ (x | {written(grouping)})").bars
    assert {frozenset(bar.factors) for bar in bars} == set(expanded(grouping))
    assert len({bar.factors for bar in bars}) == len(bars)
    assert all(len(set(bar.factors)) == len(bar.factors) for bar in bars)


@pytest.mark.parametrize("text", ["y ~ x + -z + (1|g)", "y ~ x + (z + -x) + (1|g)", "y ~ x - +z + (1|g)"])
def test_two_signs_in_a_row_are_not_guessed(text: str) -> None:
    with pytest.raises(FormulaError, match="Two signs in a row"):
        parse_formula(text)


def test_a_sign_before_a_number_says_what_it_says() -> None:
    assert parse_formula("y ~ x + -1 + (1|g)").fixed == parse_formula("y ~ x - 1 + (1|g)").fixed
