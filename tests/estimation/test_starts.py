"""Where searches begin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.estimation.fit import fit
from lmmsparse.estimation.spread import start_near
from lmmsparse.estimation.starts import OTHER_STARTS, SMALLEST_START, other_starts, warm_start
from tests.designs import Case, Float, cases_with_theta, generated, make_case, make_term
from tests.oracle import KEYWORDS, covariance


def test_other_starts_where_rows_are_few() -> None:
    """Multiples of the first in all standard deviations, and common correlations near either end."""
    few = make_case("one", [[(3, "cs"), (2, "us")]], n=48).objective()
    *multiples, low, high = other_starts(few)
    assert len(multiples) == len(OTHER_STARTS)
    for factor, theta in zip(OTHER_STARTS, multiples, strict=True):
        assert_allclose(theta, [factor, factor, factor, 0.0, factor, 0.0, factor])
    assert_allclose(low, [1.0, 1.0, 1.0, -0.35, 1.0, 0.0, 1.0])
    assert_allclose(high, [1.0, 1.0, 1.0, 0.85, 1.0, 0.0, 1.0])
    assert other_starts(make_case("one", [[(3, "cs"), (2, "us")]], n=200).objective()) == []
    assert other_starts(make_case("one", [[(1, "us")]], n=14).objective()) == []


@pytest.mark.parametrize("kind", KEYWORDS)
def test_a_warm_start_has_no_small_standard_deviation(kind: str) -> None:
    objective = make_case("one", [[(3, kind)]], n=96).objective()
    structure = objective.blocks[0].structure
    found = warm_start(objective, np.zeros(structure.n_theta))
    low, high = objective.bounds()
    assert (found >= low).all() and (found <= high).all()
    deviations = np.sqrt(np.diag(covariance(kind, 3, found)))
    assert (deviations >= SMALLEST_START * (1 - 1e-9)).all()
    assert structure.frame(found).smallest > 1e-3


@generated
@given(cases_with_theta(boundary=True))
def test_a_warm_start_can_be_searched_from(drawn: tuple[Case, Float]) -> None:
    """It is off every boundary, and where nothing was near one it is θ itself."""
    case, theta = drawn
    objective = case.objective()
    theta = np.concatenate([block.structure.canonical(theta[block.parameters]) for block in objective.blocks])
    found = warm_start(objective, theta)
    point = objective.evaluate(found)
    assert point.exact
    assert objective.chart(point, objective.differentiate(point)).smallest >= 0.9 * SMALLEST_START / np.sqrt(2)
    assert_allclose(warm_start(objective, objective.to_user(found)), found, rtol=1e-6, atol=1e-9)


def test_near_starts_are_for_large_data_only() -> None:
    """Where a cold search has several starts, a near one would end in the nearest minimum."""
    few, many = (make_case("one", [[(2, "cs")]], n=n).objective() for n in (48, 200))
    theta = fit(many)[0].theta
    assert start_near(few, theta) is None
    start = start_near(many, theta)
    assert start is not None
    assert_allclose(start, theta, rtol=1e-6)
    assert fit(many, start=start)[1].evaluations <= 3


def test_starts_leave_theta_alone() -> None:
    objective = make_case("one", [[(2, "cs"), (2, "diag")]], n=200).objective()
    theta = np.array([0.0, 0.4, -1.0, 0.0, 0.0])
    before = theta.copy()
    warm_start(objective, theta)
    assert_array_equal(theta, before)


def unlike_columns(kind: str, size: float, n: int = 60) -> tuple[Case, Float]:
    """Intercepts with a variance beside a slope in another unit that has hardly any, and where the minimum is."""
    rng = np.random.default_rng(3)
    group, x = np.arange(n) % 10, size * rng.normal(size=n)
    y = 1.7 * rng.normal(size=10)[group] + 1.7 * rng.normal(size=10)[group] * x + rng.normal(size=n)
    case = Case(y, np.ones((n, 1)), (make_term(group, np.column_stack([np.ones(n), x]), kind=kind),))
    objective = case.objective()
    rest = [0.0] if kind == "homcs" else []
    grid = np.array([[sd, *rest] for sd in np.geomspace(1e-4, 1e4, 400)])
    return case, grid[np.argmin([objective(theta) for theta in grid])]


@pytest.mark.parametrize("n", [60, 400])
@pytest.mark.parametrize("size", [0.003, 0.03, 30.0, 300.0])
@pytest.mark.parametrize("kind", ["homdiag", "homcs"])
def test_one_variance_for_unlike_columns_is_found_at_the_scale_of_each(kind: str, size: float, n: int) -> None:
    case, near = unlike_columns(kind, size, n)
    objective = case.objective()
    assert len(other_starts(objective)) >= 2
    estimates, _ = fit(objective)
    assert estimates.criterion <= fit(objective, start=near)[0].criterion + 1e-6


def test_few_rows_have_starts_at_both_ends_of_a_correlation() -> None:
    starts = other_starts(make_case("one", [[(3, "cs")]], n=48).objective())
    assert_allclose(np.array(starts)[:, -1], [0.0, 0.0, -0.35, 0.85])
    assert other_starts(make_case("one", [[(3, "cs")]], n=400).objective()) == []
