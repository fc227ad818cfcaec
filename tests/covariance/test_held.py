"""Coordinates for profiles: without bounds, and one standard deviation or correlation among them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from lmmsparse.covariance import STRUCTURES, Covariance
from lmmsparse.covariance.protocols import TermCoordinates
from tests.designs import Float, generated, random_theta
from tests.oracle import KEYWORDS, covariance

# keyword, columns, whether θ is on the boundary, and a seed
DRAWN = st.tuples(st.sampled_from(KEYWORDS), st.integers(1, 4), st.booleans(), st.integers(0, 1000))
Drawn = tuple[str, int, bool, int]


def every(drawn: Drawn) -> tuple[Covariance, Float, list[tuple[int | None, TermCoordinates]], np.random.Generator]:
    """A structure, a canonical θ, and its coordinates with nothing held, and with each of the quantities."""
    keyword, k, boundary, seed = drawn
    rng = np.random.default_rng(seed)
    structure = STRUCTURES[keyword](k)
    theta = structure.canonical(random_theta(keyword, k, rng, boundary=boundary))
    units = np.exp(rng.normal(size=k))
    found: list[tuple[int | None, TermCoordinates]] = [(None, structure.coordinates(theta, units))]
    found += [(i, structure.held(i, theta, units)) for i in range(len(structure.quantities))]
    return structure, theta, found, rng


def sigma_of(structure: Covariance, theta: Float) -> Float:
    lam = structure.template(theta)
    return lam @ lam.T


def quantity_at(structure: Covariance, which: int, c: float) -> float:
    """What is held, from its coordinate."""
    if structure.quantities[which].kind == "sd":
        return abs(c)
    low, high = structure.ends
    return (low + high) / 2 + (high - low) / 2 * float(np.sin(c))


@generated
@given(DRAWN)
def test_the_start_is_theta(drawn: Drawn) -> None:
    structure, theta, found, _ = every(drawn)
    for which, one in found:
        # a correlation without a value is zero at the start
        if not one.undefined:
            assert_allclose(
                sigma_of(structure, one.theta(one.start, one.c)),
                sigma_of(structure, theta),
                atol=1e-7,
                err_msg=str(which),
            )
        m = structure.n_theta - (which is not None)
        assert all(part.shape == (m,) for part in (one.start, one.scale, one.least, one.positive))
        assert (one.scale > 0).all() and one.c_scale > 0 and (one.least >= 0).all()
        assert (one.start[one.positive] >= 0).all()


@generated
@given(DRAWN)
def test_c_is_the_quantity(drawn: Drawn) -> None:
    """At the start, and wherever the other coordinates are."""
    (keyword, k, _, _), (structure, theta, found, rng) = drawn, every(drawn)
    values, _ = structure.quantity_values(theta)
    for which, one in found[1:]:
        assert one.undefined == bool(np.isnan(values[which]))
        if not one.undefined:
            assert quantity_at(structure, which, one.c) == pytest.approx(values[which], abs=1e-7)
        for c in (one.c, 0.3, 0.7):
            z = one.start + 0.3 * one.scale * rng.normal(size=len(one.start))
            z[one.positive] = np.abs(z[one.positive]) + 0.1
            there = one.theta(z, c)
            Sigma, (*_, quantity) = covariance(keyword, k, there), (structure.quantities[which],)
            sd = np.sqrt(np.diag(Sigma))
            if quantity.kind == "sd":
                assert_allclose(sd[list(quantity.effects)], abs(c), rtol=1e-9, atol=1e-9)
            else:
                a, b = quantity.effects[1], quantity.effects[0]
                assert_allclose(Sigma[a, b], quantity_at(structure, which, c) * sd[a] * sd[b], atol=1e-9)


@generated
@given(DRAWN)
def test_gradients_are_those_along_the_coordinates(drawn: Drawn) -> None:
    """Of tr(TΣ), on either side of the zeros of the coordinates."""
    (_, k, _, _), (structure, _, found, rng) = drawn, every(drawn)
    T = rng.normal(size=(k, k))
    T, h = T + T.T, 1e-5
    for which, one in found:
        z = one.start + 0.3 * one.scale * rng.normal(size=len(one.start))
        z = np.where(np.abs(z) < 0.05, 0.05, z)
        z[one.positive] = np.abs(z[one.positive])
        c = one.c if abs(one.c) > 0.05 else 0.2

        def value(x: Float, one: TermCoordinates = one) -> float:
            return float(np.sum(T * sigma_of(structure, one.theta(x[:-1], x[-1]))))

        x = np.append(z, c)
        slopes = [(value(x + e) - value(x - e)) / (2 * h) for e in h * np.eye(len(x))]
        free, along = one.gradient(z, c, T)
        size = 1e-6 * max(1.0, np.abs(x).max() ** 3)
        assert_allclose(free, slopes[:-1], atol=size, err_msg=str(which))
        assert_allclose(along, slopes[-1] if which is not None else 0.0, atol=size, err_msg=str(which))


@generated
@given(DRAWN)
def test_every_point_is_of_the_family(drawn: Drawn) -> None:
    structure, _, found, rng = every(drawn)
    low, high = structure.bounds()
    for which, one in found:
        z = 3 * one.scale * rng.normal(size=len(one.start))
        z[one.positive] = np.abs(z[one.positive])
        theta = structure.canonical(one.theta(z, 0.4))
        assert (theta >= low - 1e-12).all() and (theta <= high + 1e-12).all(), which


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_the_criterion_is_even_where_a_variance_is_zero(keyword: str) -> None:
    """So that zero is an interior point of the coordinates of its standard deviation."""
    structure, units = STRUCTURES[keyword](2), np.ones(2)
    one = structure.coordinates(0.0 * structure.start(), units)
    for i in range(len(one.start)):
        step = 0.3 * np.eye(len(one.start))[i]
        plus, minus = (sigma_of(structure, one.theta(one.start + s * step, one.c)) for s in (1, -1))
        assert_allclose(plus, minus, atol=1e-14)


@pytest.mark.parametrize("keyword", ["cs", "homcs"])
@pytest.mark.parametrize("end", [0, 1])
def test_nothing_lifted_is_where_derivatives_vanish(keyword: str, end: int) -> None:
    """A path that begins with a correlation at its end could not leave it."""
    structure, units = STRUCTURES[keyword](3), np.ones(3)
    theta = np.append(structure.start()[:-1], structure.ends[end])
    one = structure.coordinates(theta, units)
    score = np.ones((3, 3)) - 0.5 * np.eye(3)
    assert abs(one.gradient(one.start, one.c, score)[0][-1]) < 1e-12
    lifted = one.lifted(one.start)
    assert abs(one.gradient(lifted, one.c, score)[0][-1]) > 1e-2
    assert_allclose(one.theta(lifted, one.c), theta, atol=1e-2)
    assert_allclose(one.lifted(lifted), lifted, rtol=1e-14)
