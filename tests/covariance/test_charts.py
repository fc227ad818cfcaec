"""Local coordinates of the search: derivatives in them are those of the criterion along them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from lmmsparse.covariance.charts import Frame
from lmmsparse.covariance.structure import CovarianceStructure, Diagonal, Unstructured
from tests.designs import Case, Float, cases_with_theta, generated, make_case


def covariances(case: Case, theta: Float) -> list[Float]:
    working = case.objective().working
    templates = [s.template(theta[part]) for s, part in zip(working.structures, working.slices, strict=True)]
    return [template @ template.T for template in templates]


@pytest.mark.parametrize("structure", [Unstructured(1), Unstructured(3), Diagonal(3)])
@pytest.mark.parametrize("empty", [0, 1])
def test_a_frame_is_at_its_template(structure: CovarianceStructure, empty: int) -> None:
    theta = np.random.default_rng(0).normal(size=structure.n_theta)
    template = structure.template(theta)
    if empty:
        template = structure.without_small(template, np.linalg.svd(template)[1][-1] * 1.001)
    frame = Frame.around(structure, template)
    here = frame.template(np.zeros(structure.n_theta))
    assert_allclose(here @ here.T, template @ template.T, atol=1e-12)
    assert_allclose(frame.U @ frame.U.T, np.eye(structure.size), atol=1e-12)
    assert_allclose(frame.coordinates(frame.turned(template)), 0, atol=1e-7)


def test_moves_beside_an_empty_direction_keep_the_others() -> None:
    """λ = diag(0, 2): a move in its full direction alone does not fall into the empty one."""
    structure = Unstructured(2)
    frame = Frame.around(structure, np.diag([0.0, 2.0]))
    assert_allclose(frame.template(np.array([0.25, 0.0, 0.0])), np.diag([0.0, 2.5]), atol=1e-15)
    assert_allclose(frame.turned(np.diag([0.0, 2.0])), np.diag([2.0, 0.0]), atol=1e-15)


@generated
@given(st.integers(1, 4), st.booleans(), st.integers(0, 1000))
def test_coordinates_and_templates_are_inverse(k: int, correlated: bool, seed: int) -> None:
    structure = (Unstructured if correlated else Diagonal)(k)
    rng = np.random.default_rng(seed)
    frame = Frame.around(structure, structure.template(2 * rng.normal(size=structure.n_theta)))
    step = 0.1 * rng.normal(size=structure.n_theta)
    there = frame.template(step)
    again = frame.template(frame.coordinates(frame.turned(there)))
    assert_allclose(again @ again.T, there @ there.T, atol=1e-10)


@generated
@given(cases_with_theta())
def test_derivatives_along_the_coordinates(drawn: tuple[Case, Float]) -> None:
    case, theta = drawn
    working = case.objective().working
    chart = working.chart(solution := working.solve(theta), working.differentiate(solution))
    assert_allclose(working.solve(chart.theta(np.zeros(len(theta)))).value, solution.value, rtol=1e-11)
    h = 1e-5
    steps = h * np.eye(len(theta))
    slopes = [(working.solve(chart.theta(s)).value - working.solve(chart.theta(-s)).value) / (2 * h) for s in steps]
    assert_allclose(chart.gradient, slopes, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(slopes).max()))


def test_the_hessian_is_that_of_theta_turned() -> None:
    """One change of basis J = ∂θ/∂E carries gradient, information and curvature, as λ(E) is linear before turning."""
    case = make_case("one", [[(1, True)]])
    working = case.objective().working
    for value in (0.4, 2.5):
        solution = working.solve(np.array([value]))
        slopes = working.differentiate(solution)
        chart = working.chart(solution, slopes)
        J = max(1.0, value)
        assert_allclose(chart.gradient, J * slopes.gradient, rtol=1e-12)
        assert_allclose(chart.information, J**2 * slopes.information, rtol=1e-12)
        assert_allclose(chart.curvature, J**2 * slopes.curvature, rtol=1e-12)


@generated
@given(cases_with_theta())
def test_information_in_the_directions_of_lambda(drawn: tuple[Case, Float]) -> None:
    """sᵀHs for a move of λ itself is the same number in both coordinates."""
    case, theta = drawn
    working = case.objective().working
    slopes = working.differentiate(solution := working.solve(theta))
    chart = working.chart(solution, slopes)
    h = 1e-6
    for unit in np.eye(len(theta)):
        moved = [chart.theta(sign * h * unit) for sign in (1, -1)]
        change = [
            (a - b) / (2 * h) for a, b in zip(covariances(case, moved[0]), covariances(case, moved[1]), strict=True)
        ]
        free = np.concatenate([c[s.entries] for s, c in zip(working.structures, change, strict=True)])
        expected = free @ slopes.covariance_information @ free
        assert_allclose(unit @ chart.information @ unit, expected, rtol=1e-4, atol=1e-5)


def test_the_secant_is_the_change_of_the_gradient_on_the_way() -> None:
    case = make_case("crossed", [[(3, True)], [(2, False)]], seed=2)
    working = case.objective().working
    rng = np.random.default_rng(0)
    theta = working.start() + 0.1 * rng.normal(size=8)
    other = theta + 1e-4 * rng.normal(size=8)
    here, there = (working.solve(t) for t in (theta, other))
    slopes, other_slopes = working.differentiate(here), working.differentiate(there)
    chart = working.chart(here, slopes)
    step, change = chart.secant(other, other_slopes)
    for a, b in zip(covariances(case, chart.theta(-step)), covariances(case, other), strict=True):
        assert_allclose(a, b, atol=1e-10)

    def slope(at: Float) -> Float:
        h = 1e-5
        return np.array(
            [
                (working.solve(chart.theta(at + s)).value - working.solve(chart.theta(at - s)).value) / (2 * h)
                for s in h * np.eye(8)
            ]
        )

    assert_allclose(change, slope(np.zeros(8)) - slope(-step), atol=1e-4 * np.abs(change).max() + 1e-6)
