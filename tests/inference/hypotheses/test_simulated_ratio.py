"""The simulated likelihood-ratio test of one variance against RLRsim, the F test of balanced data and dense algebra."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import f as f_distribution

from lmmsparse import lmer
from lmmsparse.datasets import load_dataset
from lmmsparse.errors import ArgumentError, LmmWarning
from lmmsparse.inference.hypotheses import simulated_ratio as module
from lmmsparse.inference.hypotheses.simulated_ratio import (
    NullSpectrum,
    null_spectrum,
    residual_eigenvalues,
    simulated_ratios,
)
from tests.answers import answers

Float = NDArray[np.float64]

ANSWERS = answers("inference_testing.json")["simulated"]
DRAWS = 100_000


def spectrum_of(m: Any, reml: bool = True) -> NullSpectrum:
    return null_spectrum(m.objective.working.products, 0, 0, reml)


def repeated(values: Float, counts: NDArray[np.int64]) -> Float:
    return np.repeat(values, counts)


def drawn(m: Any, reml: bool = True, nsim: int = DRAWS, seed: int = 1) -> Float:
    return simulated_ratios(spectrum_of(m, reml), nsim, np.random.default_rng(seed))


def odd_fit(n: int, q: int, slope: bool, weights: bool, seed: int = 0) -> tuple[Any, Float, Float, Float]:
    """A fit of noise, and its dense W^(1/2)X, W^(1/2)Z and weights."""
    rng = np.random.default_rng(seed)
    g = np.concatenate([np.arange(q), rng.integers(0, q, n - q)])
    x, w = rng.normal(3.0, 1.0, n), rng.uniform(0.2, 5.0, n) if weights else np.ones(n)
    formula = "y ~ x + (0 + x | g)" if slope else "y ~ x + (1 | g)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        m = lmer(formula, {"y": rng.normal(size=n), "g": g, "x": x}, weights=w if weights else None)
    Z = np.zeros((n, q))
    Z[np.arange(n), g] = x if slope else 1.0
    root = np.sqrt(w)[:, None]
    return m, root * np.column_stack([np.ones(n), x]), root * Z, w


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("case", ANSWERS["tails"], ids=lambda case: case["formula"])
def test_tails_are_those_of_rlrsim(case, reml, fit):
    subset = np.arange(len(load_dataset(case["data"]))) % 7 != 0 if case["hole"] else None
    values = drawn(fit(case["formula"], case["data"], subset=subset), reml)
    want = np.array(case["REML" if reml else "ML"])
    got = np.array([(values > at).mean() for at in case["points"]])
    error = np.sqrt(want * (1.0 - want) * (1.0 / DRAWS + 1.0 / case["draws"]))
    # draws whose ratio is next to nothing are zero on one grid and not on another
    allowed = 4.5 * error + np.where(np.array(case["points"]) == 0.0, 2e-3, 0.0)
    assert (np.abs(got - want) <= allowed).all(), (got, want)


@pytest.mark.parametrize(("name", "reml"), [("dyestuff", True), ("dyestuff_ml", False)])
def test_p_values_are_those_of_rlrsim(name, reml, fit):
    row = fit("Yield ~ 1 + (1 | Batch)", "Dyestuff", REML=reml).ranova(nsim=DRAWS).iloc[1]
    np.testing.assert_allclose(row["LRT"], ANSWERS[name]["statistic"], atol=1e-6)
    assert abs(row["p_simulated"] - ANSWERS[name]["p"]) < 4.5 * np.sqrt(ANSWERS[name]["p"] * 1.1 / DRAWS)
    kind = "restricted LRT" if reml else "LRT"
    assert row["reference"].endswith(f"; simulated exact {kind}, {DRAWS} draws")


def test_with_other_terms_it_is_that_of_the_component_alone(fit):
    table = fit("strength ~ 1 + (1 | batch / cask)", "Pastes").ranova(nsim=DRAWS)
    row, want = table[table["term"] == "(1 | batch)"].iloc[0], ANSWERS["pastes"]
    np.testing.assert_allclose(row["LRT"], want["statistic"], atol=1e-6)
    assert abs(row["p_simulated"] - want["p"]) < 4.5 * np.sqrt(want["p"] * 1.1 / DRAWS)
    assert row["reference"].endswith(f"; simulated restricted LRT of this component alone (approximate), {DRAWS} draws")


@pytest.mark.parametrize("deviation", [0.9, 1.4, 2.2])
def test_of_balanced_groups_it_is_the_f_test(deviation):
    """There the restricted ratio grows with F, so that both tests have one p-value."""
    q, n = 8, 4
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(q, n))
    noise -= noise.mean(axis=1, keepdims=True)
    effects = np.linspace(-1.0, 1.0, q)
    y = noise / noise.std() + deviation * 0.5 * effects[:, None]
    F = n * y.mean(axis=1).var(ddof=1) / (y.var(axis=1, ddof=1).mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        m = lmer("y ~ 1 + (1 | g)", {"y": y.ravel(), "g": np.repeat(np.arange(q), n)})
    got = m.ranova(nsim=DRAWS)["p_simulated"][1]
    want = f_distribution.sf(F, q - 1, q * (n - 1)) if F > 1.0 else 1.0
    assert abs(got - want) <= 4.5 * np.sqrt(want * (1.0 - want) / DRAWS) + 1e-5


def test_statistics_are_those_of_refits():
    """Quantiles of the ratio over responses drawn without random effects, each fitted twice."""
    m, *_ = odd_fit(60, 12, slope=True, weights=True)
    Y = np.random.default_rng(2).normal(size=(60, 1500)) / np.sqrt(m.frame.weights)[:, None]
    # −2 times the restricted log-likelihood of the linear model, by the criterion at θ = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        alone = np.array([m.objective.with_response(y)(np.zeros(1)) for y in Y.T])
        ratios = alone - m.refit_many(Y).criterion
    values = drawn(m)
    for at in (0.05, 0.5, 1.0, 2.5):
        want = (values > at).mean()
        assert abs((ratios > at).mean() - want) < 4.0 * np.sqrt(want / 1500)


@pytest.mark.parametrize(
    ("n", "q", "slope", "weights"),
    [(80, 12, False, False), (80, 12, False, True), (80, 12, True, True), (40, 37, True, False), (40, 37, False, True)],
)
def test_eigenvalues_are_those_of_dense_algebra(n, q, slope, weights):
    m, X, Z, _ = odd_fit(n, q, slope, weights)
    left_over = Z - X @ np.linalg.lstsq(X, Z)[0]
    mu, xi = np.linalg.eigvalsh(left_over.T @ left_over), np.linalg.eigvalsh(Z.T @ Z)
    mu = mu[mu > 1e-10 * xi[-1]]
    found = spectrum_of(m, reml=False)
    unit = xi[-1] / found.penalties[-1]  # that of the working column
    np.testing.assert_allclose(unit * repeated(found.values, found.counts), mu, rtol=1e-8)
    np.testing.assert_allclose(unit * repeated(found.penalties, found.penalty_counts), xi, rtol=1e-8)
    assert (found.left, found.degrees) == (n - 2 - len(mu), n)
    assert spectrum_of(m).degrees == n - 2


def test_levels_of_one_size_share_rows():
    rng = np.random.default_rng(1)
    d = np.repeat([2.0, 3.0, 7.0], [30, 1, 20])
    U = rng.normal(size=(51, 3)) * 0.1
    values, counts = residual_eigenvalues(d, U)
    np.testing.assert_allclose(repeated(values, counts), np.linalg.eigvalsh(np.diag(d) - U @ U.T), rtol=1e-12)
    assert (counts >= 17).sum() == 2
    values, counts = residual_eigenvalues(d, np.empty((51, 0)))
    assert (values.tolist(), counts.tolist()) == ([2.0, 3.0, 7.0], [30, 1, 20])


def test_draws_are_the_largest_values_of_their_function(monkeypatch):
    """The grid and its parabolas against a grid that is ten times as fine and reaches further."""
    m, *_ = odd_fit(90, 25, slope=True, weights=True)
    for reml in (True, False):
        coarse = drawn(m, reml, nsim=300)
        with monkeypatch.context() as finer:
            for name, value in (("STEP", 0.01), ("FIRST", 1e-6), ("LAST", 1e8)):
                finer.setattr(module, name, value)
            np.testing.assert_allclose(coarse, drawn(m, reml, nsim=300), atol=2e-3, rtol=1e-4)


def test_a_term_that_x_spans_is_never_significant():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(4), 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        m = lmer("y ~ C(g) + (1 | g)", {"y": rng.normal(size=24), "g": g})
    assert len(spectrum_of(m).values) == 0
    assert m.ranova(nsim=10)["p_simulated"][1] == 1.0


def test_only_variances_that_are_correlated_with_nothing(fit):
    table = fit("Reaction ~ Days + (Days | Subject)", "sleepstudy").ranova(nsim=50)
    assert np.isnan(table["p_simulated"]).all()
    assert "simulated" not in table["reference"][1]
    table = fit("Reaction ~ Days + (Days || Subject)", "sleepstudy").ranova(nsim=50)
    assert table["p_simulated"][1:].to_list() == [1 / 51, 1 / 51]
    assert table["reference"].str.contains("approximate").to_list() == [False, True, True]
    levels = fit("angle ~ temp + (0 + recipe || replicate)", "cake").ranova(nsim=50)
    assert np.isnan(levels["p_simulated"]).all()


def test_each_column_has_its_own_spectrum(monkeypatch, fit):
    """Columns of terms that share a grouping factor stand side by side in its block."""
    asked = []

    def recording(products, factor, column, reml):
        asked.append(products.diagonal[factor][:, column, column])
        return null_spectrum(products, factor, column, reml)

    monkeypatch.setattr(module, "null_spectrum", recording)
    m = fit("Reaction ~ 1 + (0 + Days | Subject) + (1 | Subject)", "sleepstudy", subset=np.arange(180) % 7 != 0)
    m.ranova(nsim=5)
    days = load_dataset("sleepstudy")[np.arange(180) % 7 != 0].groupby("Subject", observed=True)["Days"]
    for squares, want in zip(asked, (days.agg(lambda d: (d**2).sum()), days.count()), strict=True):
        np.testing.assert_allclose(squares / squares[0], want / want.iloc[0], rtol=1e-10)


def test_draws_are_those_of_the_seed(fit):
    m = fit("strength ~ 1 + (1 | batch / cask)", "Pastes")
    one, other = m.ranova(nsim=200), m.ranova(nsim=200)
    assert one.equals(other)
    tries = {m.ranova(nsim=200, seed=seed)["p_simulated"][2] for seed in (1, 2, np.random.default_rng(3))}
    assert len(tries) > 1
    assert list(m.ranova().columns) == [name for name in one.columns if name != "p_simulated"]


def test_what_is_too_large_is_said(monkeypatch, fit):
    monkeypatch.setattr(module, "LARGEST_PROBLEM", 3)
    row = fit("strength ~ 1 + (1 | batch / cask)", "Pastes", subset=np.arange(60) % 7 != 0).ranova(nsim=9).iloc[1]
    assert not np.isnan(row["p_simulated"])  # two sizes of groups
    monkeypatch.setattr(module, "LARGEST_PROBLEM", 1)
    row = fit("strength ~ 1 + (1 | batch / cask)", "Pastes", subset=np.arange(60) % 7 != 0).ranova(nsim=9).iloc[1]
    assert np.isnan(row["p_simulated"])
    assert "not simulated: an eigenvalue problem of 2 rows, and 1 are the most" in row["reference"]


@pytest.mark.parametrize("nsim", [-1, 2.5, True, "many"])
def test_numbers_of_draws_that_there_are_not(nsim, fit):
    with pytest.raises(ArgumentError, match="ranova: nsim must be a whole number"):
        fit("Yield ~ 1 + (1 | Batch)", "Dyestuff").ranova(nsim=nsim)


def test_seeds_that_there_are_not(fit):
    with pytest.raises(ArgumentError, match="seed must be"):
        fit("Yield ~ 1 + (1 | Batch)", "Dyestuff").ranova(nsim=10, seed="luck")
