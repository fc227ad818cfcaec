"""Which engine a model gets, and what all of them can be asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.errors import MemoryLimitError
from lmmsparse.pls.direct import Direct
from lmmsparse.pls.engine import choose_engine
from lmmsparse.pls.small import Small, is_small
from lmmsparse.pls.solution import Request
from tests.designs import ENGINES, Engines, Float, make_case

THETA = np.array([0.8, 0.3, 0.5, 0.6, 0.2])


def test_small_models_get_the_small_engine() -> None:
    products = make_case("crossed", [[(2, "us")], [(2, "homcs")]]).objective().products
    engine = choose_engine(products.pattern, products.p, ("a", "b"), np.inf)
    assert isinstance(engine, Small) and is_small(engine.plan, products.p)


def test_a_model_that_is_too_large_is_refused() -> None:
    products = make_case("crossed", [[(2, "us")], [(2, "homcs")]]).objective().products
    with pytest.raises(MemoryLimitError):
        choose_engine(products.pattern, products.p, ("a", "b"), 10.0)


@pytest.fixture(params=[True, False], ids=["REML", "ML"])
def reml(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("engine", ENGINES[:3])  # rows by reflections know no other response
def test_another_right_side(engine: Engines, reml: bool) -> None:
    """Of a loaded engine, it gives the numbers of one that is loaded anew."""
    case = make_case("crossed", [[(2, "us")], [(2, "homcs")]], p=3, weighted=True)
    with engine():
        working = case.objective(reml=True).working
        other = case.objective(y=case.y**2, reml=reml).working
    request = Request(reml, working.loaded.request.entries)
    loaded = working.loaded.with_right(other.products, request)
    assert type(loaded) is type(working.loaded) and loaded.engine is working.engine
    templates = working.templates(THETA)
    found, expected = loaded.solve(templates), other.engine.load(other.products, request).solve(templates)
    assert_allclose(found.beta, expected.beta, rtol=1e-10)
    assert found.logdet == pytest.approx(expected.logdet, rel=1e-12)
    assert found.pwrss == pytest.approx(expected.pwrss, rel=1e-10)
    assert found.sigma2 == found.pwrss / (45 if reml else 48)
    assert_allclose(found.information(), expected.information(), rtol=1e-8)
    for one, two in zip(found.sums(), expected.sums(), strict=True):
        assert_allclose(one, two, rtol=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_solutions_of_both_engines_say_what_they_are_of(engine: Engines) -> None:
    case = make_case("nested and crossed", [[(2, "cs")], [(1, "us")], [(2, "homdiag")]], p=2)
    with engine():
        working = case.objective().working
        solution = working.exact(np.array([0.8, 0.4, 0.3, 0.6, 0.9])).solution
    assert solution.products is working.products and solution.request is working.loaded.request
    for lam, u, (q, K) in zip(solution.templates, solution.u, working.plan.shapes, strict=True):
        assert lam.shape == (K, K) and u.shape == (q, K)
    assert_array_equal(solution.information(), solution.information())
    assert solution.logdet_fixed == pytest.approx(np.linalg.slogdet(solution.fixed_factor)[1] * 2)


def test_many_problems_are_for_the_small_engine() -> None:
    working = make_case("crossed", [[(2, "us")], [(2, "homcs")]]).objective().working
    rhs = [b[:, :, -1:] for b in working.products.rhs]
    fixed, squares = working.products.fixed[:-1, -1:], working.products.fixed[-1:, -1]
    assert Direct(working.plan).load(working.products, working.loaded.request).batch(rhs, fixed, squares) is None
    batch: Callable | None = working.loaded.batch(rhs, fixed, squares)
    assert batch is not None
    templates: list[Float] = [lam[None] for lam in working.templates(THETA)]
    found, expected = batch(np.zeros(1, dtype=np.intp), templates), working.exact(THETA)
    assert found.pwrss[0] == pytest.approx(expected.pwrss, rel=1e-12)
    assert_allclose(found.beta[0], expected.beta, rtol=1e-10)
