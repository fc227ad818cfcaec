"""R's spelling of expressions to Python's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmsparse.errors import FormulaError
from lmmsparse.formula.expressions import expression_names, plain_name, quoted, readable_by_python, to_python
from lmmsparse.formula.pointing import locate, suggestion
from lmmsparse.formula.tokens import tokens


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("x^2", "x**2"),
        ("f('^', \"^\", `a^b`, x^2)", "f('^', \"^\", `a^b`, x**2)"),
        ("f(TRUE, FALSE, `TRUE`, 'TRUE')", "f(True, False, `TRUE`, 'TRUE')"),
        ("as.factor(as.numeric(x))", "as_factor(as_numeric(x))"),
        ("log(a.b)", "log(`a.b`)"),
        ("log(a.b + x.real)", "log(`a.b` + x.real)"),
        ("np.log(np.pi * x)", "np.log(np.pi * x)"),
        ("x.clip(0)", "x.clip(0)"),
        ("f(x).real", "f(x).real"),
        ("C(x, contr.sum)", "C(x, contr.sum)"),
        ("f(class, in_, lambda_)", "f(`class`, in_, lambda_)"),
        ("f(x, a.b=1)", "f(x, a.b=1)"),
        ("1e5 + 1.5e-3^2", "1e5 + 1.5e-3**2"),
        ("a.b == 2", "`a.b` == 2"),
        ("sin(2*pi*x)", "sin(2*np.pi*x)"),
    ],
)
def test_to_python(text: str, python: str) -> None:
    assert to_python(text, {"a.b", "x", "class"}) == python


def test_a_column_is_before_a_constant() -> None:
    assert to_python("sin(2*pi*x)", {"x", "pi"}) == "sin(2*pi*x)"


def test_quoted_names_become_identifiers_and_come_back() -> None:
    readable, aliases = readable_by_python("log(`my x`) + `my x` / `quoted` + plain + '`no`'")
    assert "`my x`" not in readable and "'`no`'" in readable
    assert sorted(aliases.values()) == ["my x", "quoted"]
    names = expression_names("log(`my x`) + `my x` / `quoted` + plain")
    assert names.values == ("my x", "quoted", "plain")
    assert names.calls == ("log",)


def test_a_name_is_a_module_only_before_a_dot() -> None:
    names = expression_names("f(np, np.sin(np.pi * z))")
    assert names.values == ("np", "z")
    assert names.calls == ("f",)
    assert names.modules == ("np",)


@pytest.mark.parametrize("expression", ["x +", "f(", "x $ y", "x > 1 & y > 2", "(x > 1) == y | z"])
def test_refused_expressions(expression: str) -> None:
    with pytest.raises(FormulaError):
        expression_names(expression)


def test_parenthesised_comparisons_are_fine() -> None:
    assert expression_names("(x > 1) & (y > 2)").values == ("x", "y")


@given(st.text(st.characters(exclude_characters="`", exclude_categories=["C"]), min_size=1, max_size=8))
def test_any_name_survives_quoting(name: str) -> None:
    (token,) = tokens(quoted(name)) if name != "." else tokens("`.`")
    assert (token.kind, token.text) == ("name", name)
    assert plain_name(quoted(name)) == name
    assert name in ("np", "contr") or expression_names(f"f({quoted(name)})").values == (name,)


@given(st.text("xy1 +-*/:^|~()[]`'.,\n%=", max_size=12))
def test_tokens_are_slices_of_the_text_or_an_error(text: str) -> None:
    try:
        pieces = tokens(text)
    except FormulaError:
        return
    assert all(pieces[i].end <= pieces[i + 1].start for i in range(len(pieces) - 1))
    for piece in pieces:
        assert "".join(piece.text.split()) in "".join(text[piece.start : piece.end].split())


def test_suggestion_ends_the_sentence() -> None:
    assert suggestion("Dayz", ["Days", "Subject"]) == "; did you mean 'Days'?"
    assert suggestion("DAYS", ["Days", "DAYZ"]) == "; did you mean 'Days'?"
    assert suggestion("q", ["Days"]) == "."


def test_locate_finds_whole_names() -> None:
    assert locate("x", "xx ~ x.y + x") == 11
    assert locate("z", "y ~ x") is None
