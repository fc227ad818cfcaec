"""Influence as a user meets it: against lme4, against fits of the rows that are left, in any units, and bad input."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lmmsparse import lmer, load_dataset
from lmmsparse.errors import ArgumentError, DataError, GroupingError, LmmWarning, RankDeficiencyWarning
from tests.answers import answers

Fit = Callable[..., Any]

DAYS = "Reaction ~ Days + (Days | Subject)"
REFERENCE = answers("inference_influence.json")
FITS = {record["id"]: record for record in REFERENCE["fits"]}
LEFT_OUT = [(name, group) for name, record in FITS.items() for group in record["influence"]]


@pytest.fixture
def recorded(fit: Fit) -> Callable[[str], Any]:
    """Our fit of a record."""

    def recorded_fit(name: str) -> Any:
        record = FITS[name]
        given = {} if record["weights"] is None else {"weights": np.array(record["weights"])}
        return fit(record["formula"], record["data"], REML=record["REML"], **given)

    return recorded_fit


def quiet(formula: str, data: Any, **arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        return lmer(formula, data, **arguments)


# -- lme4 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FITS)
def test_rows_are_lme4s(name: str, recorded: Callable[[str], Any]) -> None:
    """θ agrees to 1e-6; distances are the more sensitive, the nearer h is to 1."""
    m, record = recorded(name), FITS[name]
    assert_allclose(m.hatvalues(), record["hat"], rtol=1e-6)
    assert_allclose(m.cooks_distance(), record["cooks"], rtol=1e-4, atol=1e-7)
    assert_allclose(m.resid(), record["response"], atol=1e-4)
    assert_allclose(m.resid("pearson"), record["pearson"], atol=1e-4)
    assert_allclose(m.resid("scaled"), record["scaled"], atol=1e-5)


@pytest.mark.parametrize(("name", "group"), LEFT_OUT)
def test_refits_are_lme4s(name: str, group: str, recorded: Callable[[str], Any]) -> None:
    """lme4's refits stop when θ is good to 1e-4 or so, hence the tolerance of what depends on θ."""
    m, record = recorded(name), FITS[name]["influence"][group]
    found = m.influence(None if group == "row" else group, refit=True)
    order = np.arange(len(found)) if group == "row" else [list(found.labels).index(x) for x in record["labels"]]
    m_sets, p = found.beta.shape
    assert_allclose(((found.beta - record_order(record["beta"], order)) / found.std_error), 0.0, atol=1e-6)
    assert_allclose(found.sigma[order], record["sigma"], rtol=1e-4)
    assert_allclose(np.asarray(found.dfbetas)[order], record["dfbetas"], atol=1e-4)
    # lme4 has the factor (m - p)/m
    assert_allclose(found.cooks_distance.to_numpy()[order] * (m_sets - p) / m_sets, record["cooks"], rtol=1e-3)
    assert found.converged.all() and not found.failed.any()


def record_order(values: Any, order: Any) -> Any:
    """Rows of a record in our order."""
    out = np.empty_like(np.array(values, dtype=float))
    out[np.asarray(order)] = values
    return out


