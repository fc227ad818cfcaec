"""Successes of trials."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from lmmsparse.family.base import Family, Four, Three
from lmmsparse.family.tails import LOGARITHMS

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Binomial(Family):
    """Successes as a share of w trials; w = 1 for zeros and ones.

    Examples
    --------
    >>> Binomial(link="probit")
    Binomial(link='probit')
    """

    name: ClassVar[str] = "binomial"
    links: ClassVar[tuple[str, ...]] = ("logit", "probit", "cloglog", "cauchit", "log")

    def deviance(self, y: Float, mu: Float) -> Float:
        """As `Family.deviance`."""
        return 2.0 * (self._entropy(y) - xlogy(y, mu) - xlogy(1.0 - y, 1.0 - mu))

    @staticmethod
    def _entropy(y: Float) -> Float:
        return np.asarray(xlogy(y, y) + xlogy(1.0 - y, 1.0 - y))

    def variance(self, mu: Float) -> Three:
        """As `Family.variance`."""
        return mu * (1.0 - mu), 1.0 - 2.0 * mu, np.full_like(mu, -2.0)

    def saturated(self, y: Float, w: Float, phi: float) -> float:
        """As `Family.saturated`."""
        choices = gammaln(w + 1.0) - gammaln(w * y + 1.0) - gammaln(w * (1.0 - y) + 1.0)
        return -2.0 * float((choices + w * self._entropy(y)).sum())

    def possible(self, y: Float) -> Mask:
        """As `Family.possible`."""
        return (y >= 0.0) & (y <= 1.0)

    def first_mean(self, y: Float, w: Float) -> Float:
        """As `Family.first_mean`."""
        return (w * y + 0.5) / (w + 1.0)

    def has_mean(self, eta: Float, mu: Float) -> Mask:
        """As `Family.has_mean`: a probability."""
        return self.g.inside(eta) & (mu <= 1.0)

    def by_eta(self, y: Float, eta: Float) -> tuple[Float, Four, Three]:
        """As `Family.by_eta`, by logarithms of both probabilities: right where one of them rounds to 0 or 1."""
        A, B = LOGARITHMS[self.link](eta)
        # a row of successes alone asks nothing of log(1 − μ)
        some, rest = y > 0.0, y < 1.0
        value, *slopes = (
            np.where(some, y * a, 0.0) + np.where(rest, (1.0 - y) * b, 0.0) for a, b in zip(A, B, strict=True)
        )
        # μ'²/(μ(1 − μ)) = −A'B'
        expected = (
            -A[1] * B[1],
            -(A[2] * B[1] + A[1] * B[2]),
            -(A[3] * B[1] + 2.0 * A[2] * B[2] + A[1] * B[3]),
        )
        first, second, third, fourth = slopes
        return 2.0 * np.maximum(self._entropy(y) - value, 0.0), (first, second, third, fourth), expected
