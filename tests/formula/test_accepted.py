"""What an expression can say: everything else is refused before anything is evaluated."""

from __future__ import annotations

import pytest

from lmmsparse.errors import FormulaError
from lmmsparse.formula import parse_formula
from lmmsparse.formula.expressions import parsed


@pytest.mark.parametrize(
    "expression",
    [
        "np.__builtins__['__import__']('os')",
        "np.lib._datasource.os.system('x')",
        "().__class__",
        "x.to_csv('f')",
        "np.save('f', x)",
        "np.loadtxt('f')",
        "np.random.normal(x)",
        "[k for k in x]",
        "(lambda: 1)()",
        "(x := 3)",
        "f'{x}'",
        "x[0]",
        "x if y else z",
        "x and y",
        "not x",
        "x < y < z",
        "x in y",
        "x @ y",
        "I(*x)",
        "I(**x)",
        "I(x, y)",
        "I()",
        "np.sin(x, out=x)",
        "np.sin(x, y)",
        "poly(x, 101)",
        "poly(x, degree=x)",
        "poly(x, 2, degree=2)",
        "bs(x, df=10**7)",
        "bs(x, df=1001)",
        "bs(x, knots=y)",
        "scale(x, wrong=1)",
        "C(x, contr.nothing)",
        "C(x, contr.sdif)",
        "C(x, contr.treatment(y))",
        "contr.sum",
        "np.sin",
        "[1, 2]",
        "10**10 + 99999999999999999999",
        "np.isin(x, [99999999999999999999])",
        "`np`.sin(x)",
        "`I`(x)",
        "b'x'",
        "1j * x",
        "...",
        "+".join(["x"] * 3000),
        "-" * 5000 + "x",
        "x" + "**x" * 500,
        "x\0",
    ],
)
def test_refused(expression: str) -> None:
    with pytest.raises(FormulaError):
        parsed(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "np.where((x > 1) & ~(y < 2) | (z == -1), 1, 0)",
        "C(f, contr.treatment(base='b'))",
        "C(f, contr.sum, levels=['a', 'b'])",
        "bs(x, knots=[1, 2.5], degree=2)",
        "np.pi * x ** 2 // 3 % 4 - +y",
        "factor(x, levels=(-1, 1))",
    ],
)
def test_accepted(expression: str) -> None:
    parsed(expression)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ " + "(" * 101 + "x" + ")" * 101 + " + (1|g)", "nested 100 deep"),
        ("y ~ `" + "x" * 100_000 + "` + (1|g)", "at most 100000"),
        ("y ~ " + "x+" * 10_001 + "(1|g)", "more than 20000"),
        ("y ~ " + "*".join(f"c{i}" for i in range(16)) + " + (1|g)", "at most 5000 terms of 10"),
        ("y ~ (" + "+".join(f"c{i}" for i in range(16)) + ")^16 + (1|g)", "at most 10"),
        (
            "y ~ ("
            + "+".join(f"c{i}" for i in range(200))
            + "):("
            + "+".join(f"d{i}" for i in range(300))
            + ") + (1|g)",
            "more than 5000",
        ),
        ("y ~ (1|" + "*".join(f"c{i}" for i in range(16)) + ")", "more than 500"),
        ("y ~ x^" + "9" * 5000 + " + (1|g)", "whole number from 1 to"),
        ("y ~ x^² + (1|g)", "whole number from 1 to"),
    ],
)
def test_limits_are_stated(formula: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message) as caught:
        parse_formula(formula)
    assert len(str(caught.value)) < 1000
