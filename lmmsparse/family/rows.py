"""What one row's log-likelihood is as a function of its linear predictor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmmsparse.family.links import Jet

Float = NDArray[np.float64]


class Rows(NamedTuple):
    """The log-likelihood ℓ = −D/2 of every row, but for the dispersion, and its derivatives by η.

    Attributes
    ----------
    deviance : (n,) array
        w d, whose sum is D; infinite where η has no mean.
    score : (n,) array
        g = ∂ℓ/∂η.
    observed : tuple of three (n,) arrays
        h = −∂²ℓ/∂η² and its first two derivatives.
    expected : tuple of three (n,) arrays
        The mean of h over the response (Fisher's weight), and its first two derivatives.
    """

    deviance: Float
    score: Float
    observed: tuple[Float, Float, Float]
    expected: tuple[Float, Float, Float]


def powers(mu: Float) -> tuple[Float, Float, Float, Float]:
    """1/μ to its fourth power."""
    r = 1.0 / mu
    return r, r**2, r**3, r**4


def through(f: tuple[Float, Float, Float, Float], mu: Jet) -> tuple[Float, Float, Float, Float]:
    """Derivatives by η of a function of μ, of which ``f`` are the first four."""
    _, a, b, c, d = mu
    return (
        f[0] * a,
        f[1] * a**2 + f[0] * b,
        f[2] * a**3 + 3.0 * f[1] * a * b + f[0] * c,
        f[3] * a**4 + 6.0 * f[2] * a**2 * b + f[1] * (3.0 * b**2 + 4.0 * a * c) + f[0] * d,
    )


def fisher(V: tuple[Float, Float, Float], mu: Jet) -> tuple[Float, Float, Float]:
    """μ'²/V(μ) with its first two derivatives by η, V as a function of μ with its first two."""
    _, a, b, c, _ = mu
    inverse = 1.0 / V[0]
    first = -V[1] * inverse**2  # (1/V)' and (1/V)'' by μ
    second = (2.0 * V[1] ** 2 * inverse - V[2]) * inverse**2
    by_eta, twice = first * a, second * a**2 + first * b
    square, slope, bend = a**2, 2.0 * a * b, 2.0 * (b**2 + a * c)
    return (
        square * inverse,
        slope * inverse + square * by_eta,
        bend * inverse + 2.0 * slope * by_eta + square * twice,
    )
