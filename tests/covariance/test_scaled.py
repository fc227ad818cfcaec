"""Standard deviations and a structure of correlations, against what glmmTMB's pages say of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.covariance import (
    STRUCTURES,
    CompoundSymmetry,
    Diagonal,
    HomogeneousCompoundSymmetry,
    HomogeneousDiagonal,
)
from lmmsparse.covariance.protocols import Keeps, Quantity
from lmmsparse.covariance.scaled import ScaledCorrelation


def test_diagonal_theta_is_the_diagonal() -> None:
    structure = Diagonal(3)
    assert_array_equal(structure.template(np.array([1.0, 2.0, 3.0])), np.diag([1, 2, 3]))
    assert_array_equal(structure.theta(np.diag([1.0, 2.0, 3.0])), [1, 2, 3])
    assert structure.n_theta == 3
    assert_array_equal(structure.bounds()[0], [0, 0, 0])
    assert structure.keeps is Keeps.SCALES and not structure.correlated


def test_names() -> None:
    columns = ["(Intercept)", "Days"]
    assert Diagonal(2).names("g:h", columns) == ("g:h.(Intercept)", "g:h.Days")
    assert HomogeneousDiagonal(2).names("g", columns) == ("g.sd",)
    assert CompoundSymmetry(2).names("g", columns) == ("g.(Intercept)", "g.Days", "g.rho")
    assert CompoundSymmetry(3).names("g", ["rho", "x", "rho_"]) == ("g.rho", "g.x", "g.rho_", "g.rho__")
    assert HomogeneousCompoundSymmetry(2).names("g", columns) == ("g.sd", "g.rho")
    assert HomogeneousCompoundSymmetry(1).names("g", columns[:1]) == ("g.sd",)
    assert CompoundSymmetry(1).names("g", columns[:1]) == ("g.(Intercept)",)


def test_quantities() -> None:
    assert Diagonal(2).quantities == (Quantity("sd", (0,)), Quantity("sd", (1,)))
    assert HomogeneousDiagonal(3).quantities == (Quantity("sd", (0, 1, 2), True),)
    assert HomogeneousDiagonal(1).quantities == (Quantity("sd", (0,)),)
    assert CompoundSymmetry(2).quantities[-1] == Quantity("cor", (1, 0))
    assert CompoundSymmetry(3).quantities[-1] == Quantity("cor", (0, 1, 2), True)
    assert HomogeneousCompoundSymmetry(3).quantities == (
        Quantity("sd", (0, 1, 2), True),
        Quantity("cor", (0, 1, 2), True),
    )


@pytest.mark.parametrize("k", [2, 3, 6])
@pytest.mark.parametrize("keyword", ["cs", "homcs"])
def test_the_range_of_rho_is_that_of_covariance_matrices(keyword: str, k: int) -> None:
    structure = STRUCTURES[keyword](k)
    assert structure.ends == pytest.approx((-1 / (k - 1), 1.0))
    assert (structure.bounds()[0][-1], structure.bounds()[1][-1]) == structure.ends
    for end, zeros in zip(structure.ends, (1, k - 1), strict=True):
        theta = structure.start()
        theta[-1] = end
        values = np.linalg.eigvalsh(structure.template(theta) @ structure.template(theta).T)
        assert_allclose(values[:zeros], 0, atol=1e-12)
        assert (values[zeros:] > 0.1).all()


def test_templates_at_the_ends_of_rho_hold_numbers() -> None:
    structure = CompoundSymmetry(4)
    for end in structure.ends:
        template = structure.template(np.array([1.0, 2.0, 3.0, 4.0, end]))
        assert np.isfinite(template).all()
        expected = np.outer(np.arange(1.0, 5.0), np.arange(1.0, 5.0)) * (end + (1 - end) * np.eye(4))
        assert_allclose(template @ template.T, expected, atol=1e-12)


def test_theta_of_another_covariance_is_a_mean() -> None:
    """The root mean square where one stands for all, and the mean of the correlations."""
    Sigma = np.array([[1.0, 0.6, 0.0], [0.6, 4.0, 3.0], [0.0, 3.0, 9.0]])
    lam = np.linalg.cholesky(Sigma)
    assert_allclose(Diagonal(3).theta(lam), [1, 2, 3])
    assert_allclose(HomogeneousDiagonal(3).theta(lam), [np.sqrt(14 / 3)])
    assert_allclose(CompoundSymmetry(3).theta(lam), [1, 2, 3, (0.3 + 0.0 + 0.5) / 3])
    assert_allclose(HomogeneousCompoundSymmetry(3).theta(lam), [np.sqrt(14 / 3), (0.3 + 0.0 + 0.5) / 3])


def test_emptied_takes_single_standard_deviations() -> None:
    assert_allclose(Diagonal(3).emptied(np.array([1e-5, -2.0, 0.0]), 1e-3), [0, 2.0, 0])
    assert_allclose(CompoundSymmetry(3).emptied(np.array([1e-5, 2.0, 1.0, 0.3]), 1e-3), [0, 2.0, 1.0, 0.3])
    assert_allclose(CompoundSymmetry(3).emptied(np.array([0.5, 2.0, 1.0, 1 - 1e-7]), 1e-3), [0.5, 2.0, 1.0, 1.0])
    assert_allclose(HomogeneousCompoundSymmetry(3).emptied(np.array([0.5, 1e-7 - 0.5]), 1e-3), [0.5, -0.5])


def test_which_ends_are_named() -> None:
    """A correlation is not at its end where nothing varies, and all zeros are no variance at all."""
    T, columns = np.diag([1.0, -2.0, 3.0]), ["a", "b", "c"]
    structure = CompoundSymmetry(3)
    assert [one.name for one in structure.empty(np.array([0.0, 1.0, 1.0, 1.0]), T, columns)] == ["a", "rho"]
    assert [one.name for one in structure.empty(np.array([0.0, 1.0, 0.0, 1.0]), T, columns)] == ["a", "c"]
    assert [one.name for one in structure.empty(np.array([0.0, 0.0, 0.0, 1.0]), T, columns)] == ["a", "b", "c"]
    homogeneous = HomogeneousCompoundSymmetry(3)
    assert [one.name for one in homogeneous.empty(np.array([0.0, 1.0]), T, columns)] == ["sd"]
    assert [one.name for one in homogeneous.empty(np.array([1.0, -0.5]), T, columns)] == ["rho"]
    assert [one.name for one in Diagonal(3).empty(np.array([1.0, 0.0, 1.0]), T, columns)] == ["b"]
    assert [one.name for one in HomogeneousDiagonal(3).empty(np.zeros(1), T, columns)] == ["sd"]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_variances_that_are_zero_without_effects(k: int) -> None:
    assert Diagonal(k).n_variances == CompoundSymmetry(k).n_variances == HomogeneousCompoundSymmetry(k).n_variances == k
    assert HomogeneousDiagonal(k).n_variances == 1


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("structure", [CompoundSymmetry(2), CompoundSymmetry(3), HomogeneousCompoundSymmetry(3)])
def test_a_way_in_from_no_variance_is_found(structure: ScaledCorrelation, seed: int) -> None:
    """Where tr(TΣ) falls for any standard deviations and correlation, it falls in a direction that is named."""
    rng = np.random.default_rng(seed)
    k, m = structure.size, structure.n_deviations
    A = rng.normal(size=(k, k))
    T = A + A.T + rng.uniform(0, 4) * np.eye(k)
    rho, u = rng.uniform(*structure.ends, size=5000), np.abs(rng.normal(size=(5000, m)))
    rho[::2] = np.array(structure.ends)[rng.integers(2, size=2500)]
    lam = structure.template(np.column_stack([u / np.linalg.norm(u, axis=1)[:, None], rho]))
    lowest = (T * (lam @ lam.swapaxes(1, 2))).sum((1, 2)).min()
    theta = np.append(np.zeros(m), 0.1)
    found = min(one.score for one in structure.empty(theta, T, ["a", "b", "c"][:k]))
    assert found <= lowest + 0.01 * abs(lowest)
    if found < 0:
        outward = [one for one in structure.empty(theta, T, ["a", "b", "c"][:k]) if one.score < 0]
        lam = structure.template(structure.off_boundary(theta, outward, 1e-3))
        assert (T * (lam @ lam.T)).sum() < 0