# -- fits of the rows that are left -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "name", "group", "given"),
    [
        (DAYS, "sleepstudy", "Subject", {"weights": 1.0 + np.arange(180) % 3, "offset": np.arange(180) / 9}),
        ("Reaction ~ Days + (Days || Subject)", "sleepstudy", "Subject", {"REML": False}),
        ("strength ~ 1 + (1 | batch/cask)", "Pastes", "batch", {}),
        ("Yield ~ 1 + (1 | Batch)", "Dyestuff2", "Batch", {}),
    ],
)
def test_refits_are_fits_of_the_rest(formula: str, name: str, group: str, given: Any) -> None:
    data = load_dataset(name)
    m = quiet(formula, data, **given)
    found = m.influence(group, refit=True)
    factor = m.frame.groupings[group]
    assert list(found.labels) == list(factor.levels)
    for i in (0, len(found) - 1):
        rest = np.flatnonzero(factor.codes != i)
        rows = {key: value[rest] if isinstance(value, np.ndarray) else value for key, value in given.items()}
        other = quiet(formula, data.iloc[rest], **rows)
        assert_allclose((found.beta[i] - other.fixef) / other.bse, 0.0, atol=1e-4)
        assert_allclose(found.std_error[i], other.bse, rtol=1e-4)
        assert_allclose(found.sigma[i], other.sigma, rtol=1e-4)
        assert_allclose(found.theta[i], other.theta, atol=1e-4)
        C = np.asarray(m.vcov())
        shift = other.fixef.to_numpy() - m.fixef.to_numpy()
        assert_allclose(found.cooks_distance.iloc[i], shift @ np.linalg.solve(C, shift) / len(shift), rtol=1e-3)
        assert_allclose(found.covratio.iloc[i], np.linalg.det(np.asarray(other.vcov())) / np.linalg.det(C), rtol=1e-3)


def test_theta_held_is_the_rest_at_theta(fit: Fit) -> None:
    """In the user's units, through the objective of the rows that are left."""
    m = fit("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin")
    found, data = m.influence("sample"), load_dataset("Penicillin")
    assert_allclose(found.theta, np.tile(m.theta, (6, 1)))
    for i, label in enumerate(found.labels):
        rest = quiet(m.frame.formula.text, data[data["sample"] != label])
        solution = rest.objective.solve(rest.objective.to_working(m.theta))
        scale, start = rest.objective.response.scale, rest.objective.response.start
        beta = start + scale * np.linalg.solve(rest.objective.design.coordinates.fixed_map, solution.beta)
        assert_allclose(found.beta[i], beta, rtol=1e-10)
        assert_allclose(found.sigma[i], scale * np.sqrt(solution.sigma2), rtol=1e-9)
        assert found.n_deleted[i] == 24


def test_a_refit_that_cannot_be_is_counted() -> None:
    """Without either of two levels there is one left, which cannot be fitted."""
    rng = np.random.default_rng(0)
    data = {"y": rng.normal(size=40), "two": np.arange(40) % 2, "g": np.arange(40) % 8}
    found = quiet("y ~ 1 + (1 | g) + (1 | two)", data).influence("two", refit=True)
    assert found.failed.all() and not found.converged.any() and np.isnan(found.beta).all()
    assert set(found.failures) == {"0", "1"} and "1 levels of 'two' are left" in found.failures["0"]
    assert "2 without estimates" in repr(found)


