"""Fixed-effect columns and the columns left of a bar."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from formulaic.transforms import ContrastsRegistry

from lmmsparse.errors import (
    ArgumentError,
    DataError,
    FormulaError,
    LmmError,
    MemoryLimitError,
    MissingRowsWarning,
    RankDeficiencyWarning,
)
from lmmsparse.formula import parse_formula
from lmmsparse.frame import ModelFrame, build_model_frame

N = 60
RNG = np.random.default_rng(20)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.normal(size=N),
        "z": RNG.uniform(1, 3, N),
        "k": np.arange(N) % 4,
        "a": np.array(list("ABC"))[np.arange(N) % 3],
        "b": np.array(list("uvwt"))[RNG.permutation(N) % 4],
        "p": RNG.random(N) > 0.5,
        "g": np.arange(N) % 10,
        "my x": RNG.normal(size=N),
        "IQ.ver": RNG.uniform(1, 2, N),
    }
)
ONE = np.ones(N)
LEVELS = {name: [(DATA[name] == level).to_numpy(float) for level in sorted(DATA[name].unique())] for name in "abk"}


def frame_of(text: str, data: Any = DATA, **arguments: Any) -> ModelFrame:
    return build_model_frame(parse_formula(text, list(data)), data, **arguments)


def test_numeric_columns() -> None:
    frame = frame_of("y ~ x + `my x` + IQ.ver + (1|g)")
    assert frame.fixed_names == ("(Intercept)", "x", "my x", "IQ.ver")
    np.testing.assert_array_equal(frame.X, np.column_stack([ONE, DATA.x, DATA["my x"], DATA["IQ.ver"]]))
    np.testing.assert_array_equal(frame.y, DATA.y)


@pytest.mark.parametrize("fixed", ["x - 1", "0 + x", "-1 + x", "x + 0", "(x - 1)", "1 + x - 1"])
def test_no_intercept(fixed: str) -> None:
    frame = frame_of(f"y ~ {fixed} + (1|g)")
    assert frame.fixed_names == ("x",)
    np.testing.assert_array_equal(frame.X, DATA[["x"]])


@pytest.mark.parametrize("fixed", ["x", "1 + x", "x - 0", "0 + x + 1", "x + x", "(x + (1|g))", "x + z - z"])
def test_intercept(fixed: str) -> None:
    frame = frame_of(f"y ~ {fixed} + (1|g)")
    assert frame.fixed_names == ("(Intercept)", "x")
    np.testing.assert_array_equal(frame.X, np.column_stack([ONE, DATA.x]))


def test_no_fixed_effects() -> None:
    frame = frame_of("y ~ 0 + (1|g)")
    assert frame.X.shape == (N, 0)
    assert frame.fixed_names == ()


def test_intercept_alone_is_a_matrix_of_its_own() -> None:
    frame = frame_of("y ~ 1 + (1|g)")
    assert frame.X.flags.writeable
    np.testing.assert_array_equal(frame.X, ONE[:, None])
    columns = frame.bars[0].columns
    assert columns.shape == (N, 1) and columns.strides[0] == 0 and not columns.flags.writeable
    assert frame.bars[0].names == ("(Intercept)",)


def test_treatment_contrasts() -> None:
    frame = frame_of("y ~ a*x + (0 + a|g)")
    assert frame.fixed_names == ("(Intercept)", "a[T.B]", "a[T.C]", "x", "a[T.B]:x", "a[T.C]:x")
    _, B, C = LEVELS["a"]
    np.testing.assert_array_equal(frame.X, np.column_stack([ONE, B, C, DATA.x, B * DATA.x, C * DATA.x]))
    assert frame.bars[0].names == ("a[A]", "a[B]", "a[C]")
    np.testing.assert_array_equal(frame.bars[0].columns, np.column_stack(LEVELS["a"]))


def test_logical_columns_are_factors() -> None:
    frame = frame_of("y ~ p + I(x > 0) + (0 + p|g)")
    assert frame.fixed_names == ("(Intercept)", "p[T.True]", "I(x > 0)[T.True]")
    np.testing.assert_array_equal(frame.X, np.column_stack([ONE, DATA.p, DATA.x > 0]))
    assert frame.bars[0].names == ("p[False]", "p[True]")
    np.testing.assert_array_equal(frame.bars[0].columns, np.column_stack([~DATA.p, DATA.p]))


def test_percent_in_is_an_interaction() -> None:
    left, right = frame_of("y ~ x %in% a + (1|g)"), frame_of("y ~ x:a + (1|g)")
    assert left.fixed_names == right.fixed_names
    np.testing.assert_array_equal(left.X, right.X)


@pytest.mark.parametrize("dtype", ["category", object, "string"])
def test_unused_levels_are_dropped(dtype: Any) -> None:
    data = DATA.astype({"a": dtype, "g": "category"})
    frame = frame_of("y ~ a + (a|g)", data, subset=(DATA.a != "A").to_numpy() & (DATA.g != 3).to_numpy())
    assert frame.fixed_names == ("(Intercept)", "a[T.C]")
    assert frame.bars[0].names == ("(Intercept)", "a[T.C]")
    assert frame.groupings["g"].levels.tolist() == ["0", "1", "2", "4", "5", "6", "7", "8", "9"]


def test_factor_of_numbers() -> None:
    for text in ("factor(k)", "as.factor(k)", "C(k)", "factor(k * 1.0)"):
        frame = frame_of(f"y ~ {text} + (1|g)")
        assert [name[-5:] for name in frame.fixed_names[1:]] == ["[T.1]", "[T.2]", "[T.3]"]
        np.testing.assert_array_equal(frame.X[:, 1:], np.column_stack(LEVELS["k"][1:]))
    assert frame_of("y ~ as.factor(k) + (1|g)").fixed_names[1] == "as.factor(k)[T.1]"


def test_expressions() -> None:
    text = "y ~ I(x^2) + log(IQ.ver) + log(z, 2) + sqrt(z) + abs(x) + exp(x) + log1p(z) + sin(x) + (1|g)"
    frame = frame_of(text)
    x, z, iq = DATA.x, DATA.z, DATA["IQ.ver"]
    expected = [ONE, x**2, np.log(iq), np.log2(z), np.sqrt(z), np.abs(x), np.exp(x), np.log1p(z), np.sin(x)]
    np.testing.assert_allclose(frame.X, np.column_stack(expected), rtol=1e-14)
    assert frame.fixed_names[1:4] == ("I(x ** 2)", "log(`IQ.ver`)", "log(z, 2)")


def test_names_that_confuse_formulaic() -> None:
    data = DATA.assign(**{"a b": DATA.x, "a b c": DATA.z, "µ": DATA.x + 1, "log": DATA.z, "Intercept": DATA.x**2})
    frame = frame_of("y ~ Intercept + I(`a b c` + 2*`a b`) + I(2*µ) + log(`log`) + (1|g)", data)
    expected = [ONE, DATA.x**2, DATA.z + 2 * DATA.x, 2 * (DATA.x + 1), np.log(DATA.z)]
    np.testing.assert_allclose(frame.X, np.column_stack(expected))
    np.testing.assert_array_equal(frame.spec.fixed(data), frame.X)
    assert frame.fixed_names[:2] == ("(Intercept)", "Intercept")


@pytest.mark.filterwarnings("ignore::lmmsparse.errors.RankDeficiencyWarning")
def test_text_literals_with_parentheses() -> None:
    data = DATA.assign(a=np.where(DATA.a == "A", "(^)", DATA.a))
    frame = frame_of(
        "y ~ I(a == '(^)') + factor(a, levels=['B', 'C', '(^)']) + (0 + factor(a, levels=['C', '(^)', 'B'])|g)", data
    )
    np.testing.assert_array_equal(frame.X[:, 1], DATA.a == "A")
    np.testing.assert_array_equal(frame.X[:, 2], DATA.a == "C")
    np.testing.assert_array_equal(frame.bars[0].columns[:, 1], DATA.a == "A")
    assert frame.dropped == ("factor(a, levels=['B', 'C', '(^)'])[T.(^)]",)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ("y/10", DATA.y / 10),
        ("y + 1", DATA.y + 1),
        ("-y^2", -(DATA.y**2)),
        ("log(IQ.ver)", np.log(DATA["IQ.ver"])),
        ("I(y + x)", DATA.y + DATA.x),
        ("p", DATA.p.astype(float)),
        ("x > 0", (DATA.x > 0).astype(float)),
        ("scale(y)", (DATA.y - DATA.y.mean()) / DATA.y.std()),
        ("`my x`", DATA["my x"]),
    ],
)
def test_response(left: str, expected: pd.Series) -> None:
    frame = frame_of(f"{left} ~ (1|g)")
    assert frame.y.dtype == np.float64
    np.testing.assert_allclose(frame.y, expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("left", "message"),
    [
        ("a", "response 'a' is text"),
        ("factor(k)", "is categorical"),
        ("c", "response 'c' is categorical"),
        ("t", "is a time"),
        ("I(t)", "is a time"),
    ],
)
def test_responses_that_are_no_numbers(left: str, message: str) -> None:
    data = DATA.assign(c=DATA.a.astype("category"), t=pd.date_range("2020-01-01", periods=N))
    with pytest.raises(DataError, match=message):
        frame_of(f"{left} ~ (1|g)", data)


@pytest.mark.parametrize(
    ("coding", "names", "matrix"),
    [
        ("sum", ("a[S.A]", "a[S.B]"), [[1, 0], [0, 1], [-1, -1]]),
        ("contr.sum", ("a[S.A]", "a[S.B]"), [[1, 0], [0, 1], [-1, -1]]),
        ("treatment", ("a[T.B]", "a[T.C]"), [[0, 0], [1, 0], [0, 1]]),
        ("sas", ("a[T.A]", "a[T.B]"), [[1, 0], [0, 1], [0, 0]]),
        ("helmert", ("a[H.B]", "a[H.C]"), [[-1, -1], [1, -1], [0, 2]]),
        ("contr.poly", ("a.L", "a.Q"), [[-(0.5**0.5), 6**-0.5], [0, -2 * 6**-0.5], [0.5**0.5, 6**-0.5]]),
        (ContrastsRegistry.treatment("B"), ("a[T.A]", "a[T.C]"), [[1, 0], [0, 0], [0, 1]]),
    ],
)
def test_contrasts(coding: Any, names: tuple[str, ...], matrix: list[list[float]]) -> None:
    frame = frame_of("y ~ a + (a|g)", contrasts={"a": coding})
    expected = np.array(matrix)[np.searchsorted(["A", "B", "C"], DATA.a)]
    for found, columns in ((frame.fixed_names, frame.X), (frame.bars[0].names, frame.bars[0].columns)):
        assert len(found) == 3
        if "poly" not in str(coding):
            assert found[1:] == names
        np.testing.assert_allclose(columns[:, 1:], expected, atol=1e-15)


def test_contrasts_of_an_expression_and_of_a_logical_column() -> None:
    frame = frame_of("y ~ factor(k) + p + (1|g)", contrasts={"factor( k )": "sum", "p": "sum"})
    assert frame.fixed_names[1:] == ("factor(k)[S.0]", "factor(k)[S.1]", "factor(k)[S.2]", "p[S.False]")
    np.testing.assert_array_equal(frame.X[:, 4], np.where(DATA.p, -1, 1))


@pytest.mark.parametrize(
    ("contrasts", "message"),
    [
        ({"A": "sum"}, "no term of the model; did you mean 'a'"),
        ({"a": "sums"}, "'sums' is none of 'treatment'"),
        ({"a": 3}, "must be one of"),
        ({"x": "sum"}, "'x', which is numeric"),
        (["a"], "must be a dict"),
    ],
)
def test_contrasts_that_cannot_be_used(contrasts: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        frame_of("y ~ a + x + (1|g)", contrasts=contrasts)


def test_aliased_columns_are_dropped_with_a_warning() -> None:
    message = r"fixed-effect model matrix is rank deficient so dropping 1 column: I\(2 \* x \+ 1\)"
    with pytest.warns(RankDeficiencyWarning, match=message):
        frame = frame_of("y ~ x + I(2*x + 1) + z + (1|g)")
    assert frame.fixed_names == ("(Intercept)", "x", "z")
    assert frame.dropped == ("I(2 * x + 1)",)
    np.testing.assert_array_equal(frame.X, np.column_stack([ONE, DATA.x, DATA.z]))
    np.testing.assert_array_equal(frame.spec.fixed(DATA), frame.X)
    with pytest.warns(RankDeficiencyWarning, match=r"dropping 2 columns: k2, k3"):
        frame_of("y ~ k + k2 + k3 + (1|g)", DATA.assign(k2=DATA.k * 2, k3=DATA.k - 7))


def test_too_many_columns() -> None:
    with pytest.raises(DataError, match="4 rows are left for 4 fixed-effect columns"):
        frame_of("y ~ factor(k) + (1|h)", DATA.iloc[:4].assign(h=[1, 1, 2, 2]))


def test_random_effects_without_columns() -> None:
    with pytest.raises(FormulaError, match=r"\(0\|g\) has no columns"):
        frame_of("y ~ (0|g)")


def test_factor_with_a_single_level() -> None:
    with pytest.raises(DataError, match="'a' has a single level, 'A'"):
        frame_of("y ~ a + (1|g)", subset=(DATA.a == "A").to_numpy())


def test_missing_expression_drops_rows_and_transforms_learn_from_the_rest() -> None:
    positive = (DATA.x > 0).to_numpy()
    for text in ("scale(log(x))", "scale(z) + log(x)"):
        with pytest.warns(MissingRowsWarning, match=rf"is missing in {(~positive).sum()} of 60 rows") as caught:
            frame = frame_of(f"y ~ {text} + (1|g)")
        assert len(caught) == 1
        np.testing.assert_array_equal(frame.rows, np.flatnonzero(positive))
        np.testing.assert_allclose(frame.X[:, 1].mean(), 0, atol=1e-14)
        np.testing.assert_allclose(frame.X[:, 1].std(ddof=1), 1)
    for text in ("log(x) ~ (1|g)", "y ~ (log(x)|g)", "y ~ offset(log(x)) + (1|g)", "y ~ (1|factor(k, levels=[0, 1]))"):
        with pytest.warns(MissingRowsWarning):
            frame = frame_of(text)
        kept = positive if "log" in text else (DATA.k < 2).to_numpy()
        np.testing.assert_array_equal(frame.rows, np.flatnonzero(kept))
    with pytest.raises(DataError, match=r"na_action='fail'.*'log\(x\)' is missing"):
        frame_of("y ~ log(x) + (1|g)", na_action="fail")


def test_levels_outside_of_those_named_are_missing() -> None:
    for text in ("C(k, levels=[0, 2])", "factor(k, levels=[0, 2])"):
        with pytest.warns(MissingRowsWarning, match="30 of 60"):
            frame = frame_of(f"y ~ {text} + (1|g)")
        np.testing.assert_array_equal(frame.X[:, 1], DATA.k[DATA.k % 2 == 0] == 2)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("y ~ w + (1|g)", "'w'"),
        ("w ~ (1|g)", "'w'"),
        ("y ~ (w|g)", "'w'"),
        ("y ~ I(1/w) + (1|g)", "'w'"),
        ("y ~ log(k) + (1|g)", r"'log\(k\)'"),
        ("log(k) ~ (1|g)", r"'log\(k\)'"),
        ("y ~ offset(1/k) + (1|g)", "'1/k'"),
    ],
)
def test_infinite_values(text: str, name: str) -> None:
    w = DATA.x.copy()
    w[2], w[7] = np.inf, -np.inf
    data = DATA.assign(w=w, k=DATA.k + (np.arange(N) < 2)).set_index(pd.Index([f"r{i}" for i in range(N)]))
    row = "'r2'" if "w" in text else "'r4'"
    with pytest.raises(DataError, match=f"{name} is infinite, first in row {row}"):
        frame_of(text, data)


def test_overflow_of_a_product_is_an_error() -> None:
    with pytest.raises(DataError, match="'big:huge' of the model matrix is not finite"):
        frame_of("y ~ big:huge + (1|g)", DATA.assign(big=1e300 * DATA.z, huge=1e300 * DATA.z))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y ~ np.mean(x) + (1|g)", "np.mean is none of the functions"),
        ("y ~ I(2) + (1|g)", "gives a single value"),
        ("y ~ x[:3] + (1|g)", "no subscripts"),
        ("3 ~ x + (1|g)", "gives a single value"),
        ("poly(x, 2) ~ z + (1|g)", r"gives an array of shape \(60, 2\)"),
        ("y ~ x + (1|np.mean(x))", "np.mean is none of the functions"),
        ("y ~ np.nothing(x) + (1|g)", "np.nothing is none of"),
        ("y ~ x.nothing() + (1|g)", "only the listed functions"),
        ("y ~ I(a + 1) + (1|g)", "TypeError"),
        ("y ~ poly(x, 0.5) + (1|g)", "poly"),
        ("y ~ x + (I(a / 2)|g)", "TypeError"),
        ("y ~ offset(a / 2) + (1|g)", "TypeError"),
        ("y ~ as.numeric(a) + (1|g)", "two meanings"),
    ],
)
def test_expressions_that_fail_are_quoted(text: str, message: str) -> None:
    with pytest.raises((FormulaError, DataError), match=message):
        frame_of(text)


def test_the_callers_variables_are_not_seen() -> None:
    threshold = 3.0
    with pytest.raises(FormulaError, match="no column 'threshold'"):
        frame_of("y ~ I(x > threshold) + (1|g)")
    assert threshold == 3.0


def test_no_warning_for_a_plain_frame() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame_of("log(z) ~ a*x + poly(z, 2) + bs(IQ.ver, df=4) + factor(k) + p + (x||a/b) + (1|g)")


@pytest.mark.parametrize(
    "name", ["1", "0", "~", ".", "\\", "a:b", "log(z)", "np", "contr", "I", "größe", "a\nb", "a\tb", "´"]
)
def test_any_name_is_a_column(name: str) -> None:
    data = DATA.rename(columns={"x": name})
    frame, plain = frame_of(f"y ~ a*`{name}` + scale(z) + (1|g)", data), frame_of("y ~ a*x + scale(z) + (1|g)")
    np.testing.assert_array_equal(frame.X, plain.X)
    np.testing.assert_array_equal(frame.spec.fixed(data), plain.X)
    assert frame.fixed_names[3] == name
    np.testing.assert_array_equal(frame_of(f"I(`{name}` * 2) ~ z + (1|g)", data).y, 2 * DATA.x)


def test_constants_and_few_values_in_transforms() -> None:
    data = DATA.assign(c=0.1)
    for text, message in (("scale(c)", "constant"), ("poly(k, 4)", "5 distinct values"), ("poly(x, 0)", "1 or more")):
        with pytest.raises(DataError, match=message):
            frame_of(f"y ~ {text} + (1|g)", data)


def test_raw_polynomials_are_numbered_from_one() -> None:
    frame = frame_of("y ~ poly(x, 2, raw=True) + (1|g)")
    assert frame.fixed_names[1:] == ("poly(x, 2, raw=True)[1]", "poly(x, 2, raw=True)[2]")
    np.testing.assert_allclose(frame.X[:, 2], DATA.x**2)


def test_hints() -> None:
    for text, data, message in (
        ("y ~ x + (1|g)", DATA.set_index("g"), "reset_index"),
        ("y ~ größe + (1|g)", DATA.rename(columns={"x": "gro\u0308ße"}), "NFC"),
        ("y ~ relevel(a, 'B') + (1|g)", DATA, r"C\(a, contr.treatment\('B'\)\)"),
    ):
        with pytest.raises(FormulaError, match=message):
            frame_of(text, data)


def test_numbers_as_text_are_named() -> None:
    texts = DATA.x.round(1).astype(str)
    texts[3] = "n/a"
    with pytest.warns(UserWarning, match="'x' is text.*'n/a' in row 3"):
        frame_of("y ~ x + (1|g)", DATA.assign(x=texts))
    with pytest.warns(UserWarning, match="'x' is text.*all of its values are numbers: convert it"):
        frame_of("y ~ x + (1|g)", DATA.assign(x=DATA.x.round(1).astype(str)))


def test_whole_numbers_as_text_are_names() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame_of("y ~ x + (1|g)", DATA.assign(x=(np.arange(len(DATA)) % 12).astype(str)))


def test_a_factor_with_a_level_a_row_is_named() -> None:
    with pytest.raises(DataError, match="of them are levels of x: is it a factor, or numbers that were read as text"):
        frame_of("y ~ x + (1|g)", DATA.assign(x=np.arange(len(DATA)).astype(str)))


@pytest.mark.parametrize("text", ["y ~ a:b + (1|g)", "y ~ x * a * b + (1|g)", "y ~ 1 + (0 + a:b|g)"])
def test_terms_without_bounds_are_refused_before_they_are_made(text: str) -> None:
    n = 400
    data = {"y": np.arange(n) % 7, "x": np.arange(n), "a": np.arange(n).astype(str), "b": np.arange(n).astype(str)}
    with pytest.raises(
        DataError, match=r"'a:b' would have 1[56].* columns in the model matrix, of which there may be 20000"
    ):
        build_model_frame(parse_formula(text), data | {"g": np.arange(n) % 9})


def test_a_model_matrix_beyond_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmmsparse.frame.materializer.usable_memory", lambda: 1e3)
    with pytest.raises(MemoryLimitError, match=r"'a' would have .* columns of .* rows"):
        frame_of("y ~ a + (1|g)", DATA)


def test_custom_contrasts_are_numbers_with_different_names() -> None:
    for call in ("contr.custom([['a','b'],['a','b'],['c','d']])", "contr.custom([[1,0],[0,1],[0,0]], names=['a','a'])"):
        with pytest.raises(LmmError, match="custom contrasts"):
            frame_of(f"y ~ C(a, {call}) + (1|g)")
    text = ContrastsRegistry.custom(np.array([["a", "b"]] * 3))
    for coding in (text, ContrastsRegistry.custom, type(text)):
        with pytest.raises(ArgumentError, match="contrasts of 'a'"):
            frame_of("y ~ a + (1|g)", contrasts={"a": coding})


def test_whole_numbers_that_floats_cannot_tell_apart_are_refused() -> None:
    labels = np.array([10**20 + i for i in range(len(DATA))], dtype=object)
    with pytest.raises(DataError, match="beyond 2\\*\\*63"):
        frame_of("y ~ x + (1|k)", DATA.assign(k=labels))
    assert frame_of("y ~ x + k + (1|g)", DATA.assign(k=[10**20 * (i + 1) for i in range(len(DATA))])).X.shape[1] == 3


@pytest.mark.parametrize("text", ["y ~ bs(x, knots=[1e308, -1e308]) + (1|g)", "y ~ np.where(x, 1e308, 1) + (1|g)"])
def test_numbers_beyond_reason_are_refused(text: str) -> None:
    with pytest.raises(FormulaError, match="numbers reach to 1e"):
        frame_of(text)


@pytest.mark.parametrize("literal", ["'\\d'", "'\\777'", "'" + "x" * 10_001 + "'"])
def test_texts_that_python_reads_with_a_warning_or_that_are_long_are_refused(literal: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FormulaError, match=r"not a valid expression|characters at most"):
            frame_of(f"y ~ I(a == {literal}) + (1|g)")
        frame_of("y ~ np.where(a == 'it\\'s', 0, x) + (1|g)")
