"""What can be asked of a fit, asked of fits of every structure of covariance."""

from __future__ import annotations

import pickle
import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

import lmmsparse
from lmmsparse.errors import ArgumentError, LmmWarning, NestingWarning
from lmmsparse.inference.hypotheses.nesting import is_nested
from tests.answers import answers
from tests.fits import quietly

# Three conditions f of every g; "boundary" has the correlation at its lowest.
FRAMES = {"inside": "three", "boundary": "correlation_lowest", "negative": "three_negative"}
STRUCTURED = ("diag", "homdiag", "cs", "homcs")
EVERY = pytest.mark.parametrize("kind", STRUCTURED)
# Correlations are among their parameters.
CORRELATED = pytest.mark.parametrize("kind", ["cs", "homcs"])
Z = 1.959963984540054


def frame(name: str = "inside") -> pd.DataFrame:
    return pd.DataFrame(answers("structures.json")["frames"][FRAMES[name]])


@cache
def fitted(kind: str, name: str = "inside", reml: bool = True) -> Any:
    return quietly(f"y ~ f + x + {kind}(0 + f | g)", frame(name), REML=reml)


def deviance(m: Any, theta: np.ndarray, sigma: float) -> float:
    """−2 log L of an ML fit at any θ and σ, from its objective, which has σ̂² for σ²."""
    objective = m.objective
    point = objective.solve(objective.to_working(theta))
    best = point.sigma2 * objective.response.scale**2
    return float(objective(theta) + m.nobs * (np.log(sigma**2 / best) + best / sigma**2 - 1.0))


def lowest(m: Any, held: int, value: float) -> float:
    """Smallest deviance where a standard deviation (in the unit of the response) or a correlation is held."""
    structure, start = m.terms[0].structure, np.append(m.theta, m.sigma)
    correlation = structure.quantities[held].kind == "cor"
    low, high = structure.ends

    def everything(x: np.ndarray) -> tuple[np.ndarray, float]:
        """θ and σ, from numbers without bounds."""
        sigma, full = float(np.exp(x[-1])), np.insert(x[:-1], held, 0.0)
        theta = np.exp(full)
        if structure.correlated:
            theta[-1] = low + (high - low) / (1.0 + np.exp(-full[-1]))
        theta[held] = value if correlation else value / sigma
        return theta, sigma

    first = np.log(start)
    if structure.correlated:
        share = (start[-2] - low) / (high - low)
        first[-2] = np.log(share / (1.0 - share))
    first = np.delete(first, held)
    options = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000, "maxfev": 4000, "adaptive": True}
    found = minimize(lambda x: deviance(m, *everything(x)), first, method="Nelder-Mead", options=options)
    return float(found.fun)


@EVERY
def test_profiles_are_constrained_minima(kind: str) -> None:
    """ζ² is by how much the lowest deviance rises, at the ends of the intervals of all variance parameters."""
    m = fitted(kind, reml=False)
    profile = m.profile("theta_", level=0.95)
    structure = m.terms[0].structure
    assert len(profile.curves) == structure.n_theta + 1
    for i, curve in enumerate(profile.curves[:-1]):
        low, high = curve.interval()
        assert low < curve.estimate < high
        assert (np.diff(curve.zeta) > 0).all() and (np.diff(curve.values) > 0).all()
        ends = structure.ends if structure.quantities[i].kind == "cor" else (0.0, np.inf)
        assert ends[0] <= low and high <= ends[1]
        if all(curve.complete):
            for end in (low, high):
                assert lowest(m, i, end) - m.criterion == pytest.approx(Z**2, abs=2e-4), curve.name


@EVERY
def test_profiles_of_fixed_effects(kind: str) -> None:
    """A slope that is held is an offset."""
    m = fitted(kind, reml=False)
    curve = m.profile("x", level=0.95).curves[0]
    for value in curve.interval():
        held = quietly(f"y ~ f + {kind}(0 + f | g)", frame(), REML=False, offset=value * frame()["x"].to_numpy())
        assert held.criterion - m.criterion == pytest.approx(Z**2, abs=2e-5)


