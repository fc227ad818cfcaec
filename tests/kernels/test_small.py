"""A small model's evaluation in one call against the engine that goes block by block, and against plain formulas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.errors import FactorizationError
from lmmsparse.frame.grouping import Levels
from lmmsparse.kernels import small as kernels
from lmmsparse.objective.points import Derivatives, Point
from lmmsparse.objective.profiled import WorkingObjective
from lmmsparse.pls.direct import Direct
from lmmsparse.pls.small import SMALL_FLOPS, LoadedSmall, SmallSolutions, small_responses
from tests.designs import Case, Float, by_blocks, cases_with_theta, generated, make_case


def assert_same(one: tuple[Point, Derivatives], other: tuple[Point, Derivatives]) -> None:
    (a, da), (b, db) = one, other
    assert a.value == pytest.approx(b.value, rel=1e-11, abs=1e-9)
    assert a.pwrss == pytest.approx(b.pwrss, rel=1e-9)
    assert_allclose(a.beta, b.beta, rtol=1e-7, atol=1e-9)
    for u, v in zip(a.u, b.u, strict=True):
        assert_allclose(u, v, rtol=1e-7, atol=1e-8)
    assert_allclose(np.tril(a.fixed_factor), np.tril(b.fixed_factor), rtol=1e-9, atol=1e-10)
    for s, t in zip(da.scores, db.scores, strict=True):
        assert_allclose(s, t, rtol=1e-7, atol=1e-7 * max(1.0, np.abs(t).max()))
    size = max(1.0, np.abs(db.covariance_information).max())
    assert_allclose(da.covariance_information, db.covariance_information, rtol=1e-6, atol=1e-9 * size)
    assert_allclose(da.gradient, db.gradient, rtol=1e-6, atol=1e-7 * max(1.0, np.abs(db.gradient).max()))


@generated
@given(cases_with_theta())
def test_evaluation(drawn: tuple[Case, Float]) -> None:
    case, theta = drawn
    for reml in (True, False):
        working = case.objective(reml=reml).working
        loaded(working)
        results = []
        for one in (working, by_blocks(working)):
            point = one.exact(theta)
            results.append((point, one.differentiate(point)))
        assert_same(*results)


@generated
@given(cases_with_theta(boundary=True))
def test_values_at_empty_variances(drawn: tuple[Case, Float]) -> None:
    case, theta = drawn
    working = case.objective().working
    a, b = working.exact(theta), by_blocks(working).exact(theta)
    assert a.value == pytest.approx(b.value, rel=1e-11, abs=1e-9)
    for u, v in zip(a.u, b.u, strict=True):
        assert_allclose(u, v, rtol=1e-7, atol=1e-8)


def loaded(working: WorkingObjective) -> LoadedSmall:
    assert isinstance(working.loaded, LoadedSmall)
    return working.loaded


def solve_many(working: WorkingObjective, which: list[int], templates: list[Float]) -> SmallSolutions:
    """Problems of the objective's own response."""
    one = loaded(working)
    return one.solve_many(one.responses, np.array(which, dtype=np.intp), templates)


def stacked(working: WorkingObjective, thetas: list[Float]) -> list[Float]:
    """Templates of every factor for several θ."""
    return [np.stack(part) for part in zip(*(working.templates(theta) for theta in thetas), strict=True)]


def fields(found: Any, i: int) -> list[Float]:
    """All numbers of problem i."""
    out = [found.logdet[i], found.logdet_fixed[i], found.pwrss[i], found.beta[i], found.fixed_factor[i]]
    return [*out, *(u[i] for u in found.u), *(s[i] for s in found.sums), found.information[i]]


@pytest.mark.parametrize("p", [0, 1, 3])
@pytest.mark.parametrize("layout", ["one", "nested and crossed", "three crossed"])
def test_problems_of_several_responses_at_once(layout: str, p: int) -> None:
    """Any response with any θ, each number as if it had been asked for alone."""
    case = make_case(layout, [[(2, True)], [(1, True), (2, False)], [(1, True)]], p=p, weighted=True)
    rng = np.random.default_rng(0)
    responses = rng.normal(size=(48, 3))
    objective = case.objective()
    of_each = [objective.with_response(y).working for y in responses.T]
    working = of_each[0]
    Zty = [
        np.concatenate([w.products.rhs[g][:, :, p:] for w in of_each], axis=2) for g in range(len(working.plan.shapes))
    ]
    fixed = np.stack([w.products.fixed[p] for w in of_each], axis=1)
    together = small_responses(loaded(working).design, Zty, fixed[:p], fixed[p])
    which = np.array([2, 0, 0, 1, 2])
    thetas = [rng.uniform(0.2, 1.0, size=case.n_theta) for _ in which]
    found = loaded(working).solve_many(together, which, stacked(working, thetas))
    assert_array_equal(found.failed, 0)
    for i, (y, theta) in enumerate(zip(which, thetas, strict=True)):
        alone = of_each[y]
        single = solve_many(alone, [0], stacked(alone, [theta]))
        for a, b in zip(fields(found, i), fields(single, 0), strict=True):
            assert_array_equal(a, b)
        expected = by_blocks(alone).exact(theta)
        assert found.pwrss[i] == pytest.approx(expected.pwrss, rel=1e-10)
        assert_allclose(found.beta[i], expected.beta, rtol=1e-8, atol=1e-10)


def test_no_problems_at_all() -> None:
    working = make_case("crossed", [[(2, True)], [(1, True)]]).objective().working
    none = [np.zeros((0, K, K)) for _, K in working.plan.shapes]
    found = solve_many(working, [], none)
    assert found.beta.shape == (0, 2) and found.information.shape == (0, 4, 4)


