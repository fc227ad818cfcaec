"""Tables of estimates against lmerTest and lme4."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import norm

from lmmsparse import lmer, load_dataset
from lmmsparse.errors import ArgumentError, LmmError
from tests.reported import DAYS, FITS, REFERENCE, TESTED, recorded_fit

COLUMNS = "effect group term estimate std_error statistic df p_value conf_low conf_high".split()
Fit = Callable[..., Any]


@pytest.fixture
def recorded(fit: Fit) -> Callable[[str], Any]:
    """Our fit of a record."""
    return partial(recorded_fit, fit)


@pytest.fixture
def model(fit: Fit) -> Any:
    """The maximal model of sleepstudy."""
    return fit(DAYS, "sleepstudy")


# -- fixed effects ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "method"), TESTED)
def test_fixed_effects_are_those_of_lmertest(name: str, method: str, recorded: Callable[[str], Any]) -> None:
    m, expected = recorded(name), FITS[name]["methods"][method]
    table = m.tidy(ddf=method.lower())
    assert list(table.columns) == COLUMNS
    assert set(table["effect"]) == {"fixed"} and list(table["term"]) == list(m.fixef.index)
    np.testing.assert_allclose(table["std_error"], expected["se"], rtol=2e-6)
    np.testing.assert_allclose(table["df"], expected["df"], rtol=1e-4)
    np.testing.assert_allclose(table["statistic"], expected["t"], rtol=2e-5)
    np.testing.assert_allclose(table["p_value"], expected["p"], rtol=3e-3, atol=1e-200)
    np.testing.assert_allclose(table[["conf_low", "conf_high"]], expected["intervals"], rtol=2e-5)
    pd.testing.assert_series_equal(
        m.df_fixed(ddf=method.lower()), pd.Series(table["df"].to_numpy(), index=m.fixef.index, name="df")
    )
    if method == "Satterthwaite":
        np.testing.assert_array_equal(m.pvalues, table["p_value"])


def test_without_degrees_of_freedom_quantiles_are_normal(model: Any) -> None:
    table = model.tidy(ddf=None, level=0.9)
    assert table[["df", "p_value"]].isna().all(axis=None)
    np.testing.assert_allclose(table["conf_high"], model.fixef + norm.ppf(0.95) * model.bse)
    assert list(model.tidy(conf_int=False).columns) == COLUMNS[:-2]


def test_a_model_without_fixed_effects_has_empty_tables(fit: Fit) -> None:
    m = fit("Reaction ~ 0 + (1 | Subject)", "sleepstudy")
    assert len(m.tidy()) == len(m.pvalues) == len(m.df_fixed()) == 0
    assert list(m.conf_int()["term"]) == ["sd_(Intercept)|Subject", "sigma"]
    assert "No fixed" in str(m) and str(m.summary())


# -- variance parameters ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REFERENCE["sd_errors"])
def test_standard_errors_are_those_of_a_hessian_of_lme4(name: str, recorded: Callable[[str], Any]) -> None:
    table, errors = recorded(name).tidy("ran_pars"), np.array(REFERENCE["sd_errors"][name])
    np.testing.assert_allclose(table["std_error"], errors, rtol=2e-4)
    estimate = table["estimate"].to_numpy()
    is_sd = table["term"].str.startswith("sd__").to_numpy()
    for column, z in (("conf_low", norm.ppf(0.025)), ("conf_high", norm.ppf(0.975))):
        sds = np.exp(np.log(estimate[is_sd]) + z * errors[is_sd] / estimate[is_sd])
        np.testing.assert_allclose(table.loc[is_sd, column], sds, rtol=2e-4)
        r = estimate[~is_sd]
        correlations = np.tanh(np.arctanh(r) + z * errors[~is_sd] / (1 - r**2))
        np.testing.assert_allclose(table.loc[~is_sd, column], correlations, rtol=1e-3)


def test_names_of_variance_parameters(fit: Fit) -> None:
    table = fit(DAYS, "sleepstudy").tidy("ran_pars")
    assert list(table.columns) == COLUMNS
    assert list(table["group"]) == ["Subject", "Subject", "Subject", "Residual"]
    assert list(table["term"]) == ["sd__(Intercept)", "cor__(Intercept).Days", "sd__Days", "sd__Observation"]
    np.testing.assert_allclose(table["estimate"], [24.74043, 0.0655512, 5.922133, 25.59182], rtol=1e-5)
    apart = fit("Reaction ~ Days + (Days || Subject)", "sleepstudy").tidy("ran_pars")
    assert list(apart["term"]) == ["sd__(Intercept)", "sd__Days", "sd__Observation"]


def test_a_large_term_agrees_with_the_variance_components(fit: Fit) -> None:
    m = fit("Reaction ~ Days + I(Days^2) + (Days + I(Days^2) | Subject)", "sleepstudy")
    table, components = m.tidy("ran_pars"), m.varcorr.to_frame()
    assert sorted(table["estimate"]) == pytest.approx(sorted(components["sdcor"]), rel=1e-12)
    by_term = table.set_index("term")["estimate"]
    assert by_term["cor__Days.I(Days ** 2)"] == pytest.approx(m.varcorr["Subject"].correlation[2, 1])


def test_on_the_boundary_there_is_no_standard_error(fit: Fit) -> None:
    m = fit("Yield ~ 1 + (1|Batch)", "Dyestuff2")
    table = m.tidy("ran_pars").set_index("term")
    assert table.loc["sd__(Intercept)", ["std_error", "conf_low", "conf_high"]].isna().all()
    # 29 degrees of freedom: var(σ̂) = σ²/58
    assert table.loc["sd__Observation", "std_error"] == pytest.approx(m.sigma / np.sqrt(58), rel=1e-5)
    assert m.vcov(full=True).isna().sum().sum() == 5 - 2


# -- conditional modes, glance, rows ----------------------------------------------------------------------------


def test_conditional_modes(fit: Fit) -> None:
    m = fit("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin")
    table = m.tidy("ran_vals", level=0.8)
    assert list(table.columns) == [*COLUMNS[:2], "level", *COLUMNS[2:]]
    modes = m.ranef(cond_var=True)
    for group, (frame, variance) in modes.items():
        rows = table[table["group"] == group]
        assert list(rows["level"]) == [str(label) for label in frame.index]
        np.testing.assert_array_equal(rows["estimate"], frame["(Intercept)"])
        np.testing.assert_allclose(rows["std_error"], np.sqrt(variance[:, 0, 0]))
        np.testing.assert_allclose(rows["conf_high"], rows["estimate"] + norm.ppf(0.9) * rows["std_error"])


def test_conditional_modes_of_slopes_stand_level_by_level(model: Any) -> None:
    table = model.tidy("ran_vals")
    assert list(table["term"][:4]) == ["(Intercept)", "Days"] * 2
    wide = table.pivot(index="level", columns="term", values="estimate")
    np.testing.assert_array_equal(wide["Days"], model.ranef()["Subject"]["Days"])


def test_glance(model: Any, fit: Fit) -> None:
    (row,) = model.glance().to_dict("records")
    assert row["nobs"] == 180 and row["df"] == 6 and row["df_resid"] == 174 and row["method"] == "REML"
    assert row["criterion"] == pytest.approx(1743.6283, abs=1e-4) and row["loglik"] == -row["criterion"] / 2
    assert row["converged"] is True and row["singular"] is False
    small = fit("Yield ~ 1 + (1|Batch)", "Dyestuff2", REML=False).glance()
    assert small.loc[0, "method"] == "ML" and bool(small.loc[0, "singular"])


# -- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.tidy("random"), "effects must be one of fixed, ran_pars, ran_vals, got 'random'"),
        (lambda m: m.tidy(level=True), "level must be a number"),
        (lambda m: m.tidy(ddf=3), "tidy: ddf must be"),
        (lambda m: m.summary(ddf="lme4"), "summary: ddf must be"),
        (lambda m: m.df_fixed(None), "df_fixed: ddf must be"),
    ],
)
def test_bad_arguments(model: Any, call: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        call(model)


def test_kenward_roger_needs_reml(fit: Fit) -> None:
    m = fit(DAYS, "sleepstudy", REML=False)
    for call in (m.summary, m.tidy, m.df_fixed, m.conf_int):
        with pytest.raises(LmmError, match="needs a REML fit"):
            call(ddf="kenward-roger")
    assert len(m.tidy("ran_pars", ddf="kenward-roger")) == 4


def test_tidy_of_several_kinds(fit):
    m = fit("Reaction ~ Days + (Days|Subject)", "sleepstudy")
    both = m.tidy(["fixed", "ran_pars"])
    pd.testing.assert_frame_equal(both[:2], m.tidy(), check_dtype=False)
    pd.testing.assert_frame_equal(both[2:].reset_index(drop=True), m.tidy("ran_pars"), check_dtype=False)
    every = m.tidy(("ran_vals", "fixed"))
    assert list(every.columns) == list(m.tidy("ran_vals").columns)
    assert every["level"].isna().sum() == 2
    with pytest.raises(LmmError, match="effects must be one of"):
        m.tidy(["fixed", "random"])
    with pytest.raises(LmmError, match="effects must be one of"):
        m.tidy([])
    as_polars = lmer("Reaction ~ Days + (Days|Subject)", pl.from_pandas(load_dataset("sleepstudy")))
    assert as_polars.tidy(["fixed", "ran_vals"])["level"].null_count() == 2
