"""Families of counts and of continuous responses."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, expit, gammaln, xlogy

from lmmsparse.errors import ArgumentError
from lmmsparse.family.base import FamilyOfMeans, Four, Three
from lmmsparse.family.links import capped_exp
from lmmsparse.family.rows import powers

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Poisson(FamilyOfMeans):
    """Counts; prior weights count repetitions of a row."""

    name: ClassVar[str] = "poisson"
    links: ClassVar[tuple[str, ...]] = ("log", "identity", "sqrt")

    def deviance(self, y: Float, mu: Float) -> Float:
        """As `Family.deviance`."""
        return np.asarray(2.0 * (xlogy(y, y / mu) - (y - mu)))

    def variance(self, mu: Float) -> Three:
        """As `Family.variance`."""
        return mu, np.ones_like(mu), np.zeros_like(mu)

    def slopes(self, y: Float, mu: Float) -> Four:
        """As `Family.slopes`."""
        r = powers(mu)
        return (y - mu) * r[0], -y * r[1], 2.0 * y * r[2], -6.0 * y * r[3]

    def saturated(self, y: Float, w: Float, phi: float) -> float:
        """As `Family.saturated`."""
        return -2.0 * float((w * (xlogy(y, y) - y - gammaln(y + 1.0))).sum())

    def possible(self, y: Float) -> Mask:
        """As `Family.possible`."""
        return (y >= 0.0) & (y == np.floor(y)) & np.isfinite(y)

    def first_mean(self, y: Float, w: Float) -> Float:
        """As `Family.first_mean`."""
        return y + 0.1

    def has_mean(self, eta: Float, mu: Float) -> Mask:
        """As `Family.has_mean`: positive, or as small as a number can be."""
        return self.g.inside(eta) & (mu >= 0.0) & ((mu > 0.0) | (self.link == "log"))

    def by_log(self, y: Float, eta: Float) -> tuple[Float, Four, Three]:
        """As `Family.by_log`."""
        mu = capped_exp(eta)
        return 2.0 * (xlogy(y, y) - y * eta - (y - mu)), (y - mu, -mu, -mu, -mu), (mu, mu, mu)


class Gaussian(FamilyOfMeans):
    """A normal distribution; prior weights as in `lmer`."""

    name: ClassVar[str] = "gaussian"
    links: ClassVar[tuple[str, ...]] = ("identity", "log", "inverse")
    has_dispersion: ClassVar[bool] = True

    def deviance(self, y: Float, mu: Float) -> Float:
        """As `Family.deviance`."""
        return (y - mu) ** 2

    def variance(self, mu: Float) -> Three:
        """As `Family.variance`."""
        return np.ones_like(mu), np.zeros_like(mu), np.zeros_like(mu)

    def slopes(self, y: Float, mu: Float) -> Four:
        """As `Family.slopes`."""
        zero = np.zeros_like(mu)
        return y - mu, np.full_like(mu, -1.0), zero, zero

    def by_log(self, y: Float, eta: Float) -> tuple[Float, Four, Three]:
        """As `Family.by_log`."""
        mu = capped_exp(eta)
        slopes = ((y - mu) * mu, (y - 2.0 * mu) * mu, (y - 4.0 * mu) * mu, (y - 8.0 * mu) * mu)
        return (y - mu) ** 2, slopes, (mu**2, 2.0 * mu**2, 4.0 * mu**2)

    def saturated(self, y: Float, w: Float, phi: float) -> float:
        """As `Family.saturated`."""
        return float(np.log(2.0 * np.pi * phi / w).sum())

    def possible(self, y: Float) -> Mask:
        """As `Family.possible`."""
        return np.isfinite(y)

    def first_mean(self, y: Float, w: Float) -> Float:
        """As `Family.first_mean`."""
        if self.link == "identity":
            return y
        return np.maximum(y, 0.01 * max(float(np.abs(y).max(initial=0.0)), np.finfo(float).tiny))


class Gamma(FamilyOfMeans):
    """Positive responses with a constant coefficient of variation √φ."""

    name: ClassVar[str] = "gamma"
    links: ClassVar[tuple[str, ...]] = ("inverse", "log", "identity")
    has_dispersion: ClassVar[bool] = True

    def deviance(self, y: Float, mu: Float) -> Float:
        """As `Family.deviance`."""
        return 2.0 * ((y - mu) / mu - np.log(y / mu))

    def variance(self, mu: Float) -> Three:
        """As `Family.variance`."""
        return mu**2, 2.0 * mu, np.full_like(mu, 2.0)

    def slopes(self, y: Float, mu: Float) -> Four:
        """As `Family.slopes`."""
        r = powers(mu)
        return (
            (y - mu) * r[1],
            r[1] - 2.0 * y * r[2],
            -2.0 * r[2] + 6.0 * y * r[3],
            6.0 * r[3] - 24.0 * y * r[3] * r[0],
        )

    def by_log(self, y: Float, eta: Float) -> tuple[Float, Four, Three]:
        """As `Family.by_log`."""
        ratio = y * capped_exp(-eta)
        one, zero = np.ones_like(eta), np.zeros_like(eta)
        return 2.0 * (ratio - 1.0 - np.log(y) + eta), (ratio - 1.0, -ratio, ratio, -ratio), (one, zero, zero)

    def saturated(self, y: Float, w: Float, phi: float) -> float:
        """As `Family.saturated`."""
        a = w / phi
        return -2.0 * float((xlogy(a, a) - a - gammaln(a) - np.log(y)).sum())

    def possible(self, y: Float) -> Mask:
        """As `Family.possible`."""
        return (y > 0.0) & np.isfinite(y)

    def dispersion(self, y: Float, w: Float, penalized: float) -> float:
        """As `Family.dispersion`: the root of F + 2 Σ w (ψ(a) − log a), a = w/φ, which increases with log φ."""

        def slope(log_phi: float) -> float:
            a = w * np.exp(-log_phi)
            return penalized + 2.0 * float((w * (digamma(a) - np.log(a))).sum())

        return float(np.exp(brentq(slope, -40.0, 40.0, xtol=1e-14, rtol=1e-15)))

    def first_mean(self, y: Float, w: Float) -> Float:
        """As `Family.first_mean`."""
        return y

    def has_mean(self, eta: Float, mu: Float) -> Mask:
        """As `Family.has_mean`: a positive number."""
        return self.g.inside(eta) & (mu > 0.0) & np.isfinite(mu)


class InverseGaussian(Gamma):
    """Positive responses whose variance grows with the third power of the mean."""

    name: ClassVar[str] = "inverse_gaussian"
    links: ClassVar[tuple[str, ...]] = ("1/mu^2", "inverse", "log", "identity")

    def deviance(self, y: Float, mu: Float) -> Float:
        """As `Family.deviance`."""
        return (y - mu) ** 2 / (y * mu**2)

    def variance(self, mu: Float) -> Three:
        """As `Family.variance`."""
        return mu**3, 3.0 * mu**2, 6.0 * mu

    def slopes(self, y: Float, mu: Float) -> Four:
        """As `Family.slopes`."""
        r = powers(mu)
        return (
            (y - mu) * r[2],
            2.0 * r[2] - 3.0 * y * r[3],
            (-6.0 + 12.0 * y * r[0]) * r[3],
            (24.0 - 60.0 * y * r[0]) * r[3] * r[0],
        )

    def by_log(self, y: Float, eta: Float) -> tuple[Float, Four, Three]:
        """As `Family.by_log`."""
        r = capped_exp(-eta)
        a = y * r
        slopes = ((a - 1.0) * r, (1.0 - 2.0 * a) * r, (4.0 * a - 1.0) * r, (1.0 - 8.0 * a) * r)
        return (a - 1.0) ** 2 / y, slopes, (r, -r, r)

    def dispersion(self, y: Float, w: Float, penalized: float) -> float:
        """As `Family.dispersion`."""
        return penalized / len(y)

    def saturated(self, y: Float, w: Float, phi: float) -> float:
        """As `Family.saturated`."""
        return float((np.log(2.0 * np.pi * phi / w) + 3.0 * np.log(y)).sum())


@dataclass(frozen=True)
class NegativeBinomial(Poisson):
    """Counts with the variance μ + μ²/size.

    Parameters
    ----------
    link : str, optional
    size : float
        r, positive.

    Examples
    --------
    >>> NegativeBinomial(size=2.0)
    NegativeBinomial(link='log', size=2.0)
    """

    size: float = 1.0
    name: ClassVar[str] = "negative_binomial"
    links: ClassVar[tuple[str, ...]] = ("log", "sqrt", "identity")

    def __post_init__(self) -> None:
        super().__post_init__()
        given: object = self.size
        number = isinstance(given, Real) and not isinstance(given, bool)
        if not (number and 0.0 < self.size < np.inf):
            raise ArgumentError("the size of a negative binomial distribution must be a positive number")

    def deviance(self, y: Float, mu: Float) -> Float:
        """As `Family.deviance`."""
        return np.asarray(2.0 * (xlogy(y, y / mu) - (y + self.size) * np.log((y + self.size) / (mu + self.size))))

    def variance(self, mu: Float) -> Three:
        """As `Family.variance`."""
        return mu + mu**2 / self.size, 1.0 + 2.0 * mu / self.size, np.full_like(mu, 2.0 / self.size)

    def slopes(self, y: Float, mu: Float) -> Four:
        """As `Family.slopes`."""
        a, b, z = powers(mu), powers(mu + self.size), y + self.size
        return (
            y * a[0] - z * b[0],
            z * b[1] - y * a[1],
            2.0 * (y * a[2] - z * b[2]),
            6.0 * (z * b[3] - y * a[3]),
        )

    def saturated(self, y: Float, w: Float, phi: float) -> float:
        """As `Family.saturated`."""
        r = self.size
        constant = gammaln(y + r) - gammaln(r) - gammaln(y + 1.0) + xlogy(r, r) + xlogy(y, y) - xlogy(y + r, y + r)
        return -2.0 * float((w * constant).sum())

    def by_log(self, y: Float, eta: Float) -> tuple[Float, Four, Three]:
        """As `Family.by_log`, by the share μ/(μ + r), which no η takes out of range."""
        from_size, total = eta - np.log(self.size), y + self.size
        p, q = expit(from_size), expit(-from_size)
        d, s = p * q, q - p
        log_ratio = np.log(total) - np.logaddexp(eta, np.log(self.size))
        slopes = (y - total * p, -total * d, -total * d * s, -total * d * (1.0 - 6.0 * d))
        v = self.size * p
        return 2.0 * (xlogy(y, y) - y * eta - total * log_ratio), slopes, (v, v * q, v * q * s)
