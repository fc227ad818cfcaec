"""A factor that was given up is made again, with the same numbers; a search holds one large core at a time."""

from __future__ import annotations

import gc
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lmmsparse.estimation.fit import fit
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.profiled import WorkingObjective
from lmmsparse.pls import releasable as held
from lmmsparse.pls.core.dense import DenseCore, DenseFactor
from lmmsparse.pls.direct import Direct
from tests.designs import Case, make_case, make_term, no_small_models


@pytest.fixture
def objective() -> Objective:
    with no_small_models():
        found = make_case("crossed", [[(2, True)], [(1, True)]]).objective()
        assert isinstance(found.working.engine, Direct)
    return found


THETA = np.array([0.5, 0.1, 0.6, 0.7])


@pytest.fixture
def large_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "LARGE_CORE", 0.0)


@pytest.mark.usefixtures("large_cores")
def test_the_factor_of_the_point_before_is_given_up(objective: Objective) -> None:
    working = objective.working
    first = working.exact(THETA)
    made, right, slopes = first.solution.factor, first.solution.right, working.differentiate(first)
    second = working.exact(2 * THETA)
    assert first.solution.releasable._factor is None and second.solution.releasable._factor is not None
    assert first.solution.factor is not made
    assert first.solution.factor.logdet == made.logdet
    for again, before in zip(first.solution.right, right, strict=True):
        assert_array_equal(again, before)
    assert_array_equal(working.differentiate(first).gradient, slopes.gradient)
    assert second.solution.factor.logdet > first.solution.factor.logdet


def test_small_cores_are_kept(objective: Objective) -> None:
    first = objective.working.exact(THETA)
    made = first.solution.factor
    objective.working.exact(2 * THETA)
    assert first.solution.factor is made


@pytest.mark.usefixtures("large_cores")
def test_a_pickled_solution_has_the_same_numbers(objective: Objective) -> None:
    point = objective.working.exact(THETA)
    solution = point.solution
    copy = pickle.loads(pickle.dumps(solution))
    assert copy.releasable._factor is None
    assert copy.factor.logdet == solution.factor.logdet
    assert_array_equal(copy.right[0], solution.right[0])
    working = pickle.loads(pickle.dumps(objective.working))
    assert isinstance(working, WorkingObjective)
    assert working.exact(THETA).value == point.value


def test_a_factor_asked_for_by_several_threads_is_made_once(objective: Objective) -> None:
    working = objective.working
    solution = working.exact(THETA).solution
    fresh = pickle.loads(pickle.dumps(solution))
    with ThreadPoolExecutor(8) as pool:
        factors = list(pool.map(lambda _: fresh.factor, range(8)))
    assert all(factor is factors[0] for factor in factors)


@pytest.mark.usefixtures("large_cores")
def test_points_evaluated_by_several_threads(objective: Objective) -> None:
    """The threads share one objective, and release each other's factors."""
    working = objective.working

    def gradient(scale: float) -> np.ndarray:
        return working.differentiate(working.exact(scale * THETA)).gradient

    scales = np.linspace(0.5, 2.0, 24)
    expected = [gradient(scale) for scale in scales]
    with ThreadPoolExecutor(6) as pool:
        for found, wanted in zip(pool.map(gradient, scales), expected, strict=True):
            assert_array_equal(found, wanted)


def test_one_large_core_at_a_time(monkeypatch: pytest.MonkeyPatch, large_cores: None) -> None:
    """During a search no second dense core is alive when one is made."""
    alive: list[weakref.ref[DenseFactor]] = []
    most, made = 0, 0
    factorize = DenseCore.factorize

    def watched(self: DenseCore, *arguments: object) -> DenseFactor:
        nonlocal most, made
        gc.collect()
        most = max(most, 1 + sum(ref() is not None for ref in alive))
        factor = factorize(self, *arguments)  # type: ignore[arg-type]
        alive.append(weakref.ref(factor))
        made += 1
        return factor

    monkeypatch.setattr(DenseCore, "factorize", watched)
    rng = np.random.default_rng(0)
    a, b = rng.integers(60, size=800), rng.integers(50, size=800)
    y = rng.normal(size=60)[a] + rng.normal(size=50)[b] + rng.normal(size=800)
    case = Case(y, np.ones((800, 1)), (make_term(a, group="a"), make_term(b, group="b")))
    with no_small_models():
        _, info = fit(case.objective())
    assert info.converged and info.plan.core.kind == "dense" and made >= 4
    assert most == 1
