"""What a sum of terms says, which is read once."""

from __future__ import annotations

import pickle

import pytest
from formulaic import Formula as FormulaicFormula
from hypothesis import given
from hypothesis import strategies as st

from lmmsparse.errors import FormulaError
from lmmsparse.formula import RightSide, displayed, factor_of, parse_formula, readable
from lmmsparse.formula.expressions import as_name

COLUMNS = ("y", "x", "z", "a", "b", "IQ.ver", "my x", "µ", "log", "g")


def side_of(text: str) -> RightSide:
    formula = parse_formula(f"y ~ {text} + (1 | g)", COLUMNS)
    assert parse_formula(f"y ~ ({text} | g)", COLUMNS).bars[0].left == formula.fixed
    return formula.fixed


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("1", ["1"]),
        ("0", []),
        ("0 + x", ["x"]),
        ("x - 1 + z", ["x", "z"]),
        ("x + 0 + 1", ["1", "x"]),
        ("x - 0", ["1", "x"]),
        ("(x - 1) + z", ["x", "z"]),
        ("x + x + z - x", ["1", "z"]),
        ("a:b + b:a + x", ["1", "x", "a:b"]),
        ("a*b - a", ["1", "b", "a:b"]),
        ("x + (z - x)", ["1", "x", "z"]),
        ("x - (z + x)", ["1"]),
        ("a/b", ["1", "a", "a:b"]),
        ("(a + b)/x", ["1", "a", "b", "a:b:x"]),
        ("a/(b + x)", ["1", "a", "a:b", "a:x"]),
        ("a*b/x", ["1", "a", "b", "a:b", "a:b:x"]),
        ("a/b*x", ["1", "a", "x", "a:b", "a:x", "a:b:x"]),
        ("a*b:x", ["1", "a", "b:x", "a:b:x"]),
        ("(a + b + x)^2", ["1", "a", "b", "x", "a:b", "a:x", "b:x"]),
        ("(a + b)**7", ["1", "a", "b", "a:b"]),
        ("a:b**2", ["1", "a:b"]),
        ("(x - x)/z", ["1", "z"]),
        ("a %in% b", ["1", "a:b"]),
        ("as.factor( a ):`my x`", ["1", "as.factor(a):my x"]),
    ],
)
def test_terms(text: str, terms: list[str]) -> None:
    assert [":".join(map(displayed, term)) or "1" for term in side_of(text).terms] == terms


def test_the_parts_of_a_right_side() -> None:
    side = side_of("log(IQ.ver) * `my x` + log( IQ.ver ) + x - x")
    assert side.text == "log(`IQ.ver`) * `my x` + log( `IQ.ver` ) + x - x"
    assert str(side) == side.text
    assert side.names == ("my x", "x")
    assert side.expressions == ("log(`IQ.ver`)",)
    assert side.variables == ("my x", "x", "IQ.ver")
    assert side.has_intercept and not side_of("0 + x").has_intercept
    assert [sorted(map(displayed, key)) for key in side.keys] == [
        [],
        ["log(`IQ.ver`)"],
        ["my x"],
        ["log(`IQ.ver`)", "my x"],
    ]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("x", ("", "x")),
        ("0 + x + z", ("x", "z")),
        ("1", ("",)),
        ("0", ()),
        ("(x + z) - x", ("", "z")),
        (". - a - b", ("", "x", "z", "IQ.ver", "my x", "µ", "log")),
        ("log", ("", "log")),
        ("log(x)", None),
        ("x:z", None),
        ("x + x:z - x:z", ("", "x")),
    ],
)
def test_sums_of_columns_are_known_as_such(text: str, plain: tuple[str, ...] | None) -> None:
    assert parse_formula(f"y ~ {text} + (1 | g)", COLUMNS).fixed.plain == plain


def test_a_column_cannot_be_indexed() -> None:
    with pytest.raises(FormulaError, match="no subscripts"):
        side_of("IQ.ver[:3]")


def test_right_sides_are_values() -> None:
    side = side_of("a * log(x)")
    token = f"‷{as_name('log(x)').encode().hex()}‷"
    assert side.lookups == f"1 + `a` + `{token}` + `a`:`{token}`"
    assert (factor_of(token), readable(token)) == (as_name("log(x)"), "log(x)")
    copy = pickle.loads(pickle.dumps(side))
    assert copy == side and hash(copy) == hash(side)
    assert {side: 1}[copy] == 1
    with pytest.raises(AttributeError):
        side.text = "x"  # type: ignore[misc]


OPERANDS = st.sampled_from(["x", "z", "a", "b", "`my x`", "IQ.ver", "µ", "log", "log(x)", "I(x^2)", "poly(z, 2)"])


def products(operands: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    raised = st.one_of(operands, st.builds("{}^{}".format, operands, st.integers(1, 3)))
    return st.lists(st.tuples(st.sampled_from([":", "*", "/", " : "]), raised), min_size=1, max_size=3).map(
        lambda pairs: "".join([pairs[0][1], *(sign + operand for sign, operand in pairs[1:])])
    )


def sums(operands: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.tuples(st.sampled_from([" + ", " - "]), products(operands)), min_size=1, max_size=4).map(
        lambda pairs: "".join([pairs[0][1], *(sign + operand for sign, operand in pairs[1:])])
    )


SUMS = sums(st.recursive(OPERANDS, lambda inner: sums(inner).map("({})".format), max_leaves=5))
NUMBERED = st.lists(st.one_of(SUMS, st.sampled_from(["0", "1"])), min_size=1, max_size=4).map(" + ".join)


def formulaic_terms(text: str) -> list[list[str]]:
    return [[str(factor.expr) for factor in term.factors] for term in FormulaicFormula(text)]


@given(NUMBERED)
def test_terms_are_those_of_formulaic(text: str) -> None:
    side = side_of(text)
    written = side.text
    for expression in ("log(x)", "I(x**2)", "poly(z, 2)"):
        written = written.replace(expression, f"`‶{expression.replace('**', ' ** ')}`")
    terms = [list(term) or ["1"] for term in side.terms]
    assert [list(map(factor_of, term)) for term in formulaic_terms(side.lookups)] == terms
    try:
        expected = formulaic_terms(written)
    except TypeError:  # formulaic cannot nest within nothing: (x - x)/z
        return
    assert terms == expected


@given(NUMBERED)
def test_the_text_can_be_read_again(text: str) -> None:
    side = side_of(text)
    assert side_of(side.text) == side
