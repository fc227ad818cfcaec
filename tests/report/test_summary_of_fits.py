"""Summaries of fits against what lmerTest prints, with degrees of freedom and without."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lmmsparse.report.summary
from lmmsparse import lmer
from tests.fits import quietly
from tests.reported import DAYS, FITS, TESTED, recorded_fit

# Not printed alike: a variance that lme4's optimizer leaves just across a rounding edge, digits of df that
# lmerTest's numerical Hessian does not have, and I(Days^2), which has the name I(Days ** 2) here.
UNPRINTED = {"sleepstudy_ml", "sleepstudy_intercept_ml", "cake", "sleepstudy_three_columns"}
Fit = Callable[..., Any]
Dataset = Callable[[str], pd.DataFrame]


@pytest.fixture
def recorded(fit: Fit) -> Callable[[str], Any]:
    """Our fit of a record."""
    return partial(recorded_fit, fit)


@pytest.fixture
def model(fit: Fit) -> Any:
    """The maximal model of sleepstudy."""
    return fit(DAYS, "sleepstudy")


@pytest.mark.parametrize(("name", "method"), [pair for pair in TESTED if pair[0] not in UNPRINTED])
def test_the_summary_is_that_of_lmertest(name: str, method: str, recorded: Callable[[str], Any]) -> None:
    expected = [line for line in FITS[name]["methods"][method]["text"] if not line.startswith("optimizer (")]
    while not expected[-1]:
        expected.pop()
    # how a rank-deficient fit ended, and which rows were chosen, is said in other words
    own = ("boundary (singular)", " Subset:")
    lines = str(recorded(name).summary(ddf=method.lower())).split("\n")
    kept = [line for line in lines if not line.startswith(own)]
    assert kept == [line for line in expected if not line.startswith(own)]


def test_without_degrees_of_freedom_it_is_that_of_lme4(model: Any) -> None:
    text = str(model.summary(ddf=None))
    assert text.startswith("Linear mixed model fit by REML ['lmerMod']\n")
    assert "Pr(>|t|)" not in text and "            Estimate Std. Error t value\n" in text


def test_a_summary_never_fails_for_want_of_degrees_of_freedom(
    model: Any, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(12), 5)
    perfect = quietly("y ~ x + (1 | g)", {"y": rng.normal(size=12)[g], "x": np.tile(np.arange(5.0), 12), "g": g})
    assert "no degrees of freedom: the residual variance is zero" in str(perfect.summary())
    assert np.isnan(perfect.df_fixed()).all() and np.isnan(perfect.pvalues).all()
    assert "Pr(>|t|)" in str(fit("Yield ~ 1 + (1|Batch)", "Dyestuff2").summary())
    assert "Pr(>|t|)" in str(fit("angle ~ temp + (recipe | replicate)", "cake").summary())

    def fails(*_: Any) -> Any:
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(lmmsparse.report.summary, "fixed_tests", fails)
    text = str(model.summary())
    assert "no degrees of freedom: Singular matrix" in text and "['lmerMod']" in text


def test_a_large_model_is_summarised_without_them_until_they_are_known(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lmmsparse.report.summary, "AFFORDABLE", 0.0)
    m = lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", dataset("Penicillin"))
    object.__setattr__(m.optinfo, "plan", type("Plan", (), {"flops": 1e15})())
    assert "they take long in a model of this size" in str(m.summary())
    m.df_fixed()
    assert "Pr(>|t|)" in str(m.summary())
