"""Deviances, scores and weights of rows against definitions with 40 digits, and densities against SciPy's."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose

from lmmsparse.family import Binomial, Family, Gamma, Gaussian, InverseGaussian, NegativeBinomial, Poisson

MEANS: dict[str, Any] = {
    "logit": lambda e: 1 / (1 + mp.exp(-e)),
    "probit": mp.ncdf,
    "cloglog": lambda e: -mp.expm1(-mp.exp(e)),
    "cauchit": lambda e: mp.mpf(1) / 2 + mp.atan(e) / mp.pi,
    "log": mp.exp,
    "identity": lambda e: e,
    "inverse": lambda e: 1 / e,
    "sqrt": lambda e: e**2,
    "1/mu^2": lambda e: 1 / mp.sqrt(e),
}
# −d(y, μ)/2 but for what does not depend on μ, and V.
LIKELIHOODS: dict[str, Any] = {
    "binomial": lambda y, m, r: (y * mp.log(m) if y else 0) + ((1 - y) * mp.log(1 - m) if y < 1 else 0),
    "poisson": lambda y, m, r: y * mp.log(m) - m,
    "negative_binomial": lambda y, m, r: y * mp.log(m) - (y + r) * mp.log(m + r),
    "gaussian": lambda y, m, r: -((y - m) ** 2) / 2,
    "gamma": lambda y, m, r: -y / m - mp.log(m),
    "inverse_gaussian": lambda y, m, r: -((y - m) ** 2) / (2 * y * m**2),
}
VARIANCES: dict[str, Any] = {
    "binomial": lambda m, r: m * (1 - m),
    "poisson": lambda m, r: m,
    "negative_binomial": lambda m, r: m + m**2 / r,
    "gaussian": lambda m, r: 1,
    "gamma": lambda m, r: m**2,
    "inverse_gaussian": lambda m, r: m**3,
}
KINDS = (Binomial, Poisson, NegativeBinomial, Gaussian, Gamma, InverseGaussian)
PAIRS = [kind(link=link) for kind in KINDS for link in kind.links]
RESPONSES = {"binomial": (0.0, 0.25, 1.0), "gaussian": (-1.5, 0.0, 2.0), "gamma": (0.3, 1.0, 4.0)}
RESPONSES["inverse_gaussian"] = RESPONSES["gamma"]
W = 3.0


def predictors(family: Family, far: bool) -> list[float]:
    """η of ordinary size, or where tails are."""
    if family.link in ("inverse", "sqrt", "1/mu^2") or (family.link == "identity" and family.name != "gaussian"):
        return [1e-2, 1e2] if far else [0.2, 0.9, 2.5]
    if family.link == "log" and family.name == "binomial":
        return [-300.0, -1e-6] if far else [-3.0, -0.7, -0.1]
    if family.link == "log":
        return [-600.0, -40.0, 40.0, 300.0] if far else [-1.3, 0.2, 1.7]
    if family.link == "cloglog":
        return [-700.0, -40.0, 5.0] if far else [-2.0, 0.1, 1.3]
    if family.link == "probit":
        return [-35.0, -9.0, 9.0, 35.0] if far else [-1.3, 0.2, 1.7]
    return [-700.0, -60.0, -9.0, 9.0, 60.0, 700.0] if far else [-1.3, 0.2, 1.7]


def taylor(family: Family, y: float, eta: float) -> list[Any]:
    """Derivatives of one row's log-likelihood by η, none to the fourth."""
    size = getattr(family, "size", None)
    likelihood, mean = LIKELIHOODS[family.name], MEANS[family.link]
    return [
        derivative * mp.factorial(k)
        for k, derivative in enumerate(mp.taylor(lambda e: W * likelihood(mp.mpf(y), mean(e), size), mp.mpf(eta), 4))
    ]


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("family", PAIRS, ids=lambda one: f"{one.name}-{one.link}")
def test_derivatives_of_rows(family: Family, far: bool) -> None:
    mp.mp.dps = 400 if far else 40
    for y in RESPONSES.get(family.name, (0.0, 1.0, 7.0)):
        for eta in predictors(family, far):
            rows = family.rows(np.array([y]), np.array([W]), np.array([eta]))
            wanted = [float(value) for value in taylor(family, y, eta)]
            got = [rows.score[0], *(-h[0] for h in rows.observed)]
            size = max(map(abs, wanted[1:]))
            # the fourth derivative is that of the weight's curvature: a hundred-thousandth will do in the tails
            tolerances = (1e-12, 1e-9, 1e-8, 1e-5) if far else (1e-12, 1e-12, 1e-11, 1e-11)
            for value, expected, tolerance in zip(got, wanted[1:], tolerances, strict=True):
                assert value == pytest.approx(expected, rel=tolerance, abs=tolerance * size + 1e-300)


