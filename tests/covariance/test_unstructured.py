"""Any covariance matrix: θ is the lower triangle of λ."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.covariance import Unstructured
from lmmsparse.covariance.protocols import Keeps, Quantity


def test_theta_goes_down_the_columns() -> None:
    structure = Unstructured(3)
    theta = np.arange(1.0, 7.0)
    assert_array_equal(structure.template(theta), [[1, 0, 0], [2, 4, 0], [3, 5, 6]])
    assert_array_equal(structure.theta(structure.template(theta)), theta)
    assert structure.n_theta == 6
    assert_array_equal(structure.bounds()[0], [0, -np.inf, -np.inf, 0, -np.inf, 0])
    assert_array_equal(structure.bounds()[1], np.inf)
    assert structure.keeps is Keeps.TRIANGULAR and structure.correlated


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


def test_quantities_stand_where_theta_does() -> None:
    assert Unstructured(2).quantities == (Quantity("sd", (0,)), Quantity("cor", (1, 0)), Quantity("sd", (1,)))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_template_and_theta_are_inverse(k: int) -> None:
    structure = Unstructured(k)
    theta = np.random.default_rng(0).normal(size=structure.n_theta)
    assert_array_equal(structure.theta(structure.template(theta)), theta)


def emptied(template: np.ndarray, smallest: float) -> np.ndarray:
    structure = Unstructured(len(template))
    return structure.template(structure.emptied(structure.theta(template), smallest))


def test_emptied_empties_whole_directions() -> None:
    found = emptied(np.array([[1e-5, 0.0], [3.0, 4.0]]), 1e-3)
    assert np.linalg.matrix_rank(found) == 1
    assert_allclose(found @ found.T, [[0, 0], [0, 25]], atol=1e-3)
    assert_allclose(emptied(np.diag([1e-9, 2.0]), 1e-3), np.diag([0, 2.0]), atol=1e-15)


def test_lifted_gives_every_direction_a_variance() -> None:
    structure = Unstructured(2)
    found = structure.template(structure.lifted(np.array([0.0, 3.0, 4.0]), 0.1))
    assert_allclose(found @ found.T, [[0.01, 0], [0, 25]], atol=1e-12)


@pytest.mark.parametrize("theta", [[0.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])
def test_what_is_empty_is_named(theta: list[float]) -> None:
    structure = Unstructured(2)
    found = structure.empty(np.array(theta), np.eye(2), ["x", "z"])
    words = structure.describe(found, "g", ["x", "z"])
    if len(found) == 2:
        assert words == "no variance of x, z in g"
    else:
        assert words == "the covariance matrix of x, z in g has rank 1 of 2"
    assert [one.name for one in found] == [f"direction {i + 1}" for i in range(len(found))]
    assert Unstructured(1).empty(np.zeros(1), np.eye(1), ["x"])[0].name == "x"


def test_derivatives_inwards_are_the_extremes_of_the_score() -> None:
    T = np.array([[1.0, -3.0], [-3.0, 1.0]])
    assert [one.score for one in Unstructured(2).empty(np.zeros(3), T, ["x", "z"])] == pytest.approx([-2.0, 4.0])
