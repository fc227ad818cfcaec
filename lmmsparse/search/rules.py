"""The rules of the trust-region Newton method, on arrays with a leading axis of m problems, one or many."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]

# The largest eigenvalue of the information times this is the least curvature of a Hessian that is used as it is.
LEAST_CURVATURE = 1e-6
# Eigenvalues below this share of the largest (or of one) are taken to be that much in a step.
LEAST_EIGENVALUE = 1e-10
# A step is taken when the criterion falls by more than this share of what was predicted;
ACCEPTED = 1e-4
# the region grows to this many steps where it falls by more than the first share, and shrinks to that part of a step
# where it falls by less than the second.
GROWS, GROWTH = 0.75, 2.0
SHRINKS, SHRINKAGE = 0.25, 0.3
# A search of so many evaluations is on a flat ridge, and may end at so many times the tolerance.
LONG_SEARCHES = ((120, 100.0), (40, 10.0))
# Differences of gradients, for a Hessian, are over steps of this length in local coordinates, whose unit is a relative
# change.
DIFFERENCE = 1e-5
# Newton steps for the length of a step on the edge of the region, and how nearly it is met.
EDGE_STEPS, EDGE = 100, 1e-13


def usable_hessian(information: Float, curvature: Float) -> Float:
    """Information + curvature where that is positive definite, else without the negative part of the curvature."""
    hessian = information + curvature
    weak = np.linalg.eigvalsh(hessian)[:, 0] <= LEAST_CURVATURE * np.linalg.eigvalsh(information)[:, -1]
    if weak.any():
        values, vectors = np.linalg.eigh(curvature[weak])
        positive = (vectors * np.maximum(values, 0.0)[:, None, :]) @ vectors.transpose(0, 2, 1)
        hessian[weak] = information[weak] + positive
    return hessian


def turned_hessian(steps: Float, changes: Float) -> Float:
    """Hessians from n steps each and the changes of the gradient on them, (m, n, n), negative eigenvalues turned.

    A step then goes down along a direction in which the function is not convex, as along any other.
    """
    hessian = np.linalg.solve(steps, changes)
    values, vectors = np.linalg.eigh((hessian + hessian.swapaxes(-1, -2)) / 2)
    return np.asarray((vectors * np.abs(values)[:, None, :]) @ vectors.swapaxes(-1, -2))


def bounded_steps(hessian: Float, gradient: Float, radius: Float) -> tuple[Float, Float]:
    """Minimizers of gᵀs + ½ sᵀHs with |s| <= radius (m,), and the decreases that they predict, (m,)."""
    values, vectors = np.linalg.eigh(hessian)
    values = np.maximum(values, LEAST_EIGENVALUE * np.maximum(1.0, values[:, -1:]))
    g = (gradient[:, None, :] @ vectors)[:, 0]
    step = -g / values
    long = (step**2).sum(axis=1) > radius**2
    if long.any():
        step[long] = -g[long] / (values[long] + _shift(values[long], g[long], radius[long])[:, None])
    decrease = -((g + 0.5 * values * step) * step).sum(axis=1)
    return (vectors @ step[:, :, None])[:, :, 0], decrease


def _shift(values: Float, g: Float, radius: Float) -> Float:
    """σ with |g / (values + σ)| = radius, by Newton's method on 1/|s| − 1/radius.

    That function of σ is concave, so that the iterates increase to the solution and never pass it.
    """
    shift = np.zeros(len(g))
    for _ in range(EDGE_STEPS):
        step = g / (values + shift[:, None])
        square = (step**2).sum(axis=1)
        length = np.sqrt(square)
        excess = length / radius - 1.0
        if (excess <= EDGE).all():
            break
        slope = (step**2 / (values + shift[:, None])).sum(axis=1)
        shift = shift + np.maximum(excess, 0.0) * square / slope
    return shift


def is_accepted(ratio: Any) -> Any:
    """Whether a step is taken whose decrease was this share of the predicted one; not where it is NaN."""
    return ratio > ACCEPTED


def next_radius(radius: Float, ratio: Any, length: Any) -> Float:
    """The radius of the trust region, (m,), after steps of some length; ratio and length are numbers or (m,) arrays."""
    grown = np.where(ratio > GROWS, np.maximum(radius, GROWTH * length), radius)
    return np.where(ratio >= SHRINKS, grown, SHRINKAGE * length)


def is_settled(predicted: Any, value: Any, tolerance: float) -> Any:
    """Whether the predicted decrease is below the tolerance, times |value|/1e4 for large values."""
    return (predicted <= tolerance) | (predicted <= tolerance / 1e4 * abs(value))


def loosened(tolerance: float, evaluations: int) -> float:
    """The tolerance in force after so many evaluations."""
    return tolerance * next((factor for count, factor in LONG_SEARCHES if evaluations >= count), 1.0)
