"""Coordinates of one structure around a θ: zero there, smooth across the boundary, and with the derivatives along."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.covariance import STRUCTURES, Covariance, Unstructured
from lmmsparse.covariance.frames import Scalars, TurnedFrame, moved_template
from tests.designs import Float, generated, random_theta
from tests.oracle import KEYWORDS

# keyword, columns, whether θ is on the boundary, and a seed
DRAWN = st.tuples(st.sampled_from(KEYWORDS), st.integers(1, 4), st.booleans(), st.integers(0, 1000))
Drawn = tuple[str, int, bool, int]


def made(drawn: Drawn) -> tuple[Covariance, Float, Float, np.random.Generator]:
    """A structure, a θ, the score T of the criterion tr(TΣ), and more randomness."""
    keyword, k, boundary, seed = drawn
    rng = np.random.default_rng(seed)
    structure, theta = STRUCTURES[keyword](k), 2 * random_theta(keyword, k, rng, boundary=boundary)
    if keyword in ("cs", "homcs") and k > 1:
        theta[-1] /= 2
    T = rng.normal(size=(k, k))
    return structure, theta, T + T.T, rng


def sigma_of(structure: Covariance, theta: Float) -> Float:
    lam = structure.template(theta)
    return lam @ lam.T


@generated
@given(DRAWN)
def test_zero_is_the_point(drawn: Drawn) -> None:
    structure, theta, T, _ = made(drawn)
    frame = structure.frame(theta)
    here = frame.theta(np.zeros(structure.n_theta))
    assert_allclose(sigma_of(structure, here), sigma_of(structure, theta), atol=1e-12)
    low, high = structure.bounds()
    assert (here >= low).all() and (here <= high).all()
    there, gradient = frame.seen_from_here(here, T)
    assert_allclose(there, 0, atol=1e-7)
    assert_allclose(gradient, frame.derivatives(T)[0], atol=1e-6)


@generated
@given(DRAWN)
def test_every_step_leads_to_a_covariance(drawn: Drawn) -> None:
    """The family has no boundary in these coordinates."""
    structure, theta, _, rng = made(drawn)
    frame, (low, high) = structure.frame(theta), structure.bounds()
    for size in (1e-3, 1.0, 30.0):
        there = frame.theta(size * rng.normal(size=structure.n_theta))
        assert (there >= low).all() and (there <= high).all()


@generated
@given(DRAWN)
def test_coordinates_and_theta_are_inverse(drawn: Drawn) -> None:
    structure, theta, T, rng = made(drawn)
    frame = structure.frame(theta)
    there = frame.theta(0.1 * rng.normal(size=structure.n_theta))
    again = frame.theta(frame.seen_from_here(there, T)[0])
    assert_allclose(sigma_of(structure, again), sigma_of(structure, there), atol=1e-10)


@generated
@given(DRAWN)
def test_derivatives_at_zero(drawn: Drawn) -> None:
    """Of tr(TΣ) by central differences along the coordinates; the criterion need not be smooth in θ itself."""
    structure, theta, T, _ = made(drawn)
    frame, (a, b), n = structure.frame(theta), structure.support, structure.n_theta
    gradient, J, curvature = frame.derivatives(T)
    h = 1e-4

    def at(step: Float) -> Float:
        return sigma_of(structure, frame.theta(step))

    units = h * np.eye(n)
    size = max(1.0, np.abs(theta).max() ** 2)
    slopes = [(at(e) - at(-e)) / (2 * h) for e in units]
    assert_allclose(J, np.column_stack([slope[a, b] for slope in slopes]), atol=1e-6 * size)
    assert_allclose(gradient, [np.sum(T * slope) for slope in slopes], atol=1e-6 * size)
    bends = [[(at(e + f) - at(e - f) - at(f - e) + at(-e - f)) / (4 * h * h) for f in units] for e in units]
    assert_allclose(curvature, [[np.sum(T * bend) for bend in row] for row in bends], atol=1e-4 * size)


@generated
@given(DRAWN)
def test_the_gradient_at_another_theta(drawn: Drawn) -> None:
    structure, theta, T, rng = made(drawn)
    frame = structure.frame(theta)
    there = frame.theta(0.3 * rng.normal(size=structure.n_theta))
    (step, gradient), h = frame.seen_from_here(there, T), 1e-5
    slopes = [
        np.sum(T * (sigma_of(structure, frame.theta(step + e)) - sigma_of(structure, frame.theta(step - e)))) / (2 * h)
        for e in h * np.eye(len(step))
    ]
    assert_allclose(gradient, slopes, atol=1e-5 * max(1.0, np.abs(theta).max() ** 2))


@generated
@given(DRAWN)
def test_stacked_frames(drawn: Drawn) -> None:
    (keyword, k, boundary, _), (structure, theta, T, rng) = drawn, made(drawn)
    thetas = np.stack([theta, *(random_theta(keyword, k, rng, boundary=boundary) for _ in range(2))])
    scores, step = np.stack([T, 2 * T, -T]), 0.1 * rng.normal(size=thetas.shape)
    together = structure.frame(thetas)
    derivatives, some = together.derivatives(scores), together.taken(np.array([True, False, True]))
    assert_allclose(some.theta(step[[0, 2]]), together.theta(step)[[0, 2]])
    assert_array_equal(some.smallest, together.smallest[[0, 2]])
    for i in range(3):
        alone = structure.frame(thetas[i])
        assert_allclose(together.smallest[i], alone.smallest, atol=1e-14)
        assert_allclose(together.theta(step)[i], alone.theta(step[i]), rtol=1e-7, atol=1e-7)
        for one, other in zip(derivatives, alone.derivatives(scores[i]), strict=True):
            assert_allclose(one[i], other, rtol=1e-9, atol=1e-12)


@generated
@given(DRAWN)
def test_smallest_is_the_distance_to_the_boundary(drawn: Drawn) -> None:
    structure, theta, _, _ = made(drawn)
    theta = structure.canonical(theta)
    smallest = float(structure.frame(theta).smallest)
    on_it = structure.spreads(structure.template(theta))[-1] < 1e-7
    assert (smallest < 1e-7) == on_it
    if not on_it:
        assert structure.emptied(theta, 0.999 * smallest) is theta
        there = structure.emptied(theta, 1.001 * smallest)
        assert structure.spreads(structure.template(there))[-1] < 1e-7


@pytest.mark.parametrize("empty", [0, 1])
@pytest.mark.parametrize("k", [1, 3])
def test_a_turned_frame_has_the_directions_of_the_covariance(k: int, empty: int) -> None:
    structure = Unstructured(k)
    theta = np.random.default_rng(0).normal(size=structure.n_theta)
    if empty:
        theta = structure.emptied(theta, structure.spreads(structure.template(theta))[-1] * 1.001)
    frame = TurnedFrame.around(structure, theta)
    assert_allclose(frame.U @ frame.U.T, np.eye(k), atol=1e-12)
    assert_allclose(frame.U * frame.S**2 @ frame.U.T, sigma_of(structure, theta), atol=1e-12)
    assert (frame.D >= 1).all() and (frame.S >= 0).all()


def test_moves_beside_an_empty_direction_keep_the_others() -> None:
    """λ = diag(0, 2): a move in its full direction alone does not fall into the empty one."""
    structure = Unstructured(2)
    frame = TurnedFrame.around(structure, np.array([0.0, 0.0, 2.0]))
    assert_allclose(structure.template(frame.theta(np.array([0.25, 0.0, 0.0]))), np.diag([0.0, 2.5]), atol=1e-15)
    assert_allclose(frame.seen_from_here(np.array([0.0, 0.0, 2.0]), np.eye(2))[0], 0, atol=1e-15)


def test_derivatives_of_a_moved_template() -> None:
    """λ = base + P E, by differences that are exact for a quadratic."""
    rng = np.random.default_rng(0)
    P, base, T = rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    T = T + T.T
    structure = Unstructured(3)

    def sigma(step: Float) -> Float:
        lam = base + P @ structure.template(step)
        return lam @ lam.T

    gradient, J, curvature = moved_template(P, base, T, *structure.support)
    units, (a, b) = np.eye(6), structure.support
    slopes = [(sigma(e) - sigma(-e)) / 2 for e in units]
    assert_allclose(J, np.column_stack([slope[a, b] for slope in slopes]), atol=1e-12)
    assert_allclose(gradient, [np.sum(T * slope) for slope in slopes], atol=1e-12)
    bends = [[(sigma(e + f) - sigma(e - f) - sigma(f - e) + sigma(-e - f)) / 4 for f in units] for e in units]
    assert_allclose(curvature, [[np.sum(T * bend) for bend in row] for row in bends], atol=1e-12)


SCALARS = Scalars(even=np.array([0]), squared=np.array([1]), sine=np.array([2]), ends=(-0.5, 1.0))


@generated
@given(st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3))
def test_scalars_and_their_derivatives(x: list[float]) -> None:
    at, h = np.array(x), 1e-4
    value = SCALARS.value(at)
    assert value[0] >= 0.0 and value[1] >= 0.0 and -0.5 <= value[2] <= 1.0
    if abs(at[0]) > 1e-3:
        assert_allclose(SCALARS.slope(at), (SCALARS.value(at + h) - SCALARS.value(at - h)) / (2 * h), atol=1e-6)
        bend = (SCALARS.slope(at + h) - SCALARS.slope(at - h)) / (2 * h)
        assert_allclose(SCALARS.bend(at), bend, atol=1e-6)
    assert_allclose(SCALARS.value(SCALARS.inverse(value)), value, rtol=1e-12, atol=1e-12)
    assert (SCALARS.unit(at) > 0).all()


def test_distances_to_the_ends() -> None:
    assert_allclose(SCALARS.to_end(np.array([-0.3, 0.2, 1.0])), [0.3, 0.2, 0.0])
    assert_allclose(SCALARS.to_end(np.array([0.3, 0.2, -0.5 + 1.5e-4])), [0.3, 0.2, 1e-2])
