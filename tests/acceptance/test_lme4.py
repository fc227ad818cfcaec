"""Our fits against lme4's: the published models, then unusual ones.

lme4's criteria are exact to about 1e-9 and its θ to about 1e-6 (1e-5 on the large sets), so a fit of ours must
reach its criterion to 1e-6 or better it, and estimates are compared on the scale on which they are known: fixed
effects in standard errors, the rest relative to its size.  θ along a boundary is not unique and is not compared.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lmmsparse import lmer
from lmmsparse.errors import LmmWarning
from tests.answers import answers

Dataset = Callable[[str], pd.DataFrame]
Record = dict[str, Any]
FitRecord = Callable[[Record], Any]

MOST_EVALUATIONS = 15
MEDIAN_EVALUATIONS = 9


def r_name(name: str) -> str:
    """A column name of ours as R writes it: ``recipe[T.B]`` is ``recipeB``, ``x ** 2`` is ``x^2``."""
    return re.sub(r"\[(T\.)?([^\]]*)\]", r"\2", name).replace(" ** ", "^")


def unit(record: Record) -> float:
    """Criteria of large data sets are known to fewer digits after the point."""
    return max(1.0, abs(record["crit"]) / 1e4)


def same_optimum(m: Any, record: Record) -> bool:
    """Neither fit is better than the other, so that the estimates can be compared."""
    return abs(m.criterion - record["crit"]) <= 1e-5 * unit(record)


def test_every_published_model_has_a_record(lme4: dict[str, Record]) -> None:
    assert len(lme4) == 31


def test_criterion_is_no_worse(lme4_record: Record, fit_record: FitRecord) -> None:
    m = fit_record(lme4_record)
    assert m.criterion - lme4_record["crit"] <= 1e-6 * unit(lme4_record)
    assert same_optimum(m, lme4_record)  # nor is it lower than lme4's by more than lme4 may have missed


def test_fixed_effects(lme4_record: Record, fit_record: FitRecord) -> None:
    m = fit_record(lme4_record)
    assert [r_name(name) for name in m.fixef.index] == list(lme4_record["fixef"])
    se = np.array(list(lme4_record["se"].values()))
    np.testing.assert_allclose(m.bse, se, rtol=1e-4)
    np.testing.assert_array_less(np.abs(m.fixef - list(lme4_record["fixef"].values())) / se, 1e-4)


def test_theta_where_it_is_unique(lme4_record: Record, fit_record: FitRecord) -> None:
    m = fit_record(lme4_record)
    assert len(m.theta) == len(lme4_record["theta"])
    if not lme4_record["singular"]:
        theta = np.array(lme4_record["theta"])
        np.testing.assert_array_less(np.abs(m.theta - theta) / np.maximum(1.0, np.abs(theta)), 2e-3)


def test_theta_names(lme4_record: Record, fit_record: FitRecord) -> None:
    assert [r_name(name) for name in fit_record(lme4_record).theta_names] == lme4_record["theta_names"]


def test_sigma(lme4_record: Record, fit_record: FitRecord) -> None:
    assert fit_record(lme4_record).sigma == pytest.approx(lme4_record["sigma"], rel=1e-4)


def test_varcorr(lme4_record: Record, fit_record: FitRecord) -> None:
    got = fit_record(lme4_record).varcorr.to_frame()
    want = pd.DataFrame(lme4_record["varcorr"])
    assert list(got["grp"]) == list(want["grp"])
    for column in ("var1", "var2"):
        ours = [r_name(name) if isinstance(name, str) else None for name in got[column]]
        assert ours == [name if isinstance(name, str) else None for name in want[column]]
    if not lme4_record["singular"]:
        spread = want["var2"].isna()
        np.testing.assert_allclose(got["sdcor"][spread], want["sdcor"][spread], rtol=2e-3)
        np.testing.assert_allclose(got["sdcor"][~spread], want["sdcor"][~spread], atol=2e-3)
        np.testing.assert_allclose(got["vcov"], want["vcov"], rtol=4e-3)


def test_random_effects(lme4_record: Record, fit_record: FitRecord) -> None:
    m = fit_record(lme4_record)
    got = m.ranef()
    assert {group: len(frame) for group, frame in got.items()} == m.ngroups
    if "ranef" not in lme4_record:  # left out of the records of large data sets
        return
    assert set(got) == set(lme4_record["ranef"])
    for group, want in lme4_record["ranef"].items():
        frame = got[group].iloc[:5]
        assert list(frame.index) == want["levels"]
        assert [r_name(name) for name in frame.columns] == want["cols"]
        values = np.array(want["values"])
        # along a boundary lme4 finds the covariance, and with it the modes, to fewer digits
        digits = 1e-2 if lme4_record["singular"] else 2e-4
        np.testing.assert_allclose(frame, values, atol=digits * max(np.abs(values).max(), 1e-3))


def test_fitted_values_and_residuals(lme4_record: Record, fit_record: FitRecord) -> None:
    m = fit_record(lme4_record)
    digits = 1e-2 if lme4_record["singular"] else 2e-4
    np.testing.assert_allclose(m.fitted.iloc[:5], lme4_record["fitted_head"], atol=digits * lme4_record["sigma"])
    assert (m.resid() ** 2).sum() == pytest.approx(lme4_record["resid_ss"], rel=digits)


def test_information_criteria(lme4_record: Record, fit_record: FitRecord) -> None:
    m, scale = fit_record(lme4_record), unit(lme4_record)
    assert m.loglik == pytest.approx(lme4_record["logLik"], abs=1e-6 * scale)
    assert m.aic == pytest.approx(lme4_record["AIC"], abs=2e-6 * scale)
    assert m.bic == pytest.approx(lme4_record["BIC"], abs=2e-6 * scale)
    assert m.df == lme4_record["df"]
    assert m.is_reml == lme4_record["REML"]


def test_counts(lme4_record: Record, fit_record: FitRecord, plain: Dataset) -> None:
    m, frame = fit_record(lme4_record), plain(lme4_record["data"])
    assert m.nobs == lme4_record["nobs"] == len(frame)
    for group, levels in m.ngroups.items():
        assert levels == frame.groupby(group.split(":"), observed=True).ngroups


def test_verdict(lme4_record: Record, fit_record: FitRecord) -> None:
    m = fit_record(lme4_record)
    assert m.converged
    assert m.is_singular() == lme4_record["singular"]
    if lme4_record["singular"]:
        assert "boundary (singular) fit" in m.optinfo.message
        assert min(m.optinfo.boundary.values()) > -1e-6  # leaving the boundary does not lower the criterion
    else:
        assert m.optinfo.message == "converged"  # no alarm without a cause
        assert m.optinfo.hessian_eigenvalues.min() > 0.0


def test_number_of_evaluations(lme4_record: Record, fit_record: FitRecord) -> None:
    m = fit_record(lme4_record)
    assert m.optinfo.evaluations <= MOST_EVALUATIONS
    assert m.optinfo.evaluations < lme4_record["lme4_evaluations"]


def test_median_number_of_evaluations(lme4: dict[str, Record], fit_record: FitRecord) -> None:
    counts = [fit_record(record).optinfo.evaluations for record in lme4.values()]
    assert np.median(counts) <= MEDIAN_EVALUATIONS


def test_history_records_every_evaluation(lme4_record: Record, fit_record: FitRecord) -> None:
    m = fit_record(lme4_record)
    history = m.optinfo.history
    assert len(history) == m.optinfo.evaluations
    values = np.array([evaluation.value for evaluation in history])
    assert values.min() == pytest.approx(m.criterion, abs=1e-6 * unit(lme4_record))
    for evaluation in (history[0], history[-1]):  # in the user's units, as the objective takes and gives them
        value = m.objective(evaluation.theta)
        assert evaluation.value == pytest.approx(value, abs=1e-6 * unit(lme4_record))


# -- unusual models ------------------------------------------------------------------------------------------

PREPARED: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "first_20_rows": lambda d: d.iloc[:20],
    "response_times_1e-8": lambda d: d.assign(Reaction=d["Reaction"] * 1e-8),
    "response_times_1e8": lambda d: d.assign(Reaction=d["Reaction"] * 1e8),
    "missing_response": lambda d: d.assign(Reaction=d["Reaction"].where(d.index > 2)),
    "missing_predictor": lambda d: d.assign(Days=d["Days"].where(d.index > 2)),
    "missing_group": lambda d: d.assign(Subject=d["Subject"].where(d.index > 2)),
    "levels_unused": lambda d: d[~d["Subject"].isin(["308", "309"])],
    "factor_slopes_diagonal": lambda d: d.assign(B=d["recipe"] == "B", C=d["recipe"] == "C").astype(
        {"B": float, "C": float}
    ),
    "ties_are_reversed": lambda d: d.assign(odd=(d["plate"].cat.codes + 1) % 2),
}
PREPARED["factor_slopes_diagonal_ml"] = PREPARED["factor_slopes_diagonal"]
ARGUMENTS: dict[str, dict[str, Any]] = {
    "weights": {"weights": np.tile(np.arange(1.0, 11.0), 18)},
    "weights_ml": {"weights": np.tile(np.arange(1.0, 11.0), 18)},
    "weights_all_ten_ml": {"weights": np.full(180, 10.0)},
    "temperature_polynomial": {"contrasts": {"temperature": "poly"}},
    "recipe_sum": {"contrasts": {"recipe": "sum"}},
    "binary_response": {"weights": "size"},
}
# What lme4 makes of this formula, lmmsparse does not: tests of edge cases have it.
OWN_CONVENTION = {"factor_slopes_double_bar"}
ON_PLAIN_FRAMES = {"temperature_numeric", "labels_sorted"}


def fit_ids() -> list[str]:
    content = answers("edge_cases.json")
    return [record["id"] for record in content["fits"] if record["id"] not in OWN_CONVENTION]


@pytest.mark.parametrize("name", fit_ids())
def test_fit_of_an_unusual_model(name: str, edge_cases: Record, dataset: Dataset, plain: Dataset) -> None:
    record = edge_cases["fits"][name]
    frame = (plain if name in ON_PLAIN_FRAMES else dataset)(record["data"])
    prepare = PREPARED.get(name, lambda d: d)
    assert (record["prepare"] == "d") == (name not in PREPARED)
    formula = record["formula"].replace("splines::", "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        m = lmer(formula, prepare(frame), REML=record["REML"], **ARGUMENTS.get(name, {}))

    assert m.criterion == pytest.approx(record["crit"], abs=1e-6)
    assert (m.nobs, m.df, m.ngroups) == (record["nobs"], record["df"], record["ngroups"])
    assert m.getme("q") == record["q"]
    assert m.sigma == pytest.approx(record["sigma"], rel=1e-5)
    se, beta = (np.array(list(record[key].values())) for key in ("se", "fixef"))
    np.testing.assert_allclose(m.bse, se, rtol=1e-5)
    # the sign of a polynomial's column is a convention
    np.testing.assert_array_less(np.abs(np.abs(m.fixef) - np.abs(beta)), 1e-5 * se)
    np.testing.assert_allclose(m.fitted.iloc[:5], record["fitted_head"], rtol=1e-4)
    if not record["singular"] and name not in {"redundant_terms", "ties_are_reversed"}:
        np.testing.assert_allclose(m.theta, record["theta"], atol=1e-4)
        for group, want in record["ranef"].items():
            assert list(m.ranef()[group].index[:5]) == want["levels"]
            np.testing.assert_allclose(m.ranef()[group].iloc[:5], want["values"], atol=1e-3 * record["sigma"])
