"""Places that messages point at."""

from __future__ import annotations

import pytest

from lmmsparse.formula import locate, pointed


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("x", "y ~ x + z", "x + z"),
        ("x", "y ~ xx + x.z + log(x)", "x)"),
        ("g", "y ~ I(a == 'g') + f(\"g\") + (1 | g)", "g)"),
        ("x", "y ~ `my x` + x", "x"),
        ("my x", "y ~ x + `my x`", "my x`"),
        ("IQ.ver", "y ~ log(IQ.ver)", "IQ.ver)"),
        ("a (b", "y ~ `a (b` + z", "a (b` + z"),
    ],
)
def test_the_first_place_where_it_is_a_name(name: str, text: str, expected: str) -> None:
    place = locate(name, text)
    assert place is not None and text[place:].startswith(expected)


def test_a_name_that_is_not_there() -> None:
    assert locate("x", "y ~ z + 'x' + `x x`") is None


def test_a_formula_cannot_steer_the_terminal() -> None:
    text = "y ~ `x\x1b[31m\x9b` + (1 | g)"
    message = pointed("No column.", text, text.index("x"))
    assert message.splitlines()[1:] == ["    y ~ `x\ufffd[31m\ufffd` + (1 | g)", "         ^"]
    assert "\x1b" not in pointed("No column.", text, None)
