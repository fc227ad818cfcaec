"""Templates λ(θ), their names, and the canonical λ of a covariance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.covariance import CovarianceStructure, Diagonal, Unstructured, canonical_template
from tests.designs import generated


def test_unstructured_theta_goes_down_the_columns() -> None:
    structure = Unstructured(3)
    theta = np.arange(1.0, 7.0)
    assert_array_equal(structure.template(theta), [[1, 0, 0], [2, 4, 0], [3, 5, 6]])
    assert_array_equal(structure.theta(structure.template(theta)), theta)
    assert structure.n_theta == 6
    assert_array_equal(structure.lower_bounds(), [0, -np.inf, -np.inf, 0, -np.inf, 0])
    assert structure.rotates


def test_diagonal_theta_is_the_diagonal() -> None:
    structure = Diagonal(3)
    assert_array_equal(structure.template(np.array([1.0, 2.0, 3.0])), np.diag([1, 2, 3]))
    assert_array_equal(structure.theta(np.diag([1.0, 2.0, 3.0])), [1, 2, 3])
    assert structure.n_theta == 3
    assert_array_equal(structure.lower_bounds(), [0, 0, 0])
    assert not structure.rotates


def test_names_are_those_of_lme4() -> None:
    columns = ["(Intercept)", "Days", "x"]
    assert Unstructured(3).names("Subject", columns) == (
        "Subject.(Intercept)",
        "Subject.Days.(Intercept)",
        "Subject.x.(Intercept)",
        "Subject.Days",
        "Subject.x.Days",
        "Subject.x",
    )
    assert Diagonal(2).names("g:h", columns[:2]) == ("g:h.(Intercept)", "g:h.Days")


@pytest.mark.parametrize("structure", [Unstructured(1), Unstructured(2), Unstructured(4), Diagonal(1), Diagonal(4)])
def test_template_and_theta_are_inverse(structure: CovarianceStructure) -> None:
    theta = np.random.default_rng(0).normal(size=structure.n_theta)
    assert_array_equal(structure.theta(structure.template(theta)), theta)
    assert len(structure.names("g", [f"c{i}" for i in range(structure.size)])) == structure.n_theta
    assert len(structure.lower_bounds()) == structure.n_theta


def assert_canonical(canonical: np.ndarray) -> None:
    assert_array_equal(canonical, np.tril(canonical))
    diagonal = np.diag(canonical)
    assert (diagonal >= 0).all()
    assert not canonical[:, diagonal == 0].any()


@generated
@given(st.integers(1, 4), st.integers(0, 4), st.integers(0, 1000))
def test_canonical_template_keeps_the_covariance(k: int, rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    template = rng.normal(size=(k, min(rank, k))) @ rng.normal(size=(min(rank, k), k))
    canonical = canonical_template(template)
    assert_canonical(canonical)
    assert_allclose(canonical @ canonical.T, template @ template.T, rtol=1e-9, atol=1e-12)
    assert np.count_nonzero(np.diag(canonical)) <= min(rank, k)


def test_canonical_template_of_a_canonical_one_is_itself() -> None:
    lower = np.array([[2.0, 0.0], [-1.0, 0.5]])
    assert_allclose(canonical_template(lower), lower, rtol=1e-14)
    assert_allclose(canonical_template(lower * [-1, 1]), lower, rtol=1e-14)
    assert_array_equal(canonical_template(np.zeros((2, 2))), np.zeros((2, 2)))


def test_empty_first_variance_moves_the_rest_to_later_columns() -> None:
    canonical = canonical_template(np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert_allclose(canonical, [[0, 0], [0, 5]])


def test_small_pivots_keep_their_digits() -> None:
    """The product squares the condition number; the factor does not go through it."""
    template = np.array([[-1.0, 0.0], [1.0, 1e-9]])
    assert_allclose(canonical_template(template), [[1, 0], [-1, 1e-9]], rtol=1e-6)
