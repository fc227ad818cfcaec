"""The bootstrap: draws against the moments they must have, clusters against lme4's fits."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse import lmer
from lmmsparse.errors import ArgumentError, FactorizationError, NewDataError
from lmmsparse.inference.bootstrap.draws import Cases, chosen_cases, draw_cases, reflated_modes, reflated_residuals
from lmmsparse.inference.bootstrap.replicates import case_model, pieces, responses
from lmmsparse.inference.bootstrap.result import Bootstrap, model_clusters
from lmmsparse.inference.bootstrap.workers import in_processes
from lmmsparse.inference.parameters import stacked_deviations

DAYS = "Reaction ~ Days + (Days|Subject)"


def values_of(m: Any) -> np.ndarray:
    found = m.estimates
    sdcor = stacked_deviations(m.terms, found.theta[None], np.array([found.sigma]))[0]
    return np.concatenate([sdcor, [m.sigma], m.fixef])


class Drawn:
    """A generator that draws given levels."""

    def __init__(self, levels: Any) -> None:
        self.levels = np.asarray(levels)

    def integers(self, high: int, size: int) -> np.ndarray:
        assert self.levels.max() < high and len(self.levels) == size
        return self.levels


def cases_of(m: Any, group: str, levels: Any) -> Cases:
    return draw_cases(model_clusters(m, group), False, Drawn(levels))  # type: ignore[arg-type]


# -- cases ------------------------------------------------------------------------------------------------------


def test_clusters_drawn_twice_are_two(model: Any, bootstrap_answers: dict[str, Any]) -> None:
    found = case_model(model, cases_of(model, "Subject", bootstrap_answers["drawn"]))
    assert found.criterion == pytest.approx(bootstrap_answers["repeated"]["criterion"], abs=1e-6)
    assert_allclose(values_of(found), bootstrap_answers["repeated"]["values"], rtol=2e-5, atol=1e-5)
    assert found.ngroups == {"Subject": 18}
    assert len(set(found.ranef()["Subject"].index)) == 18


def test_nested_levels_go_with_their_clusters(fit: Callable[..., Any], bootstrap_answers: dict[str, Any]) -> None:
    m = fit("strength ~ 1 + (1|cask:batch) + (1|batch)", "Pastes")
    wanted = bootstrap_answers["nested"]
    found = case_model(m, cases_of(m, "batch", wanted["drawn"]))
    assert found.ngroups == {"cask:batch": 30, "batch": 10}
    assert found.criterion == pytest.approx(wanted["fit"]["criterion"], abs=1e-6)
    assert_allclose(values_of(found), wanted["fit"]["values"], rtol=2e-5)


def test_crossed_levels_stay_what_they_are(fit: Callable[..., Any], bootstrap_answers: dict[str, Any]) -> None:
    m = fit("diameter ~ 1 + (1|plate) + (1|sample)", "Penicillin")
    wanted = bootstrap_answers["crossed"]
    found = case_model(m, cases_of(m, "plate", wanted["drawn"]))
    assert found.ngroups == {"plate": 24, "sample": 6}
    assert found.criterion == pytest.approx(wanted["fit"]["criterion"], abs=1e-6)
    assert_allclose(values_of(found), wanted["fit"]["values"], rtol=2e-5)


def test_predictions_of_a_replicate_know_new_levels(model: Any, dataset: Callable[..., pd.DataFrame]) -> None:
    found = case_model(model, cases_of(model, "Subject", [0] * 9 + [1] * 9))
    new = dataset("sleepstudy").iloc[:2]
    with pytest.raises(NewDataError, match="new levels"):
        found.predict(new)
    assert_allclose(found.predict(new, re_form=0), found.fixef.iloc[0] + found.fixef.iloc[1] * new["Days"])
    assert_allclose(found.fitted, found.predict())


def test_levels_that_stay_can_be_predicted(fit: Callable[..., Any], dataset: Callable[..., pd.DataFrame]) -> None:
    m = fit("diameter ~ 1 + (1|plate) + (1|sample)", "Penicillin")
    known = model_clusters(m, "sample")
    found = case_model(m, chosen_cases(known, np.array([True, False, True, True, True, True])))
    frame = dataset("Penicillin")
    kept = frame[frame["sample"] != "B"]
    assert_allclose(found.predict(kept), found.fitted)
    again = lmer("diameter ~ 1 + (1|plate) + (1|sample)", kept)
    assert found.criterion == pytest.approx(again.criterion, abs=1e-7)
    with pytest.raises(NewDataError, match="new levels"):
        found.predict(frame)


def test_weights_and_offsets_go_with_their_rows(dataset: Callable[..., pd.DataFrame]) -> None:
    frame = dataset("sleepstudy")
    w, offset = np.tile(np.arange(1.0, 6.0), 36), np.linspace(0.0, 9.0, 180)
    m = lmer("Reaction ~ Days + (1|Subject)", frame, weights=w, offset=offset)
    kept = np.arange(18) % 3 != 1
    found = case_model(m, chosen_cases(model_clusters(m, "Subject"), kept))
    rows = np.repeat(kept, 10)
    again = lmer("Reaction ~ Days + (1|Subject)", frame[rows], weights=w[rows], offset=offset[rows])
    assert found.criterion == pytest.approx(again.criterion, abs=1e-7)


def test_rows_within_clusters(model: Any) -> None:
    known = model_clusters(model, "Subject")
    whole = draw_cases(known, False, np.random.default_rng(4))
    drawn = draw_cases(known, True, np.random.default_rng(4))
    assert_array_equal(known.codes["Subject"][drawn.rows], known.codes["Subject"][whole.rows])
    assert_array_equal(drawn.codes["Subject"], whole.codes["Subject"])
    assert len(set(drawn.rows[:10])) < 10 == len(set(whole.rows[:10]))


def test_draws_that_cannot_be_fitted_are_counted(dataset: Callable[..., pd.DataFrame]) -> None:
    frame = dataset("sleepstudy")
    frame["rare"] = np.where(frame["Subject"] == "308", 1.0, 0.0) * (frame["Days"] > 4)
    m = lmer("Reaction ~ Days + rare + (1|Subject)", frame)
    boot = m.bootstrap(40, kind="cases", seed=2)
    assert 5 < boot.failed.sum() < 25  # a third of the draws have no such subject
    assert np.isnan(boot.beta[boot.failed]).all() and np.isfinite(boot.beta[~boot.failed]).all()
    assert_array_equal([i for i, _ in boot.failures], np.flatnonzero(boot.failed))
    assert f"{boot.failed.sum()} failed" in repr(boot) and "do not determine all fixed effects" in repr(boot)
    assert boot.conf_int().notna().all().all()
    assert_array_equal(boot.to_frame()["failed"], boot.failed)


# -- responses --------------------------------------------------------------------------------------------------


def test_a_parametric_bootstrap_is_refits_of_draws(model: Any) -> None:
    boot = model.bootstrap(120, seed=5)
    streams = np.random.default_rng(5).spawn(3)
    sizes = [count for _, count in pieces(120, 180)]
    assert sum(sizes) == 120
    many = [model.refit_many(model.simulate(c, seed=s)) for c, s in zip(sizes, streams, strict=True)]
    assert_array_equal(boot.theta, np.vstack([part.theta for part in many]))
    assert_array_equal(boot.criterion, np.concatenate([part.criterion for part in many]))
    assert_allclose(boot.bias, boot.replicates.mean(axis=0) - values_of(model))
    assert_allclose(boot.std_error, boot.replicates.std(axis=0, ddof=1))


def test_standard_errors_are_those_of_theory(model: Any) -> None:
    boot = model.bootstrap(2000, seed=1)
    assert_allclose(boot.std_error[["(Intercept)", "Days"]], model.bse, rtol=0.07)
    assert_allclose(boot.estimate.to_numpy(), values_of(model))
    given = model.bootstrap(200, seed=1, use_u=True)
    assert given.std_error["Days"] < 0.6 * boot.std_error["Days"]


def test_standard_deviations_and_correlations_of_replicates(model: Any) -> None:
    boot = model.bootstrap(60, seed=9)
    for y, row in zip(model.simulate(3, seed=np.random.default_rng(9).spawn(2)[0]).T, boot.sdcor, strict=False):
        term = model.refit(y).varcorr["Subject"]
        assert_allclose(row, [term.sd[0], term.correlation[1, 0], term.sd[1]], rtol=1e-4, atol=1e-5)


def test_semiparametric_with_its_random_effects_resamples_residuals(model: Any) -> None:
    task = model.bootstrap(1, kind="semiparametric", use_u=True, seed=1).task
    Y = responses(task, 4, np.random.default_rng(0))
    residuals = np.sort(model.resid().to_numpy())
    for e in (Y - model.fitted.to_numpy()[:, None]).T:
        assert np.abs(e[:, None] - residuals).min(axis=1).max() < 1e-9


@pytest.mark.parametrize(
    "formula", ["Reaction ~ Days + (Days|Subject)", "Reaction ~ Days + (1|Subject) + (0 + Days|Subject)"]
)
def test_semiparametric_draws_have_the_moments_of_the_model(formula: str, dataset: Any) -> None:
    w = np.tile(np.arange(1.0, 6.0), 36)
    m = lmer(formula, dataset("sleepstudy"), weights=w)
    task = m.bootstrap(1, kind="semiparametric", seed=1).task
    Y = responses(task, 4000, np.random.default_rng(0))[:10] - m.predict(re_form=0).to_numpy()[:10, None]
    days = np.arange(10.0)
    # the first subject's own effects are any subject's: their covariance matrix is that of the model
    covariance = np.zeros((2, 2))
    for t, term in enumerate(m.terms):
        where = [["(Intercept)", "Days"].index(name) for name in term.names]
        covariance[np.ix_(where, where)] = m.varcorr.terms[t].covariance
    Z = np.column_stack([np.ones(10), days])
    V = Z @ covariance @ Z.T + np.diag(m.sigma**2 / w[:10])
    error = np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / 4000)
    assert np.abs((Y @ Y.T / 4000 - V) / error).max() < 5.0
    assert np.abs(Y.mean(axis=1) / np.sqrt(np.diag(V) / 4000)).max() < 5.0


def test_modes_get_the_covariance_of_the_model() -> None:
    rng = np.random.default_rng(1)
    modes = rng.normal(size=(30, 3)) @ np.array([[1.0, 0.0, 0.0], [0.5, 2e-4, 0.0], [-3.0, 1.0, 50.0]]).T
    factor = np.array([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.5, -0.5, 0.1]])
    out = reflated_modes(modes, factor)
    assert_allclose(out.T @ out / 30, factor @ factor.T, rtol=1e-8, atol=1e-8)
    assert_allclose(out.mean(axis=0), 0.0, atol=1e-12)
    own = np.linalg.cholesky(out.T @ out / 30)
    assert_allclose(reflated_modes(out, own), out, atol=1e-9)
    assert_array_equal(reflated_modes(np.zeros((4, 2)), np.eye(2)), np.zeros((4, 2)))
    assert_array_equal(reflated_residuals(np.zeros(4), 1.0), np.zeros(4))


def test_singular_fits_are_drawn_from_too(fit: Callable[..., Any]) -> None:
    m = fit("Yield ~ 1 + (1|Batch)", "Dyestuff2")
    for kind in ("parametric", "semiparametric", "cases"):
        boot = m.bootstrap(30, kind=kind, seed=1)
        assert not boot.failed.any() and 0 < boot.singular.sum() <= 30
        assert boot.conf_int(method="bca").notna().all().all()
        assert f"{boot.singular.sum()} singular" in repr(boot)


def test_refits_that_fail_together_are_made_one_by_one(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, Y: Any) -> Any:
        raise FactorizationError("one of many")

    wanted = model.bootstrap(10, seed=3)
    monkeypatch.setattr(type(model), "refit_many", refuse)
    found = model.bootstrap(10, seed=3)
    assert_allclose(found.criterion, wanted.criterion, atol=1e-8)
    monkeypatch.setattr(type(model), "refit", refuse)
    found = model.bootstrap(4, seed=3)
    assert found.failed.all() and "4 failed" in repr(found) and "one of many" in repr(found)


# -- seeds and processes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parametric", "semiparametric", "cases"])
def test_the_same_in_any_number_of_processes(kind: str, model: Any) -> None:
    alone = model.bootstrap(110, kind=kind, seed=7)
    together = model.bootstrap(110, kind=kind, seed=7, workers=2, start_method="fork")
    assert_array_equal(alone.to_frame(), together.to_frame())
    assert not np.array_equal(model.bootstrap(110, kind=kind, seed=8).theta, alone.theta)


def test_fewer_replicates_are_the_first_of_more(model: Any) -> None:
    assert_allclose(model.bootstrap(60, seed=7).theta, model.bootstrap(110, seed=7).theta[:60], rtol=1e-6, atol=1e-8)


def test_a_generator_goes_on(model: Any) -> None:
    rng = np.random.default_rng(1)
    first, second = model.bootstrap(3, seed=rng), model.bootstrap(3, seed=rng)
    assert not np.array_equal(first.theta, second.theta)


GUARDLESS = """
from lmmsparse import lmer, load_dataset
m = lmer("Reaction ~ Days + (Days|Subject)", load_dataset("sleepstudy"))
print(len(m.bootstrap(60, seed=1, workers=2{})))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not fork")
def test_a_script_without_a_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(GUARDLESS.format(""), encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "60" and done.stderr == ""


def test_a_script_that_needs_a_guard_is_told(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(GUARDLESS.format(', start_method="spawn"'), encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert "put the call under `if __name__ == '__main__':`" in done.stderr.strip().splitlines()[-1]


def test_what_cannot_be_sent_is_said(model: Any) -> None:
    with pytest.raises(ArgumentError, match=r"cannot be sent to other processes.*workers=1"):
        model.bootstrap(60, statistic=lambda m: m.sigma, workers=2, start_method="spawn")


def test_pieces_keep_their_order() -> None:
    found = list(in_processes(divmod, 17, [(k,) for k in range(1, 9)], 2, "fork"))
    assert found == [divmod(17, k) for k in range(1, 9)]


def test_a_result_can_be_stored(model: Any) -> None:
    boot = pickle.loads(pickle.dumps(model.bootstrap(20, seed=1)))
    assert isinstance(boot, Bootstrap)
    assert boot.conf_int(method="bca").shape == (6, 4)


def test_progress_is_shown(model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    model.bootstrap(60, seed=1, progress=True)
    captured = capsys.readouterr()
    assert captured.out == "" and "50 of 60 replicates" in captured.err and captured.err.endswith("s\n")


def test_arguments_that_are_no_names(model: Any) -> None:
    with pytest.raises(ArgumentError, match="no grouping factor"):
        model.bootstrap(4, kind="cases", group=["Subject"])
    with pytest.raises(ArgumentError, match="no parameter 3"):
        model.bootstrap(4, seed=1).conf_int(parm=3)
    with pytest.raises(ArgumentError, match=r"no parameter \['Days'\]"):
        model.bootstrap(4, seed=1).conf_int(parm=[["Days"]])


# -- names and frames -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parametric", "semiparametric", "cases"])
def test_standard_errors_of_each_replicate(kind: str, model: Any) -> None:
    """The same from refits together and one by one, and near that of the fit."""
    boot = model.bootstrap(40, kind=kind, seed=3)
    assert_allclose(np.median(boot.beta_error, axis=0), model.bse, rtol=0.25)
    alone = model.bootstrap(40, kind=kind, seed=3, statistic=lambda m: m.bse)
    assert_allclose(boot.beta_error, alone.statistic, rtol=1e-4)
    assert_array_equal(alone.beta_error, alone.statistic)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_frames_of_the_callers_library(library: str, dataset: Callable[..., pd.DataFrame]) -> None:
    module = pytest.importorskip(library)
    frame = dataset("sleepstudy")
    data = module.from_pandas(frame) if library == "polars" else module.Table.from_pandas(frame)
    boot = lmer(DAYS, data).bootstrap(5, seed=1)
    kind = module.DataFrame if library == "polars" else module.Table
    assert isinstance(boot.to_frame(), kind) and isinstance(boot.conf_int(), kind)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nsim": 0}, "nsim must be a positive integer"),
        ({"nsim": 2.5}, "nsim must be a positive integer"),
        ({"nsim": True}, "nsim must be a positive integer"),
        ({"kind": "wild"}, "kind must be one of parametric, semiparametric, cases"),
        ({"workers": 0}, "workers must be a positive integer"),
        ({"seed": "a"}, "seed must be"),
        ({"kind": "cases", "use_u": True}, "use_u"),
        ({"within": True}, "within is for kind='cases'"),
        ({"group": "subject"}, "no grouping factor 'subject'; did you mean 'Subject'\\? There are Subject"),
        ({"start_method": "thread"}, "start_method must be one of"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: dict[str, Any], message: str, model: Any) -> None:
    with pytest.raises(ArgumentError, match=message):
        model.bootstrap(**{"nsim": 3, **arguments})
