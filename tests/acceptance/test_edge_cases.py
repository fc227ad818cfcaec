"""Odd data and odd models, against lme4's answers where lme4 has one and against theory where it has not.

Criteria are compared to 1e-6, σ and standard errors to 1e-5 of themselves, θ to 1e-4, unless a test says why not.
"""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from lmmsparse import lmer, load_dataset
from lmmsparse.errors import (
    DataError,
    FormulaError,
    GroupingError,
    IdentifiabilityWarning,
    LmmError,
    LmmWarning,
    NoFixedEffectsWarning,
    PerfectFitWarning,
    RankDeficiencyWarning,
    SingularFitWarning,
)
from tests.fits import quietly

Dataset = Callable[[str], pd.DataFrame]

DAYS = "Reaction ~ Days + (Days|Subject)"
SLEEP_REML = 1743.62827195849
SLEEP_ML = 1751.93934446


def without_warning(*arguments: Any, **named: Any) -> Any:
    """A fit that must not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return lmer(*arguments, **named)


# -- criteria and parameters --------------------------------------------------------------------------------


@pytest.mark.parametrize("i", range(21))
def test_criterion_at_a_given_theta(i: int, edge_cases: dict[str, Any], fit: Callable[..., Any]) -> None:
    case = edge_cases["criterion_at_theta"][i]
    m = fit(case["formula"], case["data"], REML=case["REML"])
    assert m.objective(case["theta"]) == pytest.approx(case["crit"], rel=1e-11)


@pytest.mark.parametrize(("theta", "criterion"), [(1.0, 319.792389042002), (0.0, 326.023232155879)])
def test_criterion_of_dyestuff_at_a_given_theta(theta: float, criterion: float, fit: Callable[..., Any]) -> None:
    assert fit("Yield ~ 1 + (1|Batch)", "Dyestuff").objective([theta]) == pytest.approx(criterion, abs=1e-9)


def test_variance_estimated_as_zero(dataset: Dataset) -> None:
    with pytest.warns(SingularFitWarning, match=r"boundary \(singular\) fit.*Batch"):
        m = lmer("Yield ~ 1 + (1|Batch)", dataset("Dyestuff2"))
    assert m.theta.tolist() == [0.0]
    assert m.is_singular()
    assert m.converged
    assert m.sigma == pytest.approx(3.715684274, rel=1e-8)
    assert m.bse["(Intercept)"] == pytest.approx(0.678388, rel=1e-5)
    assert (m.ranef()["Batch"] == 0.0).all(axis=None)


def test_likelihood_ratio_of_a_correlation(fit: Callable[..., Any]) -> None:
    larger = fit(DAYS, "sleepstudy", REML=False)
    smaller = fit("Reaction ~ Days + (Days||Subject)", "sleepstudy", REML=False)
    statistic = smaller.criterion - larger.criterion
    assert statistic == pytest.approx(0.06391, abs=1e-5)
    assert larger.df - smaller.df == 1
    assert chi2.sf(statistic, 1) == pytest.approx(0.80042, abs=1e-5)


def test_covariance_matrix_of_rank_one(sleep: pd.DataFrame) -> None:
    with pytest.warns(SingularFitWarning, match="Subject has rank 1 of 2"):
        m = lmer(DAYS, sleep.iloc[:20])
    assert m.ngroups == {"Subject": 2}
    assert m.criterion == pytest.approx(189.88466121, abs=1e-6)
    assert m.theta[2] == 0.0
    assert m.fixef.tolist() == pytest.approx([224.623807, 12.0132439], rel=1e-7)
    assert m.is_singular()


@pytest.mark.parametrize(("k", "n_over_group"), [(3, 4), (6, 5), (10, 3), (25, 8), (8, 2)])
@pytest.mark.parametrize("between", [0.0, 0.3, 2.0])
def test_balanced_one_way_layout_has_a_closed_form(k: int, n_over_group: int, between: float) -> None:
    n = n_over_group
    rng = np.random.default_rng(100 * k + n)
    g = np.repeat(np.arange(k), n)
    y = between * rng.normal(size=k)[g] + rng.normal(size=k * n)
    rows = y.reshape(k, n)
    within = ((rows - rows.mean(axis=1, keepdims=True)) ** 2).sum()
    among = n * ((rows.mean(axis=1) - y.mean()) ** 2).sum()
    m = quietly("y ~ 1 + (1|g)", {"y": y, "g": g}, REML=False)
    expected = max((n - 1) * among / within / n - 1 / n, 0.0)
    assert m.theta[0] ** 2 == pytest.approx(expected, abs=2e-5)
    assert (m.theta[0] == 0.0) == (expected == 0.0)


# -- units, origins, offsets and weights ---------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "criterion"), [(1e-8, -4814.13407289), (1e8, 8301.39061681)])
def test_unit_of_the_response_does_not_move_theta(
    factor: float, criterion: float, sleep: pd.DataFrame, fit: Callable[..., Any]
) -> None:
    m = without_warning(DAYS, sleep.assign(Reaction=sleep["Reaction"] * factor))
    assert m.criterion == pytest.approx(criterion, abs=1e-6)
    np.testing.assert_allclose(m.theta, fit(DAYS, "sleepstudy").theta, rtol=1e-5)


def test_origin_of_the_response_moves_the_intercept_alone(sleep: pd.DataFrame, fit: Callable[..., Any]) -> None:
    m, reference = without_warning(DAYS, sleep.assign(Reaction=sleep["Reaction"] + 1e9)), fit(DAYS, "sleepstudy")
    np.testing.assert_allclose(m.theta, reference.theta, atol=1e-6)
    assert m.sigma == pytest.approx(reference.sigma, rel=1e-6)
    assert m.fixef["Days"] == pytest.approx(reference.fixef["Days"], rel=1e-6)
    assert m.fixef["(Intercept)"] - 1e9 == pytest.approx(reference.fixef["(Intercept)"], abs=1e-5)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1.0, 1e3, 1e6])
def test_unit_of_a_slope_variable_does_not_matter(factor: float, sleep: pd.DataFrame) -> None:
    m = without_warning(DAYS, sleep.assign(Days=sleep["Days"] * factor), REML=False)
    assert m.criterion == pytest.approx(SLEEP_ML, abs=1e-6)
    assert not m.is_singular()
    assert m.fixef["Days"] * factor == pytest.approx(10.4672859595, rel=1e-7)


def test_origin_of_a_slope_variable_does_not_matter(sleep: pd.DataFrame) -> None:
    m = without_warning(DAYS, sleep.assign(Days=sleep["Days"] + 2000), REML=False)
    assert m.criterion == pytest.approx(SLEEP_ML, abs=1e-6)
    assert not m.is_singular()


@pytest.mark.parametrize("how", ["term", "argument", "column", "both"])
def test_offset_takes_its_share_of_the_slope(how: str, sleep: pd.DataFrame) -> None:
    days = sleep["Days"].to_numpy()
    frame = sleep.assign(known=3.0 * days)
    with_term = "Reaction ~ Days + offset({} * Days) + (Days|Subject)"
    m = {
        "term": lambda: lmer(with_term.format(3), frame),
        "argument": lambda: lmer(DAYS, frame, offset=3.0 * days),
        "column": lambda: lmer(DAYS, frame, offset="known"),
        "both": lambda: lmer(with_term.format(2), frame, offset=1.0 * days),
    }[how]()
    assert m.criterion == pytest.approx(SLEEP_REML, abs=1e-6)
    assert m.fixef["Days"] == pytest.approx(7.46728596, abs=1e-8)
    # the offset is part of the fitted values, so the residuals are those of the model without it
    assert (m.resid() ** 2).sum() == pytest.approx(98881.6431865531, rel=1e-6)


def test_weights(sleep: pd.DataFrame) -> None:
    m = lmer(DAYS, sleep, weights=sleep["Days"] + 1)
    assert m.criterion == pytest.approx(1791.685833, abs=1e-6)
    assert m.sigma == pytest.approx(62.3400556179, rel=1e-6)


def test_unit_of_the_weights_does_not_change_the_likelihood(sleep: pd.DataFrame) -> None:
    weights = sleep["Days"].to_numpy() + 1.0
    first, second = (lmer(DAYS, sleep, REML=False, weights=w) for w in (weights, 10.0 * weights))
    assert second.criterion == pytest.approx(first.criterion, abs=1e-8)
    assert second.sigma == pytest.approx(np.sqrt(10.0) * first.sigma, rel=1e-7)
    np.testing.assert_allclose(second.theta * np.sqrt(10.0), first.theta, rtol=1e-5)


def test_rows_of_weight_zero_are_as_if_they_were_not_there(sleep: pd.DataFrame) -> None:
    weights = np.where(np.arange(180) % 7 == 0, 0.0, 1.0 + np.arange(180) % 3)
    m = without_warning(DAYS, sleep, weights=weights)
    subset = lmer(DAYS, sleep[weights > 0], weights=weights[weights > 0])
    assert m.nobs == int((weights > 0).sum())
    assert m.criterion == pytest.approx(subset.criterion, abs=1e-9)
    np.testing.assert_allclose(m.theta, subset.theta, rtol=1e-8)


def test_a_missing_weight_drops_the_row(sleep: pd.DataFrame) -> None:
    m = lmer(DAYS, sleep, weights=np.r_[[np.nan] * 3, np.ones(177)])
    assert m.nobs == 177
    assert m.criterion == pytest.approx(1712.99535312, abs=1e-6)


def test_a_negative_weight_is_an_error(sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="weights must not be negative; row 5 "):
        lmer(DAYS, sleep, weights=np.r_[np.ones(5), -1.0, np.ones(174)])


# -- missing, infinite and unused values ---------------------------------------------------------------------


@pytest.mark.parametrize("column", ["Reaction", "Days", "Subject"])
def test_rows_with_missing_values_are_dropped(column: str, sleep: pd.DataFrame) -> None:
    sleep[column] = sleep[column].astype(object if column == "Subject" else float)
    sleep.loc[:2, column] = None
    m = without_warning(DAYS, sleep)
    assert m.nobs == 177
    assert m.criterion == pytest.approx(1712.99535312, abs=1e-6)
    assert m.fixef.tolist() == pytest.approx([253.347412, 10.1913697], rel=1e-7)


@pytest.mark.parametrize("column", ["Reaction", "Days"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_value_is_an_error(column: str, value: float, sleep: pd.DataFrame) -> None:
    sleep[column] = sleep[column].astype(float)
    sleep.loc[17, column] = value
    with pytest.raises(DataError, match=f"'{column}' is infinite, first in row 17"):
        lmer(DAYS, sleep)


def test_levels_without_rows_do_not_count(sleep: pd.DataFrame) -> None:
    kept = sleep[~sleep["Subject"].isin(["308", "309"])]
    assert "308" in kept["Subject"].cat.categories
    m = without_warning(DAYS, kept)
    assert m.nobs == 160
    assert m.ngroups == {"Subject": 16}
    assert m.getme("q") == 32
    assert m.criterion == pytest.approx(1530.27560585, abs=1e-6)


# -- fixed effects --------------------------------------------------------------------------------------------


def test_a_column_spanned_by_others_is_dropped(sleep: pd.DataFrame) -> None:
    message = r"fixed-effect model matrix is rank deficient so dropping 1 column: I\(2 \* Days \+ 1\)"
    with pytest.warns(RankDeficiencyWarning, match=message):
        m = lmer("Reaction ~ Days + I(2*Days+1) + (Days|Subject)", sleep)
    assert list(m.fixef.index) == ["(Intercept)", "Days"]
    assert m.criterion == pytest.approx(SLEEP_REML, abs=1e-6)


def test_a_model_without_fixed_effects_says_that_it_is_fitted_by_ml(sleep: pd.DataFrame) -> None:
    message = "the model has no fixed effects, so REML and maximum likelihood coincide; the fit is reported as ML"
    with pytest.warns(NoFixedEffectsWarning, match=message) as record:
        m = lmer("Reaction ~ 0 + (1|Subject)", sleep)
    assert len(record) == 1
    assert m.criterion == pytest.approx(1985.67969094, abs=1e-6)
    assert not m.is_reml
    assert m.fixef.empty and m.bse.empty and m.vcov().shape == (0, 0)
    assert m.df == 2
    assert without_warning("Reaction ~ 0 + (1|Subject)", sleep, REML=False).criterion == m.criterion


def test_a_constant_response_is_an_error(sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"'Reaction'.* is constant \(7\)"):
        lmer(DAYS, sleep.assign(Reaction=7.0))


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_a_response_without_noise_gives_exact_fixed_effects(shift: float, sleep: pd.DataFrame) -> None:
    exact = sleep.assign(Reaction=3.0 + shift + 2.0 * sleep["Days"])
    with pytest.warns(PerfectFitWarning):
        m = lmer(DAYS, exact)
    assert m.fixef.tolist() == pytest.approx([3.0 + shift, 2.0], rel=1e-9 if shift else 1e-12)
    assert m.sigma < 1e-9 * (1.0 + shift)
    np.testing.assert_allclose(m.fitted, exact["Reaction"], rtol=1e-12)


# -- grouping factors -----------------------------------------------------------------------------------------


def test_one_level_is_an_error(sleep: pd.DataFrame) -> None:
    with pytest.raises(GroupingError, match="grouping factors must have > 1 sampled level: 'Subject'"):
        lmer(DAYS, sleep.assign(Subject="a"))


def test_a_level_for_every_row_is_an_error(sleep: pd.DataFrame) -> None:
    message = "number of levels of each grouping factor must be < number of observations: 'Subject'"
    with pytest.raises(GroupingError, match=message):
        lmer("Reaction ~ Days + (1|Subject)", sleep.assign(Subject=np.arange(180)))


def test_as_many_random_effects_as_rows_are_an_error(sleep: pd.DataFrame) -> None:
    message = r"number of observations \(=180\) <= number of random effects \(=180\) for term \(Days | Subject\)"
    with pytest.raises(GroupingError, match=message):
        lmer(DAYS, sleep.assign(Subject=np.arange(180) // 2))


def test_back_quoted_names(sleep: pd.DataFrame) -> None:
    frame = sleep.rename(columns={"Reaction": "my y", "Days": "my x", "Subject": "my g"})
    m = without_warning("`my y` ~ `my x` + (`my x`|`my g`)", frame)
    assert m.criterion == pytest.approx(SLEEP_REML, abs=1e-6)
    assert list(m.fixef.index) == ["(Intercept)", "my x"]
    assert m.ngroups == {"my g": 18}
    assert m.theta_names[0] == "my g.(Intercept)"


@pytest.mark.parametrize("formula", ["angle ~ temp + (recipe|replicate)", "angle ~ temp + (0+recipe|replicate)"])
def test_factor_slopes_of_deficient_rank(formula: str, dataset: Dataset) -> None:
    with pytest.warns(SingularFitWarning):
        m = lmer(formula, dataset("cake"))
    assert m.criterion == pytest.approx(1652.13192884, abs=1e-6)
    assert m.is_singular()


@pytest.mark.parametrize(("reml", "criterion"), [(False, 1661.259536), (True, 1664.99948393)])
def test_double_bar_leaves_no_correlation_within_a_factor(reml: bool, criterion: float, dataset: Dataset) -> None:
    # lme4 run on the intercept and two dummy variables, each a term of its own; lme4's own split of (recipe||replicate)
    # keeps correlations
    m = quietly("angle ~ temp + (recipe||replicate)", dataset("cake"), REML=reml)
    assert m.criterion == pytest.approx(criterion, abs=1e-6)
    assert len(m.theta) == 3
    assert "replicate.recipe[T.B]" in m.theta_names


def test_terms_that_the_data_cannot_tell_apart(sleep: pd.DataFrame) -> None:
    with pytest.warns(IdentifiabilityWarning) as record:
        m = lmer("Reaction ~ Days + (1|Subject) + (Days|Subject)", sleep)
    message = str(record[0].message)
    assert message.startswith("the data cannot tell apart Subject.(Intercept), ")
    assert message.endswith("theta is not identified, although the fitted values and the criterion are")
    assert m.criterion == pytest.approx(SLEEP_REML, abs=1e-6)
    np.testing.assert_allclose(m.fitted, without_warning(DAYS, sleep).fitted, atol=1e-3)


def test_terms_of_one_factor_that_the_data_can_tell_apart(sleep: pd.DataFrame) -> None:
    m = without_warning("Reaction ~ Days + (1|Subject) + (0 + Days|Subject)", sleep)
    assert m.optinfo.message == "converged"


def test_two_large_nested_factors_need_little_memory() -> None:
    rng = np.random.default_rng(29)
    n, levels = 10_200, 10_000
    outer = np.r_[np.arange(levels), rng.integers(0, levels, n - levels)]
    inner = np.zeros(n, dtype=int)  # one inner level for each outer one, but for a few
    inner[-50:] = 1
    data = {"y": rng.normal(size=n) + rng.normal(size=levels)[outer], "f1": outer, "f2": inner}
    tracemalloc.start()
    m = quietly("y ~ 1 + (1|f1/f2)", data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert m.ngroups["f1"] == levels and m.ngroups["f2:f1"] > levels
    assert peak < 100e6  # q × q in double precision takes 3.2e9 bytes, n × q 1.6e9


def test_instructor_evaluations_against_mixed_models_jl(fit: Callable[..., Any]) -> None:
    m = fit("y ~ 1 + service + (1|s) + (1|d) + (1|dept)", "InstEval", REML=False)
    assert m.criterion == pytest.approx(237721.76877450, abs=1e-6 * 23.8)


# -- what is refused, and how -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("Reaction ~ Dayz + (Days|Subject)", "no column 'Dayz'; did you mean 'Days'"),
        ("Reaction ~ Days + (Days|Subjct)", "no column 'Subjct'; did you mean 'Subject'"),
        ("Reaction ~ Days + (Days|Subject", r"'\(' is never closed"),
    ],
)
def test_a_formula_that_cannot_be_read_is_pointed_at(formula: str, message: str, sleep: pd.DataFrame) -> None:
    with pytest.raises(FormulaError, match=message) as error:
        lmer(formula, sleep)
    assert formula in str(error.value)
    assert "^" in str(error.value).splitlines()[-1]


def test_an_empty_frame_is_an_error(sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="no rows"):
        lmer(DAYS, sleep.iloc[:0])


def test_nothing_left_after_missing_values_is_an_error(sleep: pd.DataFrame) -> None:
    sleep["Reaction"] = sleep["Reaction"].where(sleep.index < 90)
    sleep["Days"] = sleep["Days"].where(sleep.index >= 90)
    message = "None of the 180 rows is left: 'Reaction' is missing in 90 rows; 'Days' is missing in 90 rows"
    with pytest.raises(DataError, match=message):
        lmer(DAYS, sleep)


def test_a_response_of_text_is_an_error(sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="response 'Reaction' is text"):
        lmer(DAYS, sleep.assign(Reaction=sleep["Reaction"].astype(str)))


@pytest.mark.parametrize("kind", ["object", "decimal", "nullable"])
def test_unusual_number_types_are_converted(kind: str, sleep: pd.DataFrame) -> None:
    whole = sleep.assign(Reaction=sleep["Reaction"].round())
    types: dict[str, Callable[[pd.Series], Any]] = {
        "object": lambda column: column.astype(object),
        "decimal": lambda column: [Decimal(str(value)) for value in column],
        "nullable": lambda column: column.astype("Int64"),
    }
    converted = whole.assign(Reaction=types[kind](whole["Reaction"]), Days=types[kind](whole["Days"]))
    assert lmer(DAYS, converted).criterion == pytest.approx(lmer(DAYS, whole).criterion, abs=1e-9)


@pytest.mark.parametrize("column", ["Reaction", "Days"])
@pytest.mark.parametrize("kind", ["datetime", "timedelta"])
def test_times_are_refused(column: str, kind: str, sleep: pd.DataFrame) -> None:
    times = {"datetime": pd.date_range("2024-01-01", periods=180), "timedelta": pd.to_timedelta(range(180), unit="D")}
    with pytest.raises(LmmError, match=f"'{column}'.*time"):
        lmer(DAYS, sleep.assign(**{column: times[kind]}))


def test_values_after_the_fit_of_sleepstudy() -> None:
    """Conditional variances, leverage, and the ML log-likelihood at the REML estimates."""
    m = lmer("Reaction ~ Days + (Days|Subject)", load_dataset("sleepstudy"))
    _, covariances = m.ranef(cond_var=True)["Subject"]
    np.testing.assert_allclose(covariances[0], [[145.7056, -21.4445], [-21.4445, 5.31228]], rtol=1e-4)
    assert m.hatvalues().iloc[0] == pytest.approx(0.229304, abs=1e-5)
    # at a tight optimum; lme4's default one gives −875.9929332
    assert -0.5 * m.deviance == pytest.approx(-875.9929266, abs=1e-5)


def test_a_perfect_fit_without_rounding():
    """The residual sum of squares is zero to the last bit."""
    data = {"y": [4.0, 3.5, 4.0, 3.5], "x": [0.0, 2.0, 0.0, 2.0], "g": ["a", "a", "b", "b"]}
    with pytest.warns(LmmWarning, match="perfect fit"):
        m = lmer("y ~ x + (1 | g)", data)
    np.testing.assert_allclose(m.fixef, [4.0, -0.25])
    assert np.isfinite(m.criterion)
    assert m.sigma < 1e-100