def treated() -> dict[str, Any]:
    """Three treatments, the last of which one level has alone."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(10), 6)
    treatment = np.where(g == 9, "c", np.where(np.arange(60) % 2 == 0, "a", "b"))
    return {"y": rng.normal(size=60) + rng.normal(size=10)[g], "treatment": treatment, "g": g}


@pytest.mark.parametrize("refit", [False, True])
def test_coefficients_that_are_lost_are_missing(refit: bool) -> None:
    data = treated()
    m = quiet("y ~ treatment + (1 | g)", data)
    with pytest.warns(RankDeficiencyWarning, match=r"without 1 of 10 sets of rows by 'g' \(the first is '9'\)"):
        found = m.influence("g", refit=refit)
    assert np.isnan(found.beta[9]).tolist() == [False, False, True]
    assert np.isnan(found.cooks_distance.iloc[9]) and np.isfinite(found.cooks_distance.iloc[:9]).all()
    assert not found.failed.any()
    kept = data["g"] != 9
    rest = quiet("y ~ treatment + (1 | g)", {name: values[kept] for name, values in data.items()})
    if refit:
        assert_allclose(found.beta[9, :2], rest.fixef, rtol=1e-5)
        assert_allclose(found.std_error[9, :2], rest.bse, rtol=1e-4)


# -- units and coding -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("group", "refit"), [(None, False), ("Subject", False), ("Subject", True)])
def test_units_do_not_matter(group: str | None, refit: bool) -> None:
    data = load_dataset("sleepstudy")
    other = data.assign(Reaction=1e6 * data["Reaction"] + 1e9, Days=365 * data["Days"] + 2000)
    one, two = (quiet(DAYS, frame).influence(group, refit) for frame in (data, other))
    for name in ("cooks_distance", "mdffits", "covratio"):
        assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-4, atol=1e-7)
    assert_allclose(one.dfbetas["Days"], two.dfbetas["Days"], atol=1e-5)
    assert_allclose(1e6 * one.sigma, two.sigma, rtol=1e-5)
    assert_allclose(lmer(DAYS, data).cooks_distance(), lmer(DAYS, other).cooks_distance(), rtol=1e-3, atol=1e-7)


def test_weights_all_the_same_do_not_matter(fit: Fit) -> None:
    one = fit(DAYS, "sleepstudy").influence("Subject")
    two = fit(DAYS, "sleepstudy", weights=np.full(180, 4.0)).influence("Subject")
    assert_allclose(one.cooks_distance, two.cooks_distance, rtol=1e-5)
    assert_allclose(2.0 * one.sigma, two.sigma, rtol=1e-6)


def test_an_outlier_stands_out() -> None:
    data = load_dataset("sleepstudy").copy()
    data.loc[data["Subject"] == "330", "Reaction"] += 30 * data.loc[data["Subject"] == "330", "Days"]
    m = lmer(DAYS, data)
    assert m.cooks_distance("Subject").idxmax() == "330"
    found = m.influence("Subject")
    assert found.dfbeta.loc["330", "Days"] < 0 and found.sigma.shape == (18,)


# -- what comes back --------------------------------------------------------------------------------------------


def test_shorthands_and_frames(fit: Fit) -> None:
    m = fit(DAYS, "sleepstudy")
    found = m.influence("Subject")
    assert len(found) == 18 and repr(found) == "<Influence of 18 sets of rows by 'Subject', theta held>"
    pd.testing.assert_series_equal(m.cooks_distance("Subject"), found.cooks_distance)
    pd.testing.assert_frame_equal(m.dfbetas("Subject"), found.dfbetas)
    assert_allclose(found.dfbetas * found.std_error, found.dfbeta)
    frame = found.to_frame()
    assert list(frame.columns) == [
        "n_deleted", "cooks_distance", "mdffits", "covratio", "sigma", "(Intercept)", "Days", *m.theta_names,
    ]  # fmt: skip
    assert list(frame.index) == list(m.ranef()["Subject"].index)
    again = m.influence("Subject", refit=True)
    pd.testing.assert_series_equal(m.cooks_distance("Subject", refit=True), again.cooks_distance)
    pd.testing.assert_frame_equal(m.dfbetas("Subject", refit=True), again.dfbetas)
    assert np.abs(again.sigma / found.sigma - 1).max() > 0.01


def test_rows_by_their_labels(fit: Fit) -> None:
    data = load_dataset("sleepstudy")
    data.index = [f"row {i}" for i in range(180)]
    m = lmer(DAYS, data)
    assert list(m.influence().labels) == list(data.index) == list(m.cooks_distance().index)
    assert_allclose(m.influence().n_deleted, 1)


def test_frames_of_other_libraries() -> None:
    polars = pytest.importorskip("polars")
    m = lmer(DAYS, polars.from_pandas(load_dataset("sleepstudy").astype({"Subject": str})))
    frame = m.influence("Subject").to_frame()
    assert isinstance(frame, polars.DataFrame) and frame.columns[:2] == ["Subject", "n_deleted"]
    assert m.dfbetas("Subject").columns == ["Subject", "(Intercept)", "Days"]


def test_labels_stand_for_a_grouping_factor(fit: Fit) -> None:
    data = load_dataset("sleepstudy")
    m = fit(DAYS, "sleepstudy")
    by_name = m.influence("Subject").cooks_distance.to_numpy()
    for labels in (data["Subject"].astype(str), list(data["Subject"]), data["Subject"].to_numpy()):
        assert_allclose(m.influence(labels).cooks_distance, by_name)


def test_labels_of_the_rows_of_the_data() -> None:
    data = load_dataset("sleepstudy").copy()
    data.loc[[3, 50], "Reaction"] = np.nan
    m = lmer(DAYS, data)
    whole = m.influence(data["Days"] // 5)
    kept = m.influence((data["Days"] // 5).drop([3, 50]))
    assert_allclose(whole.beta, kept.beta)
    assert whole.n_deleted.sum() == 178 and list(whole.labels) == [0.0, 1.0]


def test_no_fixed_effects() -> None:
    rng = np.random.default_rng(2)
    m = quiet("y ~ 0 + (1 | g)", {"y": rng.normal(size=30), "g": np.arange(30) % 6})
    found = m.influence("g")
    assert found.beta.shape == (6, 0) and np.isfinite(found.sigma).all() and "cooks_distance" not in found.to_frame()
    for ask in (m.cooks_distance, lambda: found.cooks_distance):
        with pytest.raises(ArgumentError, match="no fixed effects"):
            ask()


# -- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("subject", r"a grouping factor \('Subject'\), or a label for each row; got 'subject'"),
        (3, "got 3"),
        ({"Subject": 1}, "got {'Subject': 1}"),
        (np.zeros((180, 2)), "influence: group must be None"),
        (np.arange(7), "got 7 labels, but the fit has 180 rows"),
        (np.ones(180), "all rows have the same label"),
        ([None] + ["a", "b"] * 89 + ["a"], "the label of row 0 is missing"),
        ([{}] * 180, "objects of type dict"),
    ],
)
@pytest.mark.parametrize("method", ["influence", "cooks_distance", "dfbetas"])
def test_groups_that_there_are_not(group: Any, message: str, method: str, fit: Fit) -> None:
    with pytest.raises(ArgumentError, match=message):
        getattr(fit(DAYS, "sleepstudy"), method)(group)


def test_refit_is_a_flag(fit: Fit) -> None:
    with pytest.raises(ArgumentError, match="refit must be True or False, got 'yes'"):
        fit(DAYS, "sleepstudy").influence("Subject", refit="yes")
    with pytest.raises(ArgumentError, match="refit must be True or False, got 0"):
        fit(DAYS, "sleepstudy").cooks_distance(refit=0)


def test_a_perfect_fit_has_no_influence() -> None:
    x = np.arange(12.0)
    m = quiet("y ~ x + (1 | g)", {"y": 1 + 2 * x, "x": x, "g": np.arange(12) % 3})
    with pytest.raises(ArgumentError, match="fits perfectly"):
        m.influence("g")


def test_labels_in_another_order_than_the_data_are_refused() -> None:
    sleep = load_dataset("sleepstudy")
    sleep.loc[3, "Reaction"] = np.nan
    model = lmer(DAYS, sleep)
    labels = pd.Series(np.arange(len(sleep)) % 4, index=sleep.index)
    expected = model.influence(labels.to_numpy()).beta
    assert_allclose(model.influence(labels).beta, expected)
    assert_allclose(model.influence(labels.drop(3)).beta, expected)
    for other in (labels[::-1], labels.drop(4)):
        with pytest.raises(DataError, match="group is a Series whose index differs"):
            model.influence(other)


def test_rows_that_a_model_cannot_be_fitted_to_have_no_refit() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"g": np.repeat(np.arange(5), 3)[:14], "x": rng.normal(size=14), "y": rng.normal(size=14)})
    labels = np.repeat([0, 1, 2], [1, 5, 8])[rng.permutation(14)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        without = lmer("y ~ x + (x | g)", data).influence(labels, refit=True)
    for place, label in enumerate(without.labels):
        rest = data[labels != label]
        refused = len(rest) <= 2 * rest.g.nunique()
        assert without.failed[place] == refused == bool(np.isnan(without.sigma[place]))
        if refused:
            with pytest.raises(GroupingError, match="number of observations"):
                lmer("y ~ x + (x | g)", rest)
    assert without.failed.any()
    assert not without.failed.all()