@pytest.mark.parametrize("family", PAIRS, ids=lambda one: f"{one.name}-{one.link}")
def test_expected_weights(family: Family) -> None:
    """w μ'²/V, and its derivatives."""
    mp.mp.dps = 40
    variance, mean, size = VARIANCES[family.name], MEANS[family.link], getattr(family, "size", None)
    for eta in predictors(family, far=False):
        y = np.array([RESPONSES.get(family.name, (1.0,))[-1]])
        found = family.rows(y, np.array([W]), np.array([eta])).expected
        series = mp.taylor(lambda e: W * mp.diff(mean, e) ** 2 / variance(mean(e), size), mp.mpf(eta), 2)
        assert_allclose(
            [v[0] for v in found],
            [float(series[0]), float(series[1]), float(2 * series[2])],
            rtol=1e-10,
            atol=1e-12 * W * 100,
        )


DENSITIES: dict[str, Any] = {
    "binomial": lambda y, mu, w, phi: scipy.stats.binom.logpmf(np.round(w * y), w, mu),
    "poisson": lambda y, mu, w, phi: w * scipy.stats.poisson.logpmf(y, mu),
    "negative_binomial": lambda y, mu, w, phi: w * scipy.stats.nbinom.logpmf(y, 1.0, 1.0 / (1.0 + mu)),
    "gaussian": lambda y, mu, w, phi: scipy.stats.norm.logpdf(y, mu, np.sqrt(phi / w)),
    "gamma": lambda y, mu, w, phi: scipy.stats.gamma.logpdf(y, w / phi, scale=mu * phi / w),
    "inverse_gaussian": lambda y, mu, w, phi: scipy.stats.invgauss.logpdf(y, mu * phi / w, scale=w / phi),
}


@pytest.mark.parametrize("family", PAIRS, ids=lambda one: f"{one.name}-{one.link}")
def test_deviance_and_constant_are_the_density(family: Family) -> None:
    w, phi = np.array([1.0, 4.0, 2.0]), 0.7 if family.has_dispersion else 1.0
    y = np.array(RESPONSES.get(family.name, (0.0, 1.0, 7.0)))
    y = np.array([0.0, 0.25, 1.0]) if family.name == "binomial" else y
    eta = np.array(predictors(family, far=False))
    mu = family.g.mean(eta)[0]
    total = family.rows(y, w, eta).deviance.sum() / phi + family.saturated(y, w, phi)
    assert total == pytest.approx(-2.0 * DENSITIES[family.name](y, mu, w, phi).sum(), rel=1e-12)


@pytest.mark.parametrize("family", PAIRS, ids=lambda one: f"{one.name}-{one.link}")
def test_links_are_inverse_to_means_and_first_means_possible(family: Family) -> None:
    eta = np.array(predictors(family, far=False))
    assert_allclose(family.g.link(family.g.mean(eta)[0]), eta, rtol=1e-9)
    y = np.array(RESPONSES.get(family.name, (0.0, 1.0, 7.0)))
    start = family.g.link(family.first_mean(y, np.ones(3)))
    assert np.isfinite(family.rows(y, np.ones(3), start).deviance).all()
    assert family.possible(y).all()
    assert not family.possible(np.array([np.nan])).any()


def test_what_has_no_mean_has_an_infinite_deviance() -> None:
    for family, eta in (
        (Binomial(link="log"), 0.1),
        (Poisson(link="identity"), -0.1),
        (Poisson(link="sqrt"), -1.0),
        (Gamma(), -1.0),
        (InverseGaussian(), 0.0),
        (Gaussian(link="inverse"), -2.0),
        (Poisson(), np.nan),
    ):
        assert np.isinf(family.rows(np.ones(1), np.ones(1), np.array([eta])).deviance).all(), family


@pytest.mark.parametrize("eta", [-700.0, -300.0, -60.0, -50.5, -49.5])
def test_probit_where_probabilities_are_no_numbers(eta: float) -> None:
    mp.mp.dps = 40
    success = Binomial(link="probit").rows(np.ones(1), np.ones(1), np.array([eta]))
    failure = Binomial(link="probit").rows(np.zeros(1), np.ones(1), np.array([-eta]))
    logarithm = mp.taylor(lambda e: mp.log(mp.erfc(-e / mp.sqrt(2)) / 2), mp.mpf(eta), 3)
    for rows, sign in ((success, 1.0), (failure, -1.0)):
        assert rows.deviance[0] == pytest.approx(float(-2 * logarithm[0]), rel=1e-13)
        assert rows.score[0] == pytest.approx(sign * float(logarithm[1]), rel=1e-12)
        assert rows.observed[0][0] == pytest.approx(float(-2 * logarithm[2]), rel=1e-11)
