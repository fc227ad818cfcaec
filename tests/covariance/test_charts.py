"""Local coordinates of all terms: derivatives in them are those of the criterion along them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.covariance.charts import chart_around, natural_derivatives, places
from tests.designs import Case, Float, cases_with_theta, generated, make_case


def covariances(case: Case, theta: Float) -> list[Float]:
    templates = [block.structure.template(theta[block.parameters]) for block in case.objective().blocks]
    return [template @ template.T for template in templates]


@generated
@given(cases_with_theta())
def test_derivatives_along_the_coordinates(drawn: tuple[Case, Float]) -> None:
    case, theta = drawn
    working = case.objective().working
    chart = working.chart(solution := working.exact(theta), working.differentiate(solution))
    assert_allclose(working.exact(chart.theta(np.zeros(len(theta)))).value, solution.value, rtol=1e-11)
    h = 1e-5
    steps = h * np.eye(len(theta))
    slopes = [(working.exact(chart.theta(s)).value - working.exact(chart.theta(-s)).value) / (2 * h) for s in steps]
    assert_allclose(chart.gradient, slopes, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(slopes).max()))


def test_the_hessian_is_that_of_theta_turned() -> None:
    """One change of basis J = ∂θ/∂E carries gradient, information and curvature, as λ(E) is linear before turning."""
    case = make_case("one", [[(1, True)]])
    working = case.objective().working
    for value in (0.4, 2.5):
        solution = working.exact(np.array([value]))
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
    slopes = working.differentiate(solution := working.exact(theta))
    chart = working.chart(solution, slopes)
    h = 1e-6
    for unit in np.eye(len(theta)):
        moved = [chart.theta(sign * h * unit) for sign in (1, -1)]
        change = [
            (a - b) / (2 * h) for a, b in zip(covariances(case, moved[0]), covariances(case, moved[1]), strict=True)
        ]
        free = np.concatenate([c[s.support] for s, c in zip(working.structures, change, strict=True)])
        expected = free @ slopes.covariance_information @ free
        assert_allclose(unit @ chart.information @ unit, expected, rtol=1e-4, atol=1e-5)


def test_the_secant_is_the_change_of_the_gradient_on_the_way() -> None:
    case = make_case("crossed", [[(3, True)], [(2, False)]], seed=2)
    working = case.objective().working
    rng = np.random.default_rng(0)
    theta = working.start() + 0.1 * rng.normal(size=8)
    other = theta + 1e-4 * rng.normal(size=8)
    here, there = (working.exact(t) for t in (theta, other))
    slopes, other_slopes = working.differentiate(here), working.differentiate(there)
    chart = working.chart(here, slopes)
    step, change = chart.secant(other, other_slopes)
    for a, b in zip(covariances(case, chart.theta(-step)), covariances(case, other), strict=True):
        assert_allclose(a, b, atol=1e-10)

    def slope(at: Float) -> Float:
        h = 1e-5
        return np.array(
            [
                (working.exact(chart.theta(at + s)).value - working.exact(chart.theta(at - s)).value) / (2 * h)
                for s in h * np.eye(8)
            ]
        )

    assert_allclose(change, slope(np.zeros(8)) - slope(-step), atol=1e-4 * np.abs(change).max() + 1e-6)


@generated
@given(cases_with_theta())
def test_many_problems_are_one_at_a_time(drawn: tuple[Case, Float]) -> None:
    """Charts and derivatives of stacked θ, scores and informations."""
    case, theta = drawn
    working = case.objective().working
    thetas = np.stack([theta, 0.9 * theta])
    found = [working.differentiate(working.exact(one)) for one in thetas]
    scores = [np.stack(part) for part in zip(*(one.scores for one in found), strict=True)]
    information = np.stack([one.covariance_information for one in found])
    together = chart_around(working.structures, thetas, scores, information)
    natural = natural_derivatives(working.structures, thetas, scores, information)
    step = 0.1 * np.random.default_rng(0).normal(size=thetas.shape)
    for i, one in enumerate(found):
        alone = working.chart(working.exact(thetas[i]), one)
        size = max(1.0, np.abs(alone.information).max())
        assert_allclose(together.gradient[i], alone.gradient, rtol=1e-9, atol=1e-9 * size)
        assert_allclose(together.information[i], alone.information, rtol=1e-9, atol=1e-9 * size)
        assert_allclose(together.curvature[i], alone.curvature, rtol=1e-9, atol=1e-9 * size)
        assert_allclose(together.smallest[i], alone.smallest, rtol=1e-9)
        assert_allclose(together.theta(step)[i], alone.theta(step[i]), rtol=1e-9, atol=1e-11)
        for part, expected in zip(natural, (one.gradient, one.information, one.curvature), strict=True):
            assert_allclose(part[i], expected, rtol=1e-9, atol=1e-9 * size)


def test_places_are_one_after_the_other() -> None:
    assert places([2, 0, 3]) == (slice(0, 2), slice(2, 2), slice(2, 5))
    assert places([]) == ()


def test_terms_do_not_share_curvature() -> None:
    """The remainder of the Hessian is block diagonal over terms, while the information is not."""
    case = make_case("crossed", [[(2, "homcs")], [(3, "cs")]], seed=2)
    working = case.objective().working
    derivatives = working.differentiate(point := working.exact(np.array([0.8, 0.3, 0.5, 0.6, 0.7, 0.2])))
    chart = working.chart(point, derivatives)
    for curvature in (derivatives.curvature, chart.curvature):
        assert_array_equal(curvature[:2, 2:], 0.0)
        assert np.abs(curvature[:2, :2]).max() > 0.0
    assert np.abs(chart.information[:2, 2:]).max() > 0.0