@CORRELATED
@pytest.mark.parametrize("name", ["boundary", "negative"])
def test_profiles_near_a_boundary(kind: str, name: str) -> None:
    """An interval of the correlation ends at the end of its range where the likelihood does."""
    m = fitted(kind, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        table = m.profile("theta_", level=0.95).conf_int()
    assert (table["conf_low"] >= [-0.5 if name.startswith("cor") else 0.0 for name in table.index]).all()
    low, high = table.loc["cor|g"]
    assert low < high < 0.5
    if name == "boundary":
        assert low == -0.5
        assert m.profile("theta_").curves[-2].estimate == -0.5


def test_profiles_of_two_columns_are_those_of_the_unstructured() -> None:
    """One correlation of two effects is an ordinary one."""
    data = pd.DataFrame(answers("structures.json")["frames"]["sleepstudy"])
    one, other = (
        quietly(f"Reaction ~ Days + {kind}(1 + Days | Subject)", data).profile().conf_int() for kind in ("cs", "us")
    )
    assert set(one.index) == set(other.index)
    assert_allclose(one, other.loc[one.index], rtol=2e-4, atol=1e-4)


@EVERY
def test_bootstrap(kind: str) -> None:
    """Replicates are refits of simulated responses, with the names of all parameters."""
    m = fitted(kind)
    found = m.bootstrap(12, seed=3)
    table = found.conf_int(0.8)
    assert list(table["term"]) == list(m.conf_int(method="wald")["term"])
    assert (table["conf_low"] < table["conf_high"]).all()
    names = m.conf_int(method="wald").loc[:, ["term", "estimate"]]
    assert_allclose(table["estimate"], names["estimate"])
    again = m.bootstrap(12, seed=3).conf_int(0.8)
    assert_allclose(again["conf_low"], table["conf_low"])


@EVERY
def test_refits_of_many_responses(kind: str) -> None:
    m = fitted(kind)
    responses = m.simulate(6, seed=1)
    found = m.refit_many(responses)
    assert found.converged.all()
    low, high = m.objective.bounds()
    assert (found.theta >= low).all() and (found.theta <= high).all()
    for i in (0, 5):
        alone = quietly(f"y ~ f + x + {kind}(0 + f | g)", frame().assign(y=responses[:, i]))
        assert found.criterion[i] == pytest.approx(alone.criterion, abs=1e-7)
        assert_allclose(found.theta[i], alone.theta, rtol=1e-3, atol=1e-4)
        assert_allclose(found.std_error[i], alone.bse, rtol=1e-4)
        refitted = m.refit(responses[:, i])
        assert refitted.criterion == pytest.approx(alone.criterion, abs=1e-7)
    assert_allclose(m.refit(frame()["y"]).theta, m.theta, rtol=1e-4)


@EVERY
def test_simulated_responses_have_the_covariance(kind: str) -> None:
    m = fitted(kind)
    Y = m.simulate(4000, seed=2)
    rows = np.flatnonzero((frame()["g"] == "g01").to_numpy())
    same = frame()["g"].to_numpy()[rows]
    assert (same == "g01").all()
    columns = m.terms[0].columns[rows]
    expected = columns @ m.varcorr.terms[0].covariance @ columns.T + m.sigma**2 * np.eye(len(rows))
    assert_allclose(np.cov(Y[rows]), expected, atol=0.25)
    assert_allclose(Y.mean(axis=1), m.predict(re_form=False), atol=0.2)


def test_printed() -> None:
    """Every standard deviation and every correlation, as an unstructured or a diagonal term has them."""
    for kind in STRUCTURED:
        m = fitted(kind)
        text, summary = str(m), str(m.summary())
        assert f"y ~ f + x + {kind}(0 + f | g)" in text and f"{kind}(0 + f | g)" in summary
        effects = summary[summary.index("Random effects") : summary.index("Fixed effects")]
        assert ("Corr" in text) == ("Corr" in effects) == (kind in ("cs", "homcs"))
        table = m.varcorr.to_frame()
        assert len(table) == 3 + 3 * (kind in ("cs", "homcs")) + 1
        covariance = m.varcorr.terms[0].covariance
        assert_allclose(table["vcov"][:3], np.diag(covariance))
        if kind in ("cs", "homcs"):
            assert_allclose(table["sdcor"][3:6], m.theta[-1])
            assert_allclose(table["vcov"][3:6], covariance[[1, 2, 2], [0, 0, 1]])
        if kind.startswith("hom"):
            assert_allclose(table["sdcor"][:3], m.theta[0] * m.sigma)
    assert "f[b] 1.0319   0.383" in str(fitted("cs").varcorr)


@EVERY
def test_numbers_of_parameters(kind: str) -> None:
    m = fitted(kind)
    assert len(m.theta) == {"diag": 3, "homdiag": 1, "cs": 4, "homcs": 2}[kind]
    assert m.df == 4 + len(m.theta) + 1
    assert m.aic == pytest.approx(-2 * m.loglik + 2 * m.df)
    assert dict(zip(m.theta_names, m.theta, strict=True)).keys() >= {"g.rho"} if kind.endswith("cs") else True


@EVERY
def test_wald_intervals(kind: str) -> None:
    """On the scales on which estimates are nearly normal, within the ranges of the parameters."""
    table = fitted(kind).conf_int(method="wald").set_index("term")
    assert (table["conf_low"] < table["estimate"]).all() and (table["estimate"] < table["conf_high"]).all()
    deviations = table.loc[[name for name in table.index if name.startswith("sd")]]
    assert len(deviations) == (1 if kind.startswith("hom") else 3) and (deviations["conf_low"] > 0).all()
    if kind in ("cs", "homcs"):
        assert -0.5 < table.loc["cor|g", "conf_low"] and table.loc["cor|g", "conf_high"] < 1.0
    near = fitted(kind).profile().conf_int().loc[table.index]
    widths = (table["conf_high"] - table["conf_low"]).to_numpy()
    for end in ("conf_low", "conf_high"):
        assert (np.abs(near[end] - table[end]) < 0.2 * widths).all()


@EVERY
def test_standard_errors_of_variance_parameters(kind: str) -> None:
    """The inverse of half the Hessian of the deviance in standard deviations, correlations and σ, by differences."""
    m = fitted(kind, reml=False)
    structure = m.terms[0].structure
    scales = np.array([m.sigma if one.kind == "sd" else 1.0 for one in structure.quantities])

    def at(x: np.ndarray) -> float:
        theta = np.where(scales == 1.0, x[:-1], x[:-1] / x[-1])
        return deviance(m, theta, float(x[-1]))

    centre, n = np.append(scales * m.theta, m.sigma), structure.n_theta + 1
    units = 1e-3 * np.eye(n)
    H = [
        [(at(centre + a + b) - at(centre + a - b) - at(centre - a + b) + at(centre - a - b)) for a in units]
        for b in units
    ]
    errors = np.sqrt(np.diag(np.linalg.inv(np.array(H) / 4e-6 / 2.0)))
    table = m.conf_int(method="wald").iloc[:n]
    for i, one in enumerate([*structure.quantities, None]):
        low, value, high = table.iloc[i][["conf_low", "estimate", "conf_high"]]
        if one is None or one.kind == "sd":
            width = (np.log(high) - np.log(low)) * value
            assert width / (2 * Z) == pytest.approx(errors[i], rel=1e-3)


@EVERY
def test_tests_of_fixed_effects(kind: str) -> None:
    """Satterthwaite's and Kenward and Roger's degrees of freedom exist and are near each other."""
    m = fitted(kind)
    one, other = (m.anova(ddf=ddf).set_index("term") for ddf in ("satterthwaite", "kenward-roger"))
    assert list(one.index) == list(other.index) == ["f", "x"]
    assert_allclose(one["DenDF"], other["DenDF"], rtol=0.2)
    assert_allclose(one["F"], other["F"], rtol=0.1)


@EVERY
def test_predictions(kind: str) -> None:
    m, data = fitted(kind), frame()
    found = m.predict(data.iloc[:5], interval="prediction")
    assert_allclose(found["predicted"], m.fitted.iloc[:5])
    assert (found["conf_low"] < found["predicted"]).all() and (found["predicted"] < found["conf_high"]).all()
    new = data.iloc[:3].assign(g="another")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        unknown = m.predict(new, allow_new_levels=True, interval="confidence")
    assert_allclose(unknown["predicted"], m.predict(new, re_form=False))


def test_predictions_of_the_same_model_written_otherwise() -> None:
    """Errors of prediction, hat values and influence do not depend on how it is written."""
    data = frame()
    one, other = (quietly(f"y ~ f + x + {term}", data) for term in ("homdiag(0 + f | g)", "(1 | g:f)"))
    a, b = (m.predict(data.iloc[:7], interval="prediction") for m in (one, other))
    assert_allclose(a[["predicted", "std_error"]], b[["predicted", "std_error"]], rtol=1e-5)
    assert_allclose(one.hatvalues(), other.hatvalues(), rtol=1e-5)
    assert_allclose(one.influence().cooks_distance, other.influence().cooks_distance, rtol=1e-3)


@EVERY
def test_influence(kind: str) -> None:
    """θ held, and estimated again: that of one group against a fit of the others."""
    m, data = fitted(kind), frame()
    held, again = m.influence("g"), m.influence("g", refit=True)
    assert len(held) == len(again) == 30 and again.converged.all()
    assert np.corrcoef(held.cooks_distance, again.cooks_distance)[0, 1] > 0.8
    rest = quietly(f"y ~ f + x + {kind}(0 + f | g)", data[data["g"] != "g05"])
    assert_allclose(again.beta[4], rest.fixef, rtol=1e-5)
    assert_allclose(again.theta[4], rest.theta, rtol=1e-3)


@EVERY
def test_update_and_pickle(kind: str) -> None:
    m = fitted(kind)
    smaller = m.update(". ~ . - x")
    assert smaller.frame.formula.text == f"y ~ f + {kind}(0 + f | g)"
    assert list(smaller.fixef.index) == ["(Intercept)", "f[T.b]", "f[T.c]"]
    copy = pickle.loads(pickle.dumps(m))
    assert copy.criterion == m.criterion and str(copy.summary()) == str(m.summary())
    assert_array_equal(copy.theta, m.theta)
    assert copy.objective(m.theta) == m.objective(m.theta)
    ml = m.refit_ml()
    assert ml.criterion == pytest.approx(fitted(kind, reml=False).criterion, abs=1e-8)


# homdiag is the simplest, us the richest; a diagonal one and a common correlation are not inside each other.
INSIDE = {
    "homdiag": {"homdiag", "diag", "homcs", "cs", "us"},
    "diag": {"diag", "cs", "us"},
    "homcs": {"homcs", "cs", "us"},
    "cs": {"cs", "us"},
    "us": {"us"},
}


@pytest.mark.parametrize("large", INSIDE)
@pytest.mark.parametrize("small", INSIDE)
def test_which_is_inside_which(small: str, large: str) -> None:
    one, other = fitted(small, reml=False), fitted(large, reml=False)
    assert is_nested(one, other) == (large in INSIDE[small])


def test_comparisons() -> None:
    kinds = ("homdiag", "diag", "cs", "us")
    fits = [fitted(kind, reml=False) for kind in kinds]
    table = lmmsparse.anova(*fits)
    assert list(table["npar"]) == [6, 8, 9, 11]
    criteria = [m.criterion for m in fits]
    assert (np.diff(criteria) <= 1e-8).all()
    assert_allclose(table["Chisq"].to_numpy()[1:], -np.diff(criteria), atol=1e-8)
    with pytest.warns(NestingWarning):
        lmmsparse.anova(fitted("diag", reml=False), fitted("homcs", reml=False))


@EVERY
def test_ranova(kind: str) -> None:
    """Without the whole term, the model is an ordinary regression."""
    m = fitted(kind)
    table = m.ranova()
    assert list(table["term"]) == ["<none>", "(0 + f || g)" if kind == "diag" else f"{kind}(0 + f | g)"]
    assert list(table["npar"]) == [m.df, 5]
    X, y = m.frame.X, m.frame.y
    beta, *_ = np.linalg.lstsq(X, y, rcond=None)
    n, p = X.shape
    s2 = ((y - X @ beta) ** 2).sum() / (n - p)
    criterion = (n - p) * (1 + np.log(2 * np.pi * s2)) + np.linalg.slogdet(X.T @ X)[1]
    assert table["logLik"].iloc[1] == pytest.approx(-criterion / 2, abs=1e-6)
    reference = table["reference"].iloc[1]
    assert ("mixture" in reference) == (kind == "homdiag")


def test_singularity_says_what_is_missing() -> None:
    assert "not singular" in str(fitted("cs").singularity())
    for kind in ("cs", "homcs"):
        m = fitted(kind, "boundary")
        assert m.is_singular()
        assert m.optinfo.message.endswith("the correlation of f[a], f[b], f[c] in g is -0.5, the end of its range")
        text = str(m.singularity())
        assert "The fit is singular: some directions of the random effects have no variance." in text
    data = pd.DataFrame(answers("structures.json")["frames"]["no_variances"])
    m = quietly("y ~ f + x + homdiag(0 + f | g)", data)
    assert m.optinfo.message.endswith("no variance of f[a], f[b] in g")
    assert "not singular" not in str(m.singularity())


@EVERY
def test_parts_of_the_variance(kind: str) -> None:
    """The share of a group is the mean variance of its effects over rows, whatever their structure."""
    m = fitted(kind)
    columns, Sigma = m.terms[0].columns, m.varcorr.terms[0].covariance
    mean = np.einsum("ij,jk,ik->i", columns, Sigma, columns).mean()
    assert m.icc().adjusted == pytest.approx(mean / (mean + m.sigma**2), rel=1e-6)


@EVERY
def test_starts_and_optimizers(kind: str) -> None:
    """The slower search and other starts end at the same estimates."""
    m = fitted(kind)
    formula = f"y ~ f + x + {kind}(0 + f | g)"
    slow = quietly(formula, frame(), control={"optimizer": "cobyqa"})
    assert slow.criterion == pytest.approx(m.criterion, abs=1e-6)
    for factor in (0.05, 5.0):
        start = m.terms[0].structure.scaled(m.theta, factor)
        assert quietly(formula, frame(), start=start).criterion == pytest.approx(m.criterion, abs=1e-7)


@CORRELATED
@pytest.mark.parametrize("rho", [-0.5, 1.0])
def test_a_start_at_an_end_of_the_correlation_is_left(kind: str, rho: float) -> None:
    m = fitted(kind)
    start = m.theta.copy()
    start[-1] = rho
    found = quietly(f"y ~ f + x + {kind}(0 + f | g)", frame(), start=start)
    assert found.criterion == pytest.approx(m.criterion, abs=1e-7)
    with pytest.raises(ArgumentError, match=r"start must hold .*: g\.rho must lie between -0\.5 and 1"):
        quietly(f"y ~ f + x + {kind}(0 + f | g)", frame(), start=np.append(start[:-1], rho * 1.1))
