"""Bootstrap intervals against R's boot, and the names of their parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.errors import ArgumentError, LmmError
from lmmsparse.inference.bootstrap.bootstrap import bootstrap_limits
from lmmsparse.inference.bootstrap.intervals import accelerations, interval, studentized_interval
from lmmsparse.inference.bootstrap.result import variance_names

PARAMETERS = [
    "sd_(Intercept)|Subject",
    "cor_Days.(Intercept)|Subject",
    "sd_Days|Subject",
    "sigma",
    "(Intercept)",
    "Days",
]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
def test_intervals_are_those_of_rs_boot(number: int, method: str, bootstrap_answers: dict[str, Any]) -> None:
    i = np.arange(1, 200)
    t = np.exp(np.sin(i * 1.7) + np.cos(i**2) / 3)
    influence = np.exp((np.arange(1, 19) * 7) % 19 / 6)
    a = accelerations(influence[:, None])[0]
    wanted = bootstrap_answers["intervals"][number]
    # a ratio of sums of d does not see that jackknife values are further apart than influences
    assert_allclose(interval(t, 1.1, wanted["level"], method, a), wanted[method], rtol=1e-10)


@pytest.mark.parametrize("number", range(4))
def test_studentized_intervals_are_those_of_rs_boot(number: int, bootstrap_answers: dict[str, Any]) -> None:
    i = np.arange(1, 200)
    t, errors = np.exp(np.sin(i * 1.7) + np.cos(i**2) / 3), 0.3 + np.cos(i * 0.7) ** 2
    wanted = bootstrap_answers["intervals"][number]
    found = studentized_interval(t, errors, 1.1, np.sqrt(0.8), wanted["level"])
    assert_allclose(found, wanted["studentized"], rtol=1e-10)
    gaps, their_errors = np.insert(t, [3, 50], [np.nan, 7.0]), np.insert(errors, [3, 50], [1.0, np.nan])
    assert studentized_interval(gaps, their_errors, 1.1, np.sqrt(0.8), wanted["level"]) == found


def test_replicates_that_are_missing_are_left_out() -> None:
    t = np.random.default_rng(0).normal(size=99)
    gaps = np.insert(t, [3, 50], np.nan)
    for method in ("percentile", "basic", "bca"):
        assert interval(gaps, 0.1, 0.9, method) == interval(t, 0.1, 0.9, method)
        assert np.isnan(interval(gaps[3:4], 0.1, 0.9, method)).all()
        assert np.isnan(interval(t, np.nan, 0.9, method)).all()


def test_bca_with_all_replicates_on_one_side() -> None:
    low, high = interval(np.arange(1.0, 100.0), 0.0, 0.95, "bca")
    assert 1.0 <= low <= high <= 99.0


def test_without_each_level_as_lme4_fits_it(model: Any, bootstrap_answers: dict[str, Any]) -> None:
    boot = model.bootstrap(2, seed=0)
    wanted = np.array([record["values"] for record in bootstrap_answers["without"]])
    assert_allclose(boot._jackknife, wanted, rtol=2e-5, atol=1e-5)


def test_names_are_lme4s(fit: Callable[..., Any], bootstrap_answers: dict[str, Any]) -> None:
    for formula, wanted in bootstrap_answers["names"].items():
        m = fit(formula, "sleepstudy")
        table = m.bootstrap(3, seed=1).conf_int()
        assert table["term"].tolist() == wanted
        assert table.index.tolist() == bootstrap_answers["codes"][formula]


def test_parameters_are_chosen_by_either_name(model: Any) -> None:
    boot = model.bootstrap(50, seed=1)
    assert list(boot.names) == PARAMETERS
    assert boot.conf_int(parm=[".sig03", "Days"])["term"].tolist() == ["sd_Days|Subject", "Days"]
    assert boot.conf_int(parm="theta_").index.tolist() == [".sig01", ".sig02", ".sig03", ".sigma"]
    assert boot.conf_int(parm=["beta_", "Days"]).index.tolist() == ["(Intercept)", "Days"]
    with pytest.raises(
        ArgumentError,
        match=r"no parameter 'sig1'; did you mean '\.sig01'\? There are \.sig01 \(sd_\(Intercept\)\|Subject\)",
    ):
        boot.conf_int(parm="sig1")
    assert variance_names(model.terms)[-1] == (".sigma", "sigma")


def test_studentized_intervals_of_balanced_groups_are_those_of_student(fit: Callable[..., Any]) -> None:
    """The mean of six batches: its t has five degrees of freedom, where a normal interval is a quarter shorter."""
    m = fit("Yield ~ 1 + (1 | Batch)", "Dyestuff")
    boot = m.bootstrap(4000, seed=1)
    wald, found, percentile = (
        table.loc["(Intercept)", "conf_high"] - table.loc["(Intercept)", "conf_low"]
        for table in (m.conf_int(), boot.conf_int(method="studentized"), boot.conf_int())
    )
    assert_allclose(found, wald, rtol=0.06)
    assert percentile < 0.82 * wald


def test_studentized_intervals_are_of_fixed_effects(model: Any, fit: Callable[..., Any]) -> None:
    boot = model.bootstrap(60, seed=1, statistic=lambda m: m.sigma)
    assert boot.conf_int(method="studentized")["term"].tolist() == ["(Intercept)", "Days"]
    assert boot.conf_int(method="studentized", parm="Days").shape == (1, 4)
    for name in ("sigma", ".sig02", "statistic", "theta_"):
        with pytest.raises(ArgumentError, match="studentized intervals are for fixed effects; refits have no standard"):
            boot.conf_int(method="studentized", parm=name)
    none = fit("Reaction ~ 0 + (1|Subject)", "sleepstudy").bootstrap(3, seed=1)
    assert len(none.conf_int(method="studentized")) == 0


def test_intervals_of_the_model(model: Any) -> None:
    first = bootstrap_limits(model, 0.9, None)
    assert_array_equal(first, bootstrap_limits(model, 0.9, None))
    narrow = bootstrap_limits(model, 0.5, [".sigma"])
    assert narrow.loc[".sigma", "conf_low"] > first.loc[".sigma", "conf_low"]


@pytest.mark.parametrize(("arguments", "message"), [({"level": 95}, "level"), ({"method": "wald"}, "method must be")])
def test_intervals_that_there_are_not(arguments: dict[str, Any], message: str, model: Any) -> None:
    with pytest.raises(LmmError, match=message):
        model.bootstrap(3, seed=1).conf_int(**arguments)