def test_a_failed_problem_does_not_touch_the_others() -> None:
    """1: rounding leaves nothing of a pivot of a random effect. The problem after it is right."""
    case = make_case("crossed", [[(1, True)], [(1, True)]])
    working = case.objective().working
    good = np.array([0.5, 0.7])
    for bad in ([1e9, 1e9], [1e200, 0.5], [np.nan, 0.5], [0.5, np.nan]):
        found = solve_many(working, [0, 0, 0], stacked(working, [good, np.array(bad), good]))
        assert found.failed.tolist() == [0, 1, 0]
        for a, b in zip(fields(found, 0), fields(found, 2), strict=True):
            assert_array_equal(a, b)
        with pytest.raises(FactorizationError, match="theta is too large"):
            working.exact(np.array(bad))


def test_fixed_effects_that_are_not_identified() -> None:
    """2: XᵀV⁻¹X is singular when two columns are the same."""
    working = make_case("crossed", [[(1, True)], [(1, True)]], p=2).objective().working
    products = working.products
    rhs = [b[:, :, [0, 0, 2]] for b in products.rhs]
    fixed = products.fixed[np.ix_([0, 0, 2], [0, 0, 2])]
    dependent = replace(products, rhs=tuple(rhs), fixed=fixed)
    twice = WorkingObjective.of(working.engine, dependent, working.blocks, True)
    with pytest.raises(FactorizationError, match="not identified"):
        by_blocks(twice).exact(np.array([0.5, 0.5]))
    with pytest.raises(FactorizationError, match="not identified"):
        twice.exact(np.array([0.5, 0.5]))


@pytest.mark.parametrize("theta", [1e2, 1e4, 1e5, 1e7, 1e8, 1e10])
@pytest.mark.parametrize("layout", ["one", "crossed", "nested"])
def test_a_large_theta_is_refused_by_both_or_right_in_both(layout: str, theta: float) -> None:
    working = make_case(layout, [[(1, True)], [(1, True)]]).objective().working
    where, values = np.full(len(working.structures), theta), []
    for one in (working, by_blocks(working)):
        try:
            values.append(one.exact(where).value)
        except FactorizationError:
            values.append(None)
    if None in values:
        assert theta > 1e4
    else:
        assert values[0] == pytest.approx(values[1], abs=0.05)


def test_the_smallest_design() -> None:
    """One leaf factor of two levels, no fixed effects, no other factor: every array of the rest is empty."""
    y = np.array([1.0, -2.0, 3.0, 0.5])
    A = np.full((2, 1, 1), 2.0)
    b = np.array([[[y[:2].sum()], [y[2:].sum()]]])
    none, index = np.zeros(0), np.zeros(0, dtype=np.int32)
    zero = np.zeros(1, dtype=np.int32)
    scalars, effects, failed = np.zeros((1, 5)), np.zeros((1, 2)), np.ones(1, dtype=np.int32)
    sums, information, theta = np.zeros((1, 1, 1)), np.zeros((1, 1, 1)), 0.8
    kernels.evaluate(
        A, np.zeros((2, 1, 0)), np.zeros((0, 0)), index, index, b, np.zeros((1, 0)), np.array([y @ y]), zero,
        np.full((1, 1, 1), theta), np.zeros((1, 0, 1, 1)), zero - 1, zero, zero, 4.0, False, 0.0, 0.99, 1e-12,
        scalars, effects, np.zeros((1, 0, 0)), sums, np.zeros((1, 0, 1, 1)), information, failed,
    )  # fmt: skip
    pivot = 1 + 2 * theta**2
    u = theta * b[0, :, 0] / pivot
    r2 = y @ y - (theta * b[0, :, 0]) @ u
    assert failed[0] == 0 and none.size == 0
    assert_allclose(scalars[0], [2 * np.log(pivot), 0.0, r2, 0.0, 1.0], rtol=1e-13)
    assert_allclose(effects[0], u, rtol=1e-13)
    assert_allclose(sums[0, 0, 0], 2 / pivot + (u**2).sum() / (r2 / 4), rtol=1e-13)
    # s = b − A λ u, f = Z s, H = [fᵀV⁻¹f − (sᵀs)²/r²]/σ²
    s = b[0, :, 0] - 2 * theta * u
    fPf = (2 * s**2 - (2 * theta * s) ** 2 / pivot).sum()
    assert_allclose(information[0, 0, 0], (fPf - (s @ s) ** 2 / r2) / (r2 / 4), rtol=1e-12)


def test_the_arrays_of_a_design_may_be_read_only() -> None:
    working = make_case("crossed", [[(2, True)], [(1, True)]]).objective().working
    expected = working.exact(np.array([0.5, 0.1, 0.6, 0.7])).value
    design = loaded(working).design
    for array in (design.A, design.B, design.rest, design.factor, design.sizes):
        array.flags.writeable = False
    assert working.exact(np.array([0.5, 0.1, 0.6, 0.7])).value == expected


def test_large_models_are_not_small() -> None:
    """q K (R + 1)² + R³ multiplications decide."""
    few = make_case("crossed", [[(1, True)], [(1, True)]]).objective().working
    loaded(few)
    rng = np.random.default_rng(0)
    labels = rng.integers(120, size=(2, 2000))
    case = make_case("crossed", [[(1, True)], [(1, True)]], n=2000)
    wide = [
        replace(t, codes=g.astype(np.int32), labels=Levels(np.arange(120)))
        for t, g in zip(case.terms, labels, strict=True)
    ]
    working = Case(case.y, case.X, tuple(wide)).objective().working
    assert 120 * 122.0**2 + 121.0**3 > SMALL_FLOPS and isinstance(working.engine, Direct)
