"""Predictions for the rows of the fit and for new rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lmmsparse import lmer
from lmmsparse.errors import ArgumentError, DataError, LmmError, NewDataError
from tests.fits import quietly

Dataset = Callable[[str], pd.DataFrame]
Fit = Callable[..., Any]

DAYS = "Reaction ~ Days + (Days|Subject)"
RE_FORMS = {
    "all": None,
    "none": "~0",
    "intercepts": "~(1|Subject)",
    "slopes": "~(0 + Days|Subject)",
    "batches": "~(1|batch)",
    "plates": "~(1|plate)",
}


@pytest.fixture
def model(fit: Fit) -> Any:
    return fit(DAYS, "sleepstudy")


# -- against lme4 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("i", range(6))
def test_new_rows_and_new_levels_as_in_lme4(i: int, edge_cases: dict[str, Any], fit: Fit) -> None:
    case = edge_cases["predictions"][i]
    m = fit(case["formula"], case["data"])
    for asked, want in case["predicted"].items():
        got = m.predict(case["newdata"], re_form=RE_FORMS[asked], allow_new_levels=True)
        np.testing.assert_allclose(got, want, rtol=2e-6)


def test_known_and_new_subject(model: Any) -> None:
    new = {"Days": [20.0, 0.0], "Subject": ["no such subject", "308"]}
    predicted = model.predict(new, allow_new_levels=True)
    assert predicted.tolist() == pytest.approx([460.750824, 253.66366], abs=1e-4)


# -- rows of the fit --------------------------------------------------------------------------------------------


def test_no_new_data_gives_the_fitted_values(model: Any) -> None:
    pd.testing.assert_series_equal(model.predict(), model.fitted, check_names=False)


@pytest.mark.parametrize("re_form", ["~0", "~ 0", 0, 0.0, False, "NA", np.nan, np.float64(0), np.int64(0)])
def test_no_random_effects(re_form: Any, model: Any, sleep: pd.DataFrame) -> None:
    expected = 251.405104848484 + 10.4672859595 * sleep["Days"]
    np.testing.assert_allclose(model.predict(re_form=re_form), expected, rtol=1e-8)
    np.testing.assert_allclose(model.predict(sleep, re_form=re_form), expected, rtol=1e-8)


# -- which random effects ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "data", "parts"),
    [
        (DAYS, "sleepstudy", ["~(1|Subject)", "~(0+Days|Subject)"]),
        ("Reaction ~ Days + (Days||Subject)", "sleepstudy", ["~(1|Subject)", "~(Days - 1|Subject)"]),
        ("Reaction ~ Days + (1|Subject) + (0+Days|Subject)", "sleepstudy", ["~(1|Subject)", "~(0+Days|Subject)"]),
        ("strength ~ 1 + (1|batch/cask)", "Pastes", ["~(1|batch)", "~(1|cask:batch)"]),
        ("diameter ~ 1 + (1|plate) + (1|sample)", "Penicillin", ["~(1|sample)", "~(1|plate)"]),
        ("Reaction ~ 1 + (log(Days+1)|Subject)", "sleepstudy", ["~(1|Subject)", "~(0 + log(Days+1)|Subject)"]),
        ("Reaction ~ 1 + (Days + I(Days^2)|Subject)", "sleepstudy", ["~(Days|Subject)", "~(0 + I(Days^2)|Subject)"]),
        ("angle ~ temp + (recipe|replicate)", "cake", ["~(recipe|replicate)"]),
        ("Reaction ~ Days + (1|factor(Subject))", "sleepstudy", ["~(1|factor(Subject))"]),
    ],
)
def test_parts_of_the_random_effects_add_up(formula: str, data: str, parts: list[str], fit: Fit) -> None:
    m = fit(formula, data)
    none = m.predict(re_form="~0")
    total = sum(m.predict(re_form=part) - none for part in parts)
    np.testing.assert_allclose(none + total, m.fitted, rtol=1e-10)
    np.testing.assert_allclose(m.predict(re_form=" + ".join(parts).replace("+ ~", "+ ")), m.fitted, rtol=1e-10)


def test_a_dotted_name_and_a_back_quoted_factor(sleep: pd.DataFrame, model: Any) -> None:
    m = lmer("Reaction ~ d.x + (d.x|`my g`)", sleep.rename(columns={"Days": "d.x", "Subject": "my g"}))
    got = m.predict(re_form="~(0 + d.x|`my g`)")
    np.testing.assert_allclose(got, model.predict(re_form="~(0 + Days|Subject)"), rtol=1e-10)


@pytest.mark.parametrize(
    "formula", ["Reaction ~ 1 + (1|Subject) + (Days|Subject)", "Reaction ~ 1 + (Days|Subject) + (1|Subject)"]
)
def test_a_term_that_is_named_exactly_is_the_one_taken(formula: str, sleep: pd.DataFrame) -> None:
    # two terms have an intercept for each subject: (1|Subject) means the one written so
    m = quietly(formula, sleep)
    effects = m.ranef()["Subject"]
    at = [list(term.names) for term in m.terms].index(["(Intercept)"])
    alone = effects.iloc[:, 0 if at == 0 else 2].to_numpy()
    got = m.predict(re_form="~(1|Subject)") - m.predict(re_form="~0")
    np.testing.assert_allclose(got, np.repeat(alone, 10), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(m.predict(re_form="~(1|Subject) + (Days|Subject)"), m.fitted, rtol=1e-10)


@pytest.mark.parametrize(
    ("re_form", "message"),
    [
        (True, "re_form must be None, a formula"),
        (1, "re_form must be None, a formula"),
        ([1], "re_form must be None, a formula"),
        ("(1|Subject)", "one-sided formula"),
        ("y ~ (1|Subject)", "one-sided formula"),
        ("~", "cannot be read"),
        ("~(1|Subject", "cannot be read"),
        ("~(1|Subjct)", r"no random effects \(Intercept\) for Subjct; it has Subject: \(Intercept\), Days"),
        ("~(Dys|Subject)", "no random effects .*Dys for Subject"),
        ("~(1|Subject) + (1|Subject)", "twice"),
        ("~Days + (1|Subject)", "names random effects alone"),
        ("~(1|Subject) + offset(Days)", "names random effects alone"),
        ("~(1|Subject) + (Days|Subject)", "twice"),
    ],
)
def test_random_effects_that_the_model_does_not_have(re_form: Any, message: str, model: Any) -> None:
    with pytest.raises(ArgumentError, match=message):
        model.predict(re_form=re_form)


# -- new rows are read as the rows of the fit were ------------------------------------------------------------------

EVERYTHING = (
    "Reaction ~ poly(Days, 2) * kind + flag + scale(load) + offset(load / 10) + (Days + kind|Subject) + (1|small)"
)


@pytest.fixture(scope="module")
def wide(dataset: Dataset) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    kinds = np.array(["low", "high", "middle"])[np.arange(180) * 7 % 3]
    return dataset("sleepstudy").assign(
        kind=pd.Categorical(kinds, categories=["low", "unused", "middle", "high"]),
        flag=rng.random(180) < 0.5,
        load=rng.normal(5.0, 2.0, size=180),
        small=rng.integers(0, 6, 180),
    )


@pytest.fixture(scope="module", params=[None, {"kind": "sum", "flag": "helmert"}], ids=["treatment", "sum"])
def everything(request: pytest.FixtureRequest, wide: pd.DataFrame) -> Any:
    return quietly(EVERYTHING, wide, contrasts=request.param)


CHANGES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "as it was": lambda d: d,
    "other order of rows": lambda d: d.sample(frac=1.0, random_state=0),
    "other order of columns": lambda d: d[list(d.columns)[::-1]],
    "one row": lambda d: d.iloc[[77]],
    "one level of each factor": lambda d: d[(d["kind"] == "high") & (d["Subject"] == "370") & d["flag"]],
    "without the response": lambda d: d.drop(columns="Reaction"),
    "other order of categories": lambda d: d.assign(
        kind=d["kind"].cat.set_categories(["high", "other", "middle", "low"]),
        Subject=d["Subject"].cat.set_categories(sorted(d["Subject"].cat.categories, reverse=True)),
    ),
    "text": lambda d: d.assign(kind=d["kind"].astype(str), Subject=d["Subject"].astype(object)),
    "numbers for labels": lambda d: d.assign(Subject=d["Subject"].astype(str).astype(int)),
    "labels for numbers": lambda d: d.assign(small=d["small"].astype(str)),
    "floats": lambda d: d.assign(Days=d["Days"].astype(float), small=d["small"].astype(float)),
    "logical as 0 and 1": lambda d: d.assign(flag=d["flag"].astype(int)),
    "nullable": lambda d: d.convert_dtypes(),
    "repeated rows": lambda d: pd.concat([d.iloc[:5], d.iloc[:5]]),
    "polars": pl.from_pandas,
    "pyarrow": lambda d: pa.Table.from_pandas(d, preserve_index=False),
    "dict of lists": lambda d: d.to_dict("list"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_form_of_the_new_data_does_not_matter(change: str, everything: Any, wide: pd.DataFrame) -> None:
    m = everything
    new = CHANGES[change](wide)
    rows = new.index if isinstance(new, pd.DataFrame) else wide.index
    got = m.predict(new)
    np.testing.assert_allclose(got, m.fitted.loc[rows], rtol=1e-12)
    if isinstance(new, pd.DataFrame):
        pd.testing.assert_index_equal(got.index, new.index)


SMOOTH = ["poly(Days, 3)", "bs(Days, df=4)", "scale(Days)", "center(Days)", "np.log1p(Days)", "I(Days > 3)"]
CATEGORICAL = ["C(Days)", "factor(Days)", "C(Days, contr.sum)", "scale(poly(Days, 2))", "center(Days):scale(Days)"]


@pytest.mark.parametrize("formula", [f"Reaction ~ {term} + (1|Subject)" for term in SMOOTH + CATEGORICAL])
def test_a_transform_remembers_the_rows_of_the_fit(formula: str, sleep: pd.DataFrame) -> None:
    m, some = quietly(formula, sleep), sleep.iloc[[9, 33, 107]]
    np.testing.assert_allclose(m.predict(some), m.fitted.loc[some.index], rtol=1e-12)


@pytest.mark.parametrize("term", [*SMOOTH, "C(Days % 3)", "factor(Days // 4)"])
def test_a_transform_left_of_a_bar_remembers_too(term: str, sleep: pd.DataFrame) -> None:
    m, some = quietly(f"Reaction ~ 1 + ({term}|Subject)", sleep), sleep.iloc[[9, 33, 107]]
    np.testing.assert_allclose(m.predict(some), m.fitted.loc[some.index], rtol=1e-12)


def test_a_transform_in_an_offset_or_a_factor_remembers_too(sleep: pd.DataFrame) -> None:
    m = quietly("Reaction ~ Days + offset(scale(Days)) + (1|factor(round(scale(Days))))", sleep)
    some = sleep.iloc[[9, 33]]
    np.testing.assert_allclose(m.predict(some), m.fitted.loc[some.index], rtol=1e-12)


# -- missing values and new levels ----------------------------------------------------------------------------------


def test_a_missing_value_gives_a_missing_prediction(model: Any) -> None:
    new = {"Days": [1.0, np.nan, 3.0], "Subject": ["308", "309", "310"]}
    predicted = model.predict(new)
    assert predicted.isna().tolist() == [False, True, False]
    alone = model.predict({"Days": [3.0], "Subject": ["310"]})
    assert predicted[2] == alone[0]


def test_a_missing_level_counts_as_a_new_one(model: Any) -> None:
    new = {"Days": [1.0, 1.0], "Subject": [None, "nobody"]}
    with pytest.raises(NewDataError):
        model.predict(new)
    predicted = model.predict(new, allow_new_levels=True)
    assert predicted[0] == predicted[1] == pytest.approx(261.87239, abs=1e-4)


def test_an_unseen_combination_of_seen_levels_is_a_new_level(dataset: Dataset) -> None:
    pastes = dataset("Pastes")
    gone = (pastes["batch"] == "C") & (pastes["cask"] == "b")
    m = lmer("strength ~ 1 + (1|batch/cask)", pastes[~gone])
    assert m.ngroups == {"cask:batch": 29, "batch": 10}
    with pytest.raises(NewDataError, match="'cask:batch'"):
        m.predict(pastes[gone])
    predicted = m.predict(pastes[gone], allow_new_levels=True)
    np.testing.assert_allclose(predicted, m.predict(pastes[gone], re_form="~(1|batch)"), rtol=1e-12)


def test_a_grouping_variable_that_does_not_enter_may_be_absent(fit: Fit, model: Any) -> None:
    assert model.predict({"Days": [0.0]}, re_form=0)[0] == pytest.approx(251.405104848, abs=1e-6)
    m = fit("diameter ~ 1 + (1|plate) + (1|sample)", "Penicillin")
    with_sample = m.predict({"sample": ["A"]}, re_form="~(1|sample)")
    assert with_sample[0] - m.fixef["(Intercept)"] == pytest.approx(m.ranef()["sample"].loc["A"].iloc[0])


def test_a_model_without_fixed_effects(dataset: Dataset) -> None:
    m = quietly("Reaction ~ 0 + (1|Subject)", dataset("sleepstudy"))
    predicted = m.predict({"Subject": ["308", "x"]}, allow_new_levels=True)
    assert predicted.tolist() == [m.ranef()["Subject"].loc["308"].iloc[0], 0.0]


@pytest.mark.parametrize(
    ("newdata", "message"),
    [
        ({"Days": [1.0]}, "newdata lacks the column 'Subject'"),
        ({"Subject": ["308"]}, "newdata lacks the column 'Days'"),
        ({"days": [1.0], "Subject": ["308"]}, "lacks the column 'Days'.*did you mean 'days'"),
        ({"Days": [1.0, 2.0], "Subject": ["308", "999"]}, "new levels detected in newdata.*'Subject'.*row 1"),
        ({"Days": [1.0, 2.0], "Subject": ["308", None]}, "'Subject'.*row 1"),
        ({"Days": ["one"], "Subject": ["308"]}, "'Days' was of kind 'number' in the fit"),
    ],
)
def test_new_data_that_do_not_fit_the_model(newdata: Any, message: str, model: Any) -> None:
    with pytest.raises(NewDataError, match=message):
        model.predict(newdata)


@pytest.mark.parametrize("newdata", ["newdata", 5, {"Days": 1.0, "Subject": "308"}, {}])
def test_new_data_that_are_no_frame(newdata: Any, model: Any) -> None:
    with pytest.raises(DataError):
        model.predict(newdata)


def test_a_new_level_of_a_fixed_effect(dataset: Dataset, fit: Fit) -> None:
    m = fit("angle ~ recipe + (1|replicate)", "cake")
    with pytest.raises(NewDataError, match="new levels detected in newdata: 'recipe' has 'D'"):
        m.predict(dataset("cake").iloc[:2].assign(recipe=["A", "D"]), allow_new_levels=True)


# -- offsets -------------------------------------------------------------------------------------------------------


def test_offsets_of_the_formula_and_of_the_argument(sleep: pd.DataFrame, model: Any) -> None:
    m = lmer("Reaction ~ Days + offset(2 * Days) + (Days|Subject)", sleep, offset=sleep["Days"])
    np.testing.assert_allclose(m.predict(), model.fitted, rtol=1e-7)
    some = sleep.iloc[[3, 90]]
    np.testing.assert_allclose(m.predict(some, offset=some["Days"]), model.fitted.loc[some.index], rtol=1e-7)
    at_zero = m.predict(some, offset=0)
    np.testing.assert_allclose(at_zero, model.fitted.loc[some.index] - some["Days"], rtol=1e-7)


def test_an_offset_argument_is_asked_for_again(sleep: pd.DataFrame) -> None:
    m = lmer(DAYS, sleep, offset=3.0 * sleep["Days"])
    with pytest.raises(NewDataError, match=r"predict\(newdata, offset=\.\.\.\)"):
        m.predict(sleep.iloc[:3])
    with pytest.raises(ArgumentError, match="offset goes with newdata"):
        m.predict(offset=0)


@pytest.mark.parametrize("offset", [[1.0, 2.0], "known", ["a"], [[1.0]]])
def test_an_offset_that_does_not_fit_the_new_data(offset: Any, model: Any) -> None:
    with pytest.raises(LmmError, match="offset"):
        model.predict({"Days": [1.0], "Subject": ["308"]}, offset=offset)
