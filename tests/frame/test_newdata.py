"""The formula of a fit on new rows."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lmmsparse.errors import NewDataError
from lmmsparse.formula import parse_formula
from lmmsparse.frame import ModelFrame, NewData, build_model_frame

N = 60
RNG = np.random.default_rng(5)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.normal(size=N),
        "z": RNG.uniform(1, 3, N),
        "k": np.arange(N) % 4,
        "a": np.array(list("ABC"))[np.arange(N) % 3],
        "p": RNG.random(N) > 0.5,
        "g": np.arange(N) % 5,
        "my x": RNG.normal(size=N),
    }
)
TERMS = [
    "x",
    "`my x`",
    "a",
    "0 + a",
    "a:x",
    "p",
    "p*a",
    "I(x > 0)",
    "factor(k)",
    "C(k)",
    "C(a, contr.sum)",
    "poly(z, 3)",
    "bs(z, df=5)",
    "scale(x)",
    "center(x):a",
    "scale(log(z), center=FALSE)",
    "log(z) + I(`my x`^2)",
    "scale(x) + scale(`my x`)",
]


def spec_of(text: str, **arguments: Any) -> tuple[ModelFrame, NewData]:
    frame = build_model_frame(parse_formula(text, list(DATA)), DATA, **arguments)
    return frame, pickle.loads(pickle.dumps(frame.spec))


@pytest.mark.parametrize("term", TERMS)
def test_new_rows_get_the_columns_of_the_fit(term: str) -> None:
    frame, spec = spec_of(f"y ~ {term} + ({term}|g)")
    np.testing.assert_array_equal(spec.fixed(DATA), frame.X)
    np.testing.assert_array_equal(spec.bar_columns(DATA, 0), frame.bars[0].columns)
    some = [17, 3, 3, 58]
    np.testing.assert_allclose(spec.fixed(DATA.iloc[some]), frame.X[some], rtol=1e-13)
    one = {name: DATA[name].to_numpy()[5:6] for name in DATA if name not in ("y", "g")}
    np.testing.assert_allclose(spec.fixed(one), frame.X[5:6], rtol=1e-13)
    np.testing.assert_allclose(spec.bar_columns(one, 0), frame.bars[0].columns[5:6], rtol=1e-13)


@pytest.mark.parametrize("coding", ["sum", "helmert", "poly", "sas"])
def test_contrasts_carry_over(coding: str) -> None:
    frame, spec = spec_of("y ~ a*x + factor(k) + (a|g)", contrasts={"a": coding, "factor(k)": coding})
    some = [2, 5, 8]
    np.testing.assert_allclose(spec.fixed(DATA.iloc[some]), frame.X[some], atol=1e-15)
    np.testing.assert_allclose(spec.bar_columns(DATA.iloc[some], 0), frame.bars[0].columns[some], atol=1e-15)


@pytest.mark.parametrize("term", TERMS)
def test_missing_values_give_rows_of_nan(term: str) -> None:
    frame, spec = spec_of(f"y ~ {term} + ({term}|g)")
    gaps = DATA.astype(object)
    gaps.loc[7] = None
    expected = frame.X.copy()
    expected[7] = np.nan
    np.testing.assert_allclose(spec.fixed(gaps), expected, rtol=1e-13)
    assert np.isnan(spec.bar_columns(gaps, 0)[7]).all()
    nothing = spec.fixed(gaps.iloc[[7, 7]])
    assert nothing.shape == (2, frame.X.shape[1]) and np.isnan(nothing).all()


def test_missing_expressions_give_rows_of_nan() -> None:
    _, spec = spec_of("y ~ log(z) + offset(sqrt(z)) + (1|g)")
    new = {"z": [1.0, -1.0, 4.0]}
    np.testing.assert_allclose(spec.fixed(new), [[1, 0], [np.nan, np.nan], [1, np.log(4)]])
    np.testing.assert_allclose(spec.offset(new), [1, np.nan, 2])


def test_offsets_remember() -> None:
    frame, spec = spec_of("y ~ offset(scale(x)) + offset(2*`my x`) + (1|g)")
    np.testing.assert_allclose(spec.offset(DATA.iloc[[4]]), frame.offset[[4]])
    np.testing.assert_array_equal(np.isnan(spec.offset({"x": [None, 1.0], "my x": [1.0, 1.0]})), [True, False])
    _, without = spec_of("y ~ x + (1|g)")
    np.testing.assert_array_equal(without.offset({"q": [1, 2, 3]}), np.zeros(3))


def test_evaluating_does_not_change_the_spec() -> None:
    frame, spec = spec_of("y ~ scale(x) + bs(z, df=4) + offset(scale(z)) + (1|factor(g))")
    before = pickle.dumps(spec)
    spec.fixed(DATA.iloc[:3])
    spec.offset(DATA.iloc[:3])
    spec.codes(DATA.iloc[:3], "factor(g)")
    assert pickle.dumps(spec) == before
    np.testing.assert_array_equal(spec.fixed(DATA), frame.X)


def test_the_spec_holds_no_data() -> None:
    rows = 20_000
    data = {"y": RNG.normal(size=rows), "x": RNG.normal(size=rows), "a": np.arange(rows) % 3, "g": np.arange(rows) % 7}
    frame = build_model_frame(
        parse_formula("y ~ scale(x) + factor(a) + poly(x**2, 2) + offset(scale(x)) + (x + factor(a)|g)"), data
    )
    assert len(pickle.dumps(frame.spec)) < 40_000


@pytest.mark.parametrize("term", ["a", "x:a", "factor(k)", "C(k)", "0 + a"])
def test_unseen_levels_of_a_fixed_factor_are_an_error(term: str) -> None:
    _, spec = spec_of(f"y ~ {term} + (1|g)")
    new = {"a": ["A", "Q", "B", "R"], "k": [0, 99, 1, 98], "x": [1.0] * 4}
    with pytest.raises(NewDataError, match=r"new levels detected in newdata: .*('Q', 'R'|'99', '98')"):
        spec.fixed(new)


def test_unseen_logical_value_is_an_error() -> None:
    frame = build_model_frame(parse_formula("y ~ x + p + (1|g)"), DATA)
    with pytest.raises(NewDataError, match="'p' was logical in the fit"):
        frame.spec.fixed({"x": [1.0], "p": [2]})
    np.testing.assert_array_equal(frame.spec.fixed({"x": [1.0, 2], "p": [1, 0]})[:, 2], [1, 0])


@pytest.mark.parametrize(
    "values", [["B", "A"], pd.Categorical(["B", "A"], categories=["Z", "B", "A"]), np.array(["B", "A"], dtype=object)]
)
def test_levels_are_matched_whatever_their_storage(values: Any) -> None:
    _, spec = spec_of("y ~ a + (1|g)")
    np.testing.assert_array_equal(spec.fixed({"a": values}), [[1, 1, 0], [1, 0, 0]])


def test_numbers_match_the_text_they_were_in_the_fit() -> None:
    data = DATA.assign(k=DATA.k.astype(str))
    spec = build_model_frame(parse_formula("y ~ k + (1|g)"), data).spec
    np.testing.assert_array_equal(spec.fixed({"k": [2, 0]}), [[1, 0, 1, 0], [1, 0, 0, 0]])
    np.testing.assert_array_equal(spec.fixed({"k": [2.0, 0.0]}), spec.fixed({"k": ["2", "0"]}))


def test_polars_new_data() -> None:
    pl = pytest.importorskip("polars")
    frame, spec = spec_of("y ~ a + x + offset(z) + (x|g)")
    new = pl.DataFrame({name: DATA[name].tolist() for name in DATA}).head(4)
    np.testing.assert_array_equal(spec.fixed(new), frame.X[:4])
    np.testing.assert_array_equal(spec.codes(new, "g"), [0, 1, 2, 3])
    np.testing.assert_array_equal(spec.offset(new), DATA.z[:4])
    assert spec.index(new).tolist() == [0, 1, 2, 3]


def test_row_labels_of_new_data() -> None:
    _, spec = spec_of("y ~ x + (1|g)")
    assert spec.index(pd.DataFrame({"x": [1, 2]}, index=["u", "v"])).tolist() == ["u", "v"]


@pytest.mark.parametrize(
    ("term", "new", "message"),
    [
        ("x", {"X": [1.0]}, "lacks the column 'x', which the model needs; did you mean 'X'"),
        ("log(z)", {"x": [1.0]}, "lacks the column 'z'"),
        ("x", {"x": ["a"]}, "'x' was of kind 'number' in the fit, but is 'text' in newdata"),
        ("bs(z, df=4)", {"z": [100.0]}, r"bs\(z, df=4\)"),
    ],
)
def test_new_data_that_cannot_be_used(term: str, new: Any, message: str) -> None:
    _, spec = spec_of(f"y ~ {term} + (1|g)")
    with pytest.raises(NewDataError, match=message):
        spec.fixed(new)
