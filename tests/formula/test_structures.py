"""Structures of covariances in formulas: ``cs(1 + x | g)`` and its kin, whose names are those of `STRUCTURES`."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmsparse.covariance import STRUCTURES, Diagonal
from lmmsparse.errors import FormulaError
from lmmsparse.formula import parse, parse_formula, updated_formula, written_bar

COLUMNS = ("y", "x", "z", "g", "h", "a", "b", "f", "cs", "my g")
KEYWORDS = ("us", "diag", "cs", "homcs", "homdiag")


@pytest.fixture(autouse=True, scope="module")
def structures() -> Iterator[None]:
    """Every keyword is known; what it stands for does not matter here."""
    with pytest.MonkeyPatch.context() as patch:
        for keyword in KEYWORDS:
            patch.setitem(STRUCTURES, keyword, STRUCTURES.get(keyword, Diagonal))
        yield
    parse._parsed.cache_clear()


def bars_of(text: str) -> list[tuple[str, str, str]]:
    return [(bar.keyword, bar.left.text, bar.group) for bar in parse_formula(text, COLUMNS).bars]


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("(x | g)", [("us", "x", "g")]),
        ("(x || g)", [("diag", "x", "g")]),
        ("us(x | g)", [("us", "x", "g")]),
        ("diag(1 + x | g)", [("diag", "1 + x", "g")]),
        ("homdiag(0 + f | g)", [("homdiag", "0 + f", "g")]),
        ("cs(x | a/b)", [("cs", "x", "b:a"), ("cs", "x", "a")]),
        ("cs(x | a:b)", [("cs", "x", "a:b")]),
        ("cs(x | a*b)", [("cs", "x", "a"), ("cs", "x", "b"), ("cs", "x", "a:b")]),
        ("cs(x | a %in% b)", [("cs", "x", "a:b")]),
        ("homcs(0 + f | a + b)", [("homcs", "0 + f", "a"), ("homcs", "0 + f", "b")]),
        ("(cs(x | g))", [("cs", "x", "g")]),
        ("((cs(x | g)) + (z + us(1 | h)))", [("cs", "x", "g"), ("us", "1", "h")]),
        ("cs(x | g) + (x | g) + diag(x | g)", [("cs", "x", "g"), ("us", "x", "g"), ("diag", "x", "g")]),
        ("cs (x | g)", [("cs", "x", "g")]),
        ("cs\n(x\n|\tg)", [("cs", "x", "g")]),
        ("cs((x + z) | (a/b))", [("cs", "x + z", "b:a"), ("cs", "x + z", "a")]),
        ("cs(x*z - x | `my g`)", [("cs", "x * z - x", "my g")]),
        ("cs(poly(x, 2) + I(z^2) | factor(g))", [("cs", "poly(x, 2) + I(z**2)", "factor(g)")]),
        ("cs(I(f == 'a|b') | g)", [("cs", "I(f == 'a|b')", "g")]),
        ("cs(cs | cs)", [("cs", "cs", "cs")]),
        ("cs(cs(x, df=3) | cs)", [("cs", "cs(x, df=3)", "cs")]),
    ],
)
def test_bars(term: str, expected: list[tuple[str, str, str]]) -> None:
    assert bars_of(f"y ~ z + {term}") == expected


def test_a_bar_keeps_what_was_written() -> None:
    formula = parse_formula("y ~ x + offset(z) + (cs(1 +  x | a/b))", COLUMNS)
    assert (formula.fixed.text, formula.offsets) == ("x", ("z",))
    assert [bar.text for bar in formula.bars] == ["cs(1 + x | a/b)"] * 2
    assert [bar.name for bar in formula.bars] == ["cs(1 + x | b:a)", "cs(1 + x | a)"]
    assert [bar.position for bar in formula.bars] == [21, 21]
    assert pickle.loads(pickle.dumps(formula)) == formula
    assert hash(formula) == hash(parse_formula(formula.text, COLUMNS))


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_bars_are_written_as_they_are_read(keyword: str) -> None:
    (bar,) = parse_formula(f"y ~ {keyword}(1 + x | a:b)").bars
    assert bar.correlated == (keyword not in ("diag", "homdiag"))
    assert bar.name == written_bar(keyword, "1 + x", "a:b")
    (again,) = parse_formula(f"y ~ {bar.name}").bars
    assert (again.keyword, again.left, again.factors) == (bar.keyword, bar.left, bar.factors)
    assert written_bar("us", "x", "g") == "(x | g)"
    assert written_bar("diag", "x", "g") == "(x || g)"


def test_without_a_bar_the_names_are_free() -> None:
    formula = parse_formula("y ~ cs + cs(x, df=3) + diag + us(z) + (1 | cs)", COLUMNS)
    assert formula.fixed.text == "cs + cs(x, df=3) + diag + us(z)"
    assert [(bar.keyword, bar.group) for bar in formula.bars] == [("us", "cs")]


def test_the_dot_stands_for_what_such_terms_do_not_use() -> None:
    formula = parse_formula("y ~ . + cs(. | factor(g))", ("y", "x", "g", "z"))
    assert formula.fixed.text == "(x + z)"
    assert formula.bars[0].left.text == "(x + z)"


@pytest.mark.parametrize(
    ("right", "message", "pointed_at"),
    [
        ("ar2(x | g)", "no covariance structure 'ar2' of random effects; there are us, diag, ", "ar2"),
        ("(1|h) + ar2 (x | g)", "no covariance structure 'ar2'", "ar2"),
        ("Diag(x | g)", "did you mean 'diag'?", "Diag"),
        ("np.log(x | g)", "no covariance structure 'np.log'", "np.log"),
        ("x*I(a | b) + (1|g)", "np.logical_or(a, b)", "I("),
        ("cs(I(a | b) | g)", "np.logical_or(a, b)", "I("),
        ("offset(a | b) + (1|g)", "no covariance structure 'offset'", "offset"),
        ("cs(x || g)", "write cs(x | g) or (x || g)", "||"),
        ("us(x || g)", "write us(x | g) or (x || g)", "||"),
        ("cs(x | g, 3)", "cs() takes one bar and nothing else", ", 3"),
        ("cs(x | g, df=3)", "cs() takes one bar and nothing else", ", df"),
        ("cs(3, x | g)", "cs() takes one bar and nothing else", ", x"),
        ("cs(x = z | g)", "cs() takes one bar and nothing else", "= z"),
        ("cs(x == z | g)", "has no meaning", "== z"),
        ("cs((x | g))", "write cs(1 + x | g)", "| g"),
        ("log(cs(x | g))", "inside a function call", "| g"),
        ("f(x)(a | b) + (1|g)", "inside a function call", "| b"),
        ("x[a | b] + (1|g)", "inside a function call", "| b"),
        ("cs(|g)", "nothing to the left of this bar", "|"),
        ("cs(x|)", "no grouping factor", "|"),
        ("cs(x|g|h)", "one bar only", "|h"),
        ("cs(1 + (1|g) | h)", "one bar only", "| h"),
        ("(cs(x|g) | h)", "one bar only", "| h"),
        ("cs(x|cs(z|g))", "one bar only", "|g"),
        ("cs(x|'g')", "cannot be a grouping factor", "'g'"),
        ("cs(offset(z)|g)", "cannot stand inside", "offset"),
        ("x - cs(x|g)", "cannot be subtracted", "|"),
        ("x*cs(x|g)", "combined with other terms", "|"),
        ("cs(x|g):x", "combined with other terms", "|"),
        ("cs(x|g)(2)", "operator is missing", "(2"),
        ("cs(x|g)[2]", "Square brackets", "[2"),
        ("cs(x|g) us(x|h)", "operator is missing", "us"),
        ("`cs`(x|g)", "operator is missing", "("),
        ("cs(x|g", "never closed", "("),
        ("cs(x: | g)", "Nothing follows", ":"),
    ],
)
def test_message_points_at_the_place(right: str, message: str, pointed_at: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula(f"y ~ {right}")
    said, quoted, caret = str(caught.value).split("\n")
    assert message in said
    assert quoted == f"    y ~ {right}"
    assert quoted[caret.index("^") :].startswith(pointed_at)


@pytest.mark.parametrize(
    ("old", "change", "expected"),
    [
        ("y ~ x + cs(x | g)", ". ~ . - cs(x|g) + (1 | g)", "y ~ x + (1 | g)"),
        ("y ~ x + cs(x | g) + (1 | h)", ". ~ . - cs (x | g)", "y ~ x + (1 | h)"),
        ("y ~ x + (x | g)", ". ~ . - (x | g) + cs(x | g)", "y ~ x + cs(x | g)"),
        ("y ~ (x + cs(x | g))", ". ~ .:z", "y ~ (x):z + cs(x | g)"),
        ("y ~ x + cs(x | g)", ". ~ . + cs(x|g)", "y ~ x + cs(x | g)"),
    ],
)
def test_changes_of_formulas(old: str, change: str, expected: str) -> None:
    assert updated_formula(old, change) == expected
    parse_formula(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [("~ . - (x | g)", r"no \(x \| g\) to take away; .* are: cs\(x \| g\)"), ("~ cs(. | g)", "random-effects term")],
)
def test_changes_that_cannot_be_made(change: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        updated_formula("y ~ x + cs(x | g)", change)


BLANKS = st.sampled_from(["", " ", "\n", "\t "])
LEFTS = st.sampled_from(
    ["1", "x", "0 + f", "1 + x*z", "I(x^2) - 1", "`my g`", "poly(x, 2)", "(x + z)", "cs", "C(f, 'a|(')"]
)
GROUPS = st.sampled_from(["g", "a/b", "a:b", "a*b", "(a + b)/g", "`my g`", "factor(g)", "cs"])
TERMS = st.tuples(st.sampled_from(KEYWORDS), LEFTS, GROUPS, st.lists(BLANKS, min_size=6, max_size=6), st.integers(0, 2))


@given(st.lists(TERMS, min_size=1, max_size=3))
def test_a_keyword_changes_nothing_but_the_keyword(terms: list[tuple[str, str, str, list[str], int]]) -> None:
    """In any place and with any blanks: the bars of the same formula without keywords, with the keywords."""
    called, plain, keywords = [], [], []
    for keyword, left, group, blanks, depth in terms:
        inside = f"{blanks[1]}{left}{blanks[2]}|{blanks[3]}{group}{blanks[4]}"
        called.append("(" * depth + f"{keyword}{blanks[0]}({inside}){blanks[5]}" + ")" * depth)
        plain.append(f"({inside})")
        keywords += [keyword] * len(parse_formula(f"y ~ ({inside})", COLUMNS).bars)
    found = parse_formula(f"y ~ x + {' + '.join(called)}", COLUMNS)
    expected = parse_formula(f"y ~ x + {' + '.join(plain)}", COLUMNS)
    assert [bar.keyword for bar in found.bars] == keywords
    assert found.fixed == expected.fixed
    assert [(bar.left, bar.factors) for bar in found.bars] == [(bar.left, bar.factors) for bar in expected.bars]


@given(
    st.text(alphabet="xg|()[]+-*:,= \n'`~.1", max_size=14), st.sampled_from(["cs(", "cs", "(cs(x|g))", "cs(x|g", ""])
)
def test_any_text_is_a_formula_or_an_error_that_says_why(text: str, begin: str) -> None:
    try:
        formula = parse_formula(f"y ~ {begin}{text}", COLUMNS)
    except FormulaError:
        return
    assert formula.bars and all(bar.keyword in KEYWORDS for bar in formula.bars)
    assert parse_formula(formula.text, COLUMNS) == formula
