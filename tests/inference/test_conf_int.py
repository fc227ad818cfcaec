"""Confidence intervals against lme4's, and which parameters they are of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as t_distribution

import lmmsparse.inference.conf_int
from lmmsparse.errors import ArgumentError
from tests.reported import DAYS, FITS, recorded_fit

Fit = Callable[..., Any]


@pytest.fixture
def recorded(fit: Fit) -> Callable[[str], Any]:
    """Our fit of a record."""
    return partial(recorded_fit, fit)


@pytest.fixture
def model(fit: Fit) -> Any:
    """The maximal model of sleepstudy."""
    return fit(DAYS, "sleepstudy")


@pytest.mark.parametrize("name", FITS)
def test_names_and_normal_intervals_are_those_of_lme4(name: str, recorded: Callable[[str], Any]) -> None:
    m, record = recorded(name), FITS[name]
    table = m.conf_int(ddf=None)
    ours = ([name.replace("Days ** 2", "Days^2") for name in names] for names in (table.index, table["term"]))
    assert tuple(ours) == (record["names"], record["readable"])
    fixed = len(m.fixef)
    np.testing.assert_allclose(table[["conf_low", "conf_high"]][-fixed:], record["wald"][-fixed:], rtol=2e-5)


def test_wald_intervals(model: Any) -> None:
    table = model.conf_int(level=0.9)
    half = t_distribution.ppf(0.95, model.df_fixed()) * model.bse
    np.testing.assert_allclose(table.loc[["(Intercept)", "Days"], "conf_low"], model.fixef - half)
    same = model.tidy("ran_pars", level=0.9)[["conf_low", "conf_high"]]
    np.testing.assert_array_equal(table.iloc[:4][["conf_low", "conf_high"]], same)


def test_parameters_are_chosen_by_either_name(model: Any) -> None:
    assert list(model.conf_int(parm="sd_Days|Subject").index) == [".sig03"]
    assert list(model.conf_int(parm=["Days", ".sig02", "sigma"]).index) == ["Days", ".sig02", ".sigma"]
    assert list(model.conf_int(parm="theta_").index) == [".sig01", ".sig02", ".sig03", ".sigma"]
    assert list(model.conf_int(parm="beta_").index) == ["(Intercept)", "Days"]


def test_other_methods_are_called_with_lme4s_names(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def limits(m: Any, level: float, parm: list[str]) -> pd.DataFrame:
        calls.append((level, parm))
        backwards = parm[::-1]
        return pd.DataFrame({"lower": range(len(parm)), "upper": 9.0}, index=backwards)

    monkeypatch.setattr(lmmsparse.inference.conf_int, "profile_limits", limits)
    monkeypatch.setattr(lmmsparse.inference.conf_int, "bootstrap_limits", limits)
    wald, profile = model.conf_int(), model.conf_int(method="profile")
    pd.testing.assert_frame_equal(profile[["term", "estimate"]], wald[["term", "estimate"]])
    assert list(profile["conf_low"]) == [5, 4, 3, 2, 1, 0] and (profile["conf_high"] == 9.0).all()
    chosen = model.conf_int(level=0.8, method="boot", parm=["sd_Days|Subject", "Days"])
    assert calls == [(0.95, list(wald.index)), (0.8, [".sig03", "Days"])]
    assert list(chosen.index) == [".sig03", "Days"] and list(chosen["conf_low"]) == [1, 0]


def test_bootstrap_intervals_have_their_replicates_and_seed(model: Any) -> None:
    def ends(**arguments: Any) -> Any:
        return model.conf_int(method="boot", parm="Days", **arguments)[["conf_low", "conf_high"]].to_numpy()

    def replicates(nsim: int, seed: int) -> Any:
        return model.bootstrap(nsim, seed=seed).conf_int(parm="Days")[["conf_low", "conf_high"]].to_numpy()

    np.testing.assert_array_equal(ends(), replicates(1000, 0))
    np.testing.assert_array_equal(ends(nsim=60), replicates(60, 0))
    np.testing.assert_array_equal(ends(nsim=60, seed=4), replicates(60, 4))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda m: m.conf_int(parm="Dayz"),
            "no parameter 'Dayz'; did you mean 'Days'. There are .sig01 .sd_.Intercept..Subject., .*Days",
        ),
        (lambda m: m.conf_int(parm=["Days", 3]), "no parameter 3"),
        (lambda m: m.conf_int(method="exact"), "method must be one of wald, profile, boot, got 'exact'"),
        (lambda m: m.conf_int(level=95), "level must be a number between 0 and 1, such as 0.95, got 95"),
        (lambda m: m.conf_int(ddf="kr"), "conf_int: ddf must be 'satterthwaite', 'kenward-roger' or None, got 'kr'"),
        (lambda m: m.conf_int(method="boot", ddf=None), "conf_int: only method='wald' takes ddf, got method='boot'"),
        (lambda m: m.conf_int(nsim=100), "conf_int: only method='boot' takes nsim, got method='wald'"),
        (
            lambda m: m.conf_int(method="profile", nsim=9, seed=0),
            "only method='boot' takes nsim and seed, got method='pro",
        ),
        (lambda m: m.conf_int(method="boot", nsim=0), "nsim must be a positive integer, got 0"),
        (lambda m: m.conf_int(method="boot", seed="luck"), "seed must be a non-negative integer"),
    ],
)
def test_bad_arguments(model: Any, call: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        call(model)
