"""Links: the mean as a function of the linear predictor η, with its derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
# A function with its first four derivatives.
Jet = tuple[Float, Float, Float, Float, Float]

# Beyond it e^η is no number.
LARGEST_EXPONENT = 700.0


@dataclass(frozen=True)
class Link:
    """A link function g, η = g(μ).

    Attributes
    ----------
    name : str
    link : callable
        μ → η.
    mean : callable
        η (n,) → μ and its first four derivatives, five (n,) arrays.
    inside : callable
        η → whether there is a mean, (n,) of bool.
    """

    name: str
    link: Callable[[Float], Float]
    mean: Callable[[Float], Jet]
    inside: Callable[[Float], Mask]

    def __repr__(self) -> str:
        return f"Link({self.name!r})"


def everywhere(eta: Float) -> Mask:
    """Every η has a mean."""
    return np.isfinite(eta)


def positive(eta: Float) -> Mask:
    """Means are those of a positive η."""
    return np.isfinite(eta) & (eta > 0.0)


def negative(eta: Float) -> Mask:
    """Means are those of a negative η."""
    return np.isfinite(eta) & (eta < 0.0)


def capped_exp(eta: Float) -> Float:
    """e^η where that is a number, and its largest value beyond."""
    return np.exp(np.minimum(eta, LARGEST_EXPONENT))


def _logit(eta: Float) -> Jet:
    mu, d = expit(eta), expit(eta) * expit(-eta)
    s = 1.0 - 2.0 * mu
    return mu, d, d * s, d * (1.0 - 6.0 * d), d * s * (1.0 - 12.0 * d)


def _probit(eta: Float) -> Jet:
    square = eta**2
    d = np.exp(-0.5 * square) / np.sqrt(2.0 * np.pi)
    return ndtr(eta), d, -eta * d, (square - 1.0) * d, (3.0 - square) * eta * d


def _cloglog(eta: Float) -> Jet:
    t = capped_exp(eta)
    d = np.exp(np.minimum(eta, LARGEST_EXPONENT) - t)
    return -np.expm1(-t), d, d * (1.0 - t), d * (1.0 - 3.0 * t + t**2), d * (1.0 - 7.0 * t + 6.0 * t**2 - t**3)


def _cauchit(eta: Float) -> Jet:
    r = 1.0 / (1.0 + eta**2)
    mu = np.arctan2(1.0, -eta) / np.pi
    first = r / np.pi
    return (
        mu,
        first,
        -2.0 * eta * r * first,
        (6.0 * eta**2 - 2.0) * r**2 * first,
        24.0 * eta * (1.0 - eta**2) * r**3 * first,
    )


def _log(eta: Float) -> Jet:
    mu = capped_exp(eta)
    return mu, mu, mu, mu, mu


def _identity(eta: Float) -> Jet:
    zero = np.zeros_like(eta)
    return eta, np.ones_like(eta), zero, zero, zero


def _inverse(eta: Float) -> Jet:
    r = 1.0 / eta
    return r, -(r**2), 2.0 * r**3, -6.0 * r**4, 24.0 * r**5


def _sqrt(eta: Float) -> Jet:
    zero = np.zeros_like(eta)
    return eta**2, 2.0 * eta, np.full_like(eta, 2.0), zero, zero


def _inverse_square(eta: Float) -> Jet:
    mu = eta**-0.5
    r = 1.0 / eta
    return mu, -0.5 * mu * r, 0.75 * mu * r**2, -1.875 * mu * r**3, 6.5625 * mu * r**4


LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        Link("logit", lambda mu: np.log(mu) - np.log1p(-mu), _logit, everywhere),
        Link("probit", ndtri, _probit, everywhere),
        Link("cloglog", lambda mu: np.log(-np.log1p(-mu)), _cloglog, everywhere),
        Link("cauchit", lambda mu: np.tan(np.pi * (mu - 0.5)), _cauchit, everywhere),
        Link("log", np.log, _log, everywhere),
        Link("identity", lambda mu: np.asarray(mu, dtype=float), _identity, everywhere),
        Link("inverse", np.reciprocal, _inverse, positive),
        Link("sqrt", np.sqrt, _sqrt, positive),
        Link("1/mu^2", lambda mu: mu**-2.0, _inverse_square, positive),
    )
}
