"""One model, many kinds of frames: the numbers are the same, and frames come back in the caller's library."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lmmsparse import lmer
from tests.fits import quietly

Dataset = Callable[[str], pd.DataFrame]

DAYS = "Reaction ~ Days + (Days|Subject)"
SLEEP_REML = 1743.62827195849


def without_warning(*arguments: Any, **named: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return lmer(*arguments, **named)


# -- libraries ------------------------------------------------------------------------------------------------

LIBRARIES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda d: d,
    "pandas with pyarrow types": lambda d: d.convert_dtypes(dtype_backend="pyarrow"),
    "pandas with nullable types": lambda d: d.convert_dtypes(),
    "pandas with odd labels": lambda d: d.set_index(pd.MultiIndex.from_arrays([d.index[::-1], d.index % 3])),
    "polars": pl.from_pandas,
    "pyarrow": lambda d: pa.Table.from_pandas(d, preserve_index=False),
    "dict of arrays": lambda d: {name: d[name].to_numpy() for name in d},
    "dict of lists": lambda d: d.to_dict("list"),
    "dict of series of many libraries": lambda d: {
        name: library(d[name].to_list()) for name, library in zip(d, (pl.Series, pa.array, list), strict=True)
    },
}
RETURNED = {"polars": pl.DataFrame, "pyarrow": pa.Table}


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_library_of_the_data_does_not_matter(library: str, sleep: pd.DataFrame) -> None:
    reference = lmer(DAYS, sleep)
    data = LIBRARIES[library](sleep)
    m = without_warning(DAYS, data)
    assert m.criterion == pytest.approx(reference.criterion, abs=1e-9)
    np.testing.assert_allclose(m.theta, reference.theta, rtol=1e-9)
    assert m.fixef.to_dict() == pytest.approx(reference.fixef.to_dict())
    np.testing.assert_allclose(m.fitted, reference.fitted, rtol=1e-12)
    np.testing.assert_allclose(m.predict(data), reference.fitted, rtol=1e-12)
    texts = [str(fit.summary()).partition("Scaled residuals")[2] for fit in (m, reference)]
    assert texts[0] == texts[1] != ""


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("missing", ["Reaction", "Days", "Subject"])
def test_missing_values_of_any_library_are_dropped(library: str, missing: str, sleep: pd.DataFrame) -> None:
    sleep[missing] = sleep[missing].astype(object if missing == "Subject" else float)
    sleep.loc[:2, missing] = None
    m = without_warning(DAYS, LIBRARIES[library](sleep))
    assert m.nobs == 177
    assert m.criterion == pytest.approx(1712.99535312, abs=1e-6)


def test_polars_has_two_kinds_of_missing_values(sleep: pd.DataFrame) -> None:
    frame = pl.DataFrame(
        {
            "Reaction": [None, *sleep["Reaction"][1:]],
            "Days": [0.0, float("nan"), *sleep["Days"][2:].astype(float)],
            "Subject": ["308", "308", None, *sleep["Subject"][3:]],
        }
    )
    m = without_warning(DAYS, frame)
    assert m.nobs == 177
    assert m.criterion == pytest.approx(1712.99535312, abs=1e-6)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "dict of arrays"])
def test_frames_come_back_in_the_callers_library(library: str, sleep: pd.DataFrame) -> None:
    m = lmer(DAYS, LIBRARIES[library](sleep))
    expected = RETURNED.get(library, pd.DataFrame)
    for frames in (m.ranef(), m.coef()):
        assert type(frames["Subject"]) is expected
    frame, covariances = m.ranef(cond_var=True)["Subject"]
    assert type(frame) is expected and covariances.shape == (18, 2, 2)
    for vector in (m.fixef, m.bse, m.tvalues, m.fitted, m.resid(), m.hatvalues(), m.predict()):
        assert isinstance(vector, pd.Series)


@pytest.mark.parametrize(
    ("library", "columns"), [("polars", lambda f: f.columns), ("pyarrow", lambda f: f.column_names)]
)
def test_levels_are_a_column_where_there_is_no_index(library: str, columns: Any, sleep: pd.DataFrame) -> None:
    m, reference = lmer(DAYS, LIBRARIES[library](sleep)), lmer(DAYS, sleep)
    for got, want in ((m.ranef(), reference.ranef()), (m.coef(), reference.coef())):
        frame = got["Subject"]
        assert list(columns(frame)) == ["Subject", "(Intercept)", "Days"]
        assert list(frame["Subject"].to_pylist() if library == "pyarrow" else frame["Subject"]) == list(
            want["Subject"].index
        )
        np.testing.assert_allclose(frame["Days"].to_numpy(), want["Subject"]["Days"], rtol=1e-9)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_effects_of_one_name_stand_side_by_side(library: str, sleep: pd.DataFrame) -> None:
    m = quietly("Reaction ~ Days + (1|Subject) + (Days|Subject)", LIBRARIES[library](sleep))
    reference = quietly("Reaction ~ Days + (1|Subject) + (Days|Subject)", sleep)
    frame = m.ranef()["Subject"]
    assert frame.shape == (18, 3 if library == "pandas" else 4)
    total = m.coef()["Subject"]["(Intercept)"]
    np.testing.assert_allclose(total.to_numpy(), reference.coef()["Subject"]["(Intercept)"], rtol=1e-9)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_an_effect_named_as_its_factor_does_not_replace_the_levels(library: str, sleep: pd.DataFrame) -> None:
    m = quietly("Reaction ~ 1 + (Days|Days)", LIBRARIES[library](sleep))
    frame = m.ranef()["Days"]
    assert frame.shape == (10, 2 if library == "pandas" else 3)


# -- grouping variables ---------------------------------------------------------------------------------------

GROUPINGS: dict[str, Callable[[pd.Series], Any]] = {
    "integer": lambda g: g.astype(str).astype(int),
    "unsigned 16 bit": lambda g: g.astype(str).astype(np.uint16),
    "float": lambda g: g.astype(str).astype(float),
    "nullable integer": lambda g: g.astype(str).astype("Int32"),
    "str": lambda g: g.astype(str),
    "object": lambda g: g.astype(str).astype(object),
    "categorical": lambda g: g.astype("category"),
    "reversed categories": lambda g: g.cat.set_categories(g.cat.categories[::-1]),
    "ordered": lambda g: g.cat.as_ordered(),
}


@pytest.mark.parametrize("kind", GROUPINGS)
def test_type_of_the_grouping_variable_does_not_matter(kind: str, sleep: pd.DataFrame) -> None:
    sleep["Subject"] = GROUPINGS[kind](sleep["Subject"])
    m = without_warning(DAYS, sleep)
    assert m.criterion == pytest.approx(SLEEP_REML, abs=1e-6)
    modes = m.ranef()["Subject"]
    assert modes.loc["308"].tolist() == pytest.approx([2.25856, 9.19898], abs=1e-3)
    assert list(modes.index) == sorted(modes.index, reverse=kind == "reversed categories")


@pytest.mark.parametrize("kind", ["Enum", "Categorical", "String"])
def test_type_of_a_polars_grouping_variable_does_not_matter(kind: str, sleep: pd.DataFrame) -> None:
    labels = sleep["Subject"].astype(str).to_list()
    types = {"Enum": pl.Enum(["unused", *dict.fromkeys(labels)]), "Categorical": pl.Categorical, "String": pl.String}
    frame = pl.DataFrame({"Reaction": sleep["Reaction"], "Days": sleep["Days"]})
    m = without_warning(DAYS, frame.with_columns(pl.Series("Subject", labels, dtype=types[kind])))
    assert m.criterion == pytest.approx(SLEEP_REML, abs=1e-6)
    assert m.ngroups == {"Subject": 18}


@pytest.mark.parametrize("as_kind", [bool, int, str, "boolean", "category"])
def test_two_levels_of_any_type(as_kind: Any, sleep: pd.DataFrame) -> None:
    half = pd.Series(np.arange(180) % 4 < 2)
    m = quietly("Reaction ~ Days + (1|half)", sleep.assign(half=half.astype(as_kind)))
    reference = quietly("Reaction ~ Days + (1|half)", sleep.assign(half=np.where(half, "yes", "no")))
    assert m.criterion == pytest.approx(reference.criterion, abs=1e-9)


def test_levels_are_ordered_as_their_type_orders_them(sleep: pd.DataFrame) -> None:
    number = np.arange(180) // 10 + 1
    as_numbers = lmer("Reaction ~ 1 + (1|k)", sleep.assign(k=number)).ranef()["k"].index
    as_text = lmer("Reaction ~ 1 + (1|k)", sleep.assign(k=number.astype(str))).ranef()["k"].index
    assert list(as_numbers) == [str(k) for k in range(1, 19)]
    assert list(as_text) == sorted(as_numbers)


def test_interactions_of_large_codes_do_not_overflow() -> None:
    # 3e4 × 3e4 × 3e4 possible combinations pass 2^31 and, once more, 2^63 if they were not renumbered
    rng = np.random.default_rng(5)
    cells = rng.integers(0, 30_000, size=(400, 4))
    rows = np.repeat(np.arange(400), 3)
    names = ["a", "b", "c", "d"]
    data = {name: cells[rows, j] for j, name in enumerate(names)}
    data["y"] = rng.normal(size=400)[rows] + rng.normal(size=1200)
    m = lmer("y ~ 1 + (1|a:b:c:d)", data)
    reference = lmer("y ~ 1 + (1|cell)", {"y": data["y"], "cell": rows})
    assert m.ngroups == {"a:b:c:d": 400}
    assert m.criterion == pytest.approx(reference.criterion, abs=1e-9)
    np.testing.assert_allclose(m.predict({name: data[name] for name in names}), m.fitted, rtol=1e-12)


# -- numeric types --------------------------------------------------------------------------------------------

TYPES = ["int8", "uint8", "int16", "uint16", "uint32", "int64", "uint64", "float32", "Int8", "Float64"]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("formula", "criterion"),
    [
        (DAYS, SLEEP_REML),
        ("Reaction ~ I(Days - 5) + (Days|Subject)", SLEEP_REML),
        ("Reaction ~ I(-Days) + (Days|Subject)", SLEEP_REML),
        ("Reaction ~ I(Days * 100) + (Days|Subject)", SLEEP_REML + 2 * np.log(100.0)),
        ("Reaction ~ Days + (I(Days * 100)|Subject)", SLEEP_REML),
    ],
)
def test_arithmetic_does_not_overflow_in_small_types(
    dtype: str, formula: str, criterion: float, sleep: pd.DataFrame
) -> None:
    m = lmer(formula, sleep.assign(Days=sleep["Days"].astype(dtype)))
    assert m.criterion == pytest.approx(criterion, abs=1e-6)


@pytest.mark.parametrize("term", ["a:b", "a*b", "np.square(a)", "np.multiply(a, b)", "I(a*b)", "poly(a, 2)"])
def test_products_of_large_integers_do_not_overflow(term: str, sleep: pd.DataFrame) -> None:
    rng = np.random.default_rng(1)
    whole = sleep.assign(a=rng.integers(1, 9, 180) * 10**12, b=rng.integers(1, 9, 180) * 10**9)
    real = whole.astype({"a": float, "b": float})
    formula = f"Reaction ~ {term} + (1|Subject)"
    assert lmer(formula, whole).criterion == pytest.approx(lmer(formula, real).criterion, abs=1e-6)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "Int64", "float32"])
def test_type_of_the_response_does_not_matter(dtype: str, sleep: pd.DataFrame) -> None:
    whole = sleep.assign(Reaction=sleep["Reaction"].round())
    for formula in (DAYS, "I(Reaction - 300) ~ Days + (Days|Subject)", "I(Reaction * 1000) ~ Days + (1|Subject)"):
        m = lmer(formula, whole.assign(Reaction=whole["Reaction"].astype(dtype)))
        assert m.criterion == pytest.approx(lmer(formula, whole).criterion, abs=1e-7)


@pytest.mark.parametrize("kind", ["bool", "object", "boolean", "int", "polars"])
def test_logical_predictors(kind: str, sleep: pd.DataFrame) -> None:
    late = sleep["Days"] > 4
    frame = sleep.assign(late=late if kind == "polars" else late.astype(kind))
    m = lmer("Reaction ~ late + (1|Subject)", pl.from_pandas(frame) if kind == "polars" else frame)
    reference = lmer("Reaction ~ late + (1|Subject)", sleep.assign(late=late.astype(float)))
    assert m.criterion == pytest.approx(reference.criterion, abs=1e-9)
    assert list(m.fixef.index) == ["(Intercept)", "late" if kind == "int" else "late[T.True]"]


@pytest.mark.parametrize("kind", ["text", "categories with unused levels", "polars Enum", "polars String"])
def test_factors_as_predictors(kind: str, dataset: Dataset, fit: Callable[..., Any]) -> None:
    cake = dataset("cake")
    formula = "angle ~ recipe * temp + (1|replicate)"
    reference = fit(formula, "cake")
    frame: Any = cake.assign(recipe=cake["recipe"].astype(str))
    if kind == "categories with unused levels":
        frame = cake.assign(recipe=cake["recipe"].cat.add_categories(["D", "E"]))
    elif kind.startswith("polars"):
        dtype = pl.Enum(["A", "B", "C", "unused"]) if kind.endswith("Enum") else pl.String
        frame = pl.from_pandas(frame).with_columns(pl.col("recipe").cast(dtype))
    m = without_warning(formula, frame)
    assert m.criterion == pytest.approx(reference.criterion, abs=1e-9)
    assert list(m.fixef.index) == list(reference.fixef.index)


# -- names ----------------------------------------------------------------------------------------------------

ODD_NAMES = ["log", "C", "I", "scale", "offset", "np", "poly", "factor", "T", "True", "None", "lambda", "class", "in"]
ODD_NAMES += ["Intercept", "response", "a.b", "1", "x+y", "x1:x2", "C(x)", "with space", "µ", "it's", "(Intercept)"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_column_may_have_any_name(name: str, sleep: pd.DataFrame) -> None:
    frame = sleep.rename(columns={"Days": name})
    m = without_warning(f"Reaction ~ `{name}` + (`{name}`|Subject)", frame)
    assert m.criterion == pytest.approx(SLEEP_REML, abs=1e-6)
    assert list(m.fixef.index) == ["(Intercept)", name]
    np.testing.assert_allclose(m.predict(frame.iloc[:3]), m.fitted.iloc[:3], rtol=1e-12)


def test_column_names_that_are_no_text(sleep: pd.DataFrame) -> None:
    m = lmer("`0` ~ `1` + (`1`|`2`)", sleep.set_axis([0, 1, 2], axis=1))
    assert m.criterion == pytest.approx(SLEEP_REML, abs=1e-6)
