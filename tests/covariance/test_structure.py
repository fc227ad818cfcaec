"""Templates λ(θ), their names, and the canonical λ of a covariance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.covariance.structure import CovarianceStructure, Diagonal, Unstructured, canonical_template
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


@generated
@given(st.integers(2, 4), st.integers(0, 1000))
def test_canonical_template_where_rows_are_empty(k: int, seed: int) -> None:
    """A row that is zero, or depends on those before it, takes no direction from the rows after it."""
    rng = np.random.default_rng(seed)
    template = np.tril(rng.normal(size=(k, k)))
    template[rng.random(k) < 0.5, :] = 0.0
    template[np.diag_indices(k)] *= rng.random(k) < 0.5
    canonical = canonical_template(template)
    assert_canonical(canonical)
    assert_allclose(canonical @ canonical.T, template @ template.T, atol=1e-12)


def test_canonical_template_of_a_canonical_one_is_itself() -> None:
    lower = np.array([[2.0, 0.0], [-1.0, 0.5]])
    assert_allclose(canonical_template(lower), lower, rtol=1e-14)
    assert_allclose(canonical_template(lower * [-1, 1]), lower, rtol=1e-14)
    assert_array_equal(canonical_template(np.zeros((2, 2))), np.zeros((2, 2)))


def test_empty_first_variance_moves_the_rest_to_later_columns() -> None:
    for row in ([3.0, 4.0], [5.0, 0.0], [0.0, -5.0]):
        assert_allclose(canonical_template(np.array([[0.0, 0.0], row])), [[0, 0], [0, 5]])


def test_small_pivots_keep_their_digits() -> None:
    """The product squares the condition number; the factor does not go through it."""
    template = np.array([[-1.0, 0.0], [1.0, 1e-9]])
    assert_allclose(canonical_template(template), [[1, 0], [-1, 1e-9]], rtol=1e-6)


@pytest.mark.parametrize("template", [np.diag([1e-9, 2.0]), np.array([[1e-9, 0.0], [2.0, 1.0]]), np.zeros((2, 2))])
def test_spread_at_least_raises_what_is_below(template: np.ndarray) -> None:
    raised = Unstructured(2).spread_at_least(template, 1e-5)
    assert_array_equal(raised, np.tril(raised))
    assert np.linalg.svd(raised)[1][-1] == pytest.approx(1e-5, rel=1e-6)
    assert_allclose(raised @ raised.T, template @ template.T, atol=2e-10)


def test_spread_at_least_of_a_diagonal_keeps_signs() -> None:
    found = Diagonal(3).spread_at_least(np.diag([-2.0, -1e-9, 0.0]), 1e-5)
    assert_allclose(np.diag(found), [-2.0, -1e-5, 1e-5])


@pytest.mark.parametrize("structure", [Unstructured(2), Diagonal(2)])
def test_templates_that_are_large_enough_are_returned_as_they_are(structure: CovarianceStructure) -> None:
    template = structure.template(np.full(structure.n_theta, -0.5))
    assert structure.spread_at_least(template, 1e-5) is template
    assert structure.without_small(template, 1e-3) is template


def test_without_small_empties_whole_directions() -> None:
    found = Unstructured(2).without_small(np.array([[1e-5, 0.0], [3.0, 4.0]]), 1e-3)
    assert np.linalg.matrix_rank(found) == 1
    assert_allclose(found @ found.T, [[0, 0], [0, 25]], atol=1e-3)
    assert_allclose(Unstructured(2).without_small(np.diag([1e-9, 2.0]), 1e-3), np.diag([0, 2.0]), atol=1e-15)
    assert_allclose(Diagonal(3).without_small(np.diag([1e-5, -2.0, 0.0]), 1e-3), np.diag([0, 2.0, 0]))


def test_smallest_spread_is_that_of_any_direction() -> None:
    template = np.array([[1.0, 0.0], [1.0, 0.1]])
    assert Unstructured(2).smallest_spread(template) == pytest.approx(np.linalg.svd(template)[1].min())
    assert Diagonal(2).smallest_spread(np.diag([-3.0, 2.0])) == pytest.approx(2.0)
