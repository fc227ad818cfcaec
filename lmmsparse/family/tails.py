"""log μ and log(1 − μ) of a probability as functions of η, with their derivatives, right far out in both tails."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, expit, log_expit, log_ndtr

from lmmsparse.family.links import LINKS, Jet, capped_exp

Float = NDArray[np.float64]

# Below −it η + φ(η)/Φ(η) is summed as a series: a difference has fewer digits there.
FAR = 50.0


def _reflected(jet: Jet) -> Jet:
    """The derivatives of f(−η) from those of f there."""
    return jet[0], -jet[1], jet[2], -jet[3], jet[4]


def _logit(eta: Float) -> tuple[Jet, Jet]:
    p, q = expit(eta), expit(-eta)
    d = p * q
    higher = -d, -d * (q - p), -d * (1.0 - 6.0 * d)
    return (log_expit(eta), q, *higher), (log_expit(-eta), -p, *higher)


def _log_ndtr(eta: Float) -> Jet:
    mills = np.sqrt(2.0 / np.pi) / erfcx(-eta / np.sqrt(2.0))  # φ/Φ
    x = np.where(eta < -FAR, -eta, FAR)
    series = (1.0 - (2.0 - (10.0 - (74.0 - 706.0 / x**2) / x**2) / x**2) / x**2) / x
    d = np.where(eta < -FAR, series, eta + mills)
    with np.errstate(invalid="ignore"):  # 0 · ∞ where Φ is one
        d = np.where(mills > 0.0, d, 0.0)
    slope = 1.0 - mills * d
    bend = d**2 - slope
    fourth = -mills * d * bend + mills * (2.0 * d * slope - mills * d**2 + mills * slope)
    return log_ndtr(eta), mills, -mills * d, mills * bend, fourth


def _probit(eta: Float) -> tuple[Jet, Jet]:
    return _log_ndtr(eta), _reflected(_log_ndtr(-eta))


def _cloglog(eta: Float) -> tuple[Jet, Jet]:
    t = capped_exp(np.minimum(eta, 300.0))
    with np.errstate(over="ignore"):
        a = t / np.expm1(t)
    some = a > 0.0
    e = np.where(some, 1.0 - t - a, 0.0)
    second = a * e
    slope = np.where(some, -t - second, 0.0)
    third = a * (e**2 + slope)
    fourth = second * (e**2 + slope) + a * (2.0 * e * slope - np.where(some, t, 0.0) - third)
    with np.errstate(divide="ignore"):
        first = np.log(-np.expm1(-t))
    # where e^η is no number, neither is log μ: a row that small is lost as a whole
    return (np.where(eta < -36.0, eta, first), a, second, third, fourth), (-capped_exp(eta),) * 5


def _cauchit(eta: Float) -> tuple[Jet, Jet]:
    mu = LINKS["cauchit"].mean(eta)
    return _log_of(mu), _log_of((np.arctan2(1.0, eta) / np.pi, -mu[1], -mu[2], -mu[3], -mu[4]))


def _log_of(mu: Jet) -> Jet:
    a = mu[1] / mu[0]
    b = mu[2] / mu[0] - a**2
    c = mu[3] / mu[0] - 3.0 * a * b - a**3
    return np.log(mu[0]), a, b, c, mu[4] / mu[0] - 4.0 * a * c - 3.0 * b**2 - 6.0 * a**2 * b - a**4


def _log(eta: Float) -> tuple[Jet, Jet]:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        b = -1.0 / np.expm1(-eta)
        second = b * (1.0 - b)
        third = second * (1.0 - 2.0 * b)
        fourth = third * (1.0 - 2.0 * b) - 2.0 * second**2
        value = np.where(eta > -0.69, np.log(-np.expm1(eta)), np.log1p(-np.exp(eta)))
    one, zero = np.ones_like(eta), np.zeros_like(eta)
    return (eta, one, zero, zero, zero), (value, b, second, third, fourth)


LOGARITHMS: dict[str, Callable[[Float], tuple[Jet, Jet]]] = {
    "logit": _logit,
    "probit": _probit,
    "cloglog": _cloglog,
    "cauchit": _cauchit,
    "log": _log,
}
