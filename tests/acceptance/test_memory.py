"""Memory: nothing of size q × q or n × q is ever made, and what would not fit is refused before it is allocated."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from lmmsparse.errors import LmmError, MemoryLimitError
from lmmsparse.estimation.fit import fit
from lmmsparse.objective.linear import Objective, make_objective
from lmmsparse.pls import releasable as held
from lmmsparse.pls.core.choose import dense_bytes
from lmmsparse.pls.direct import Direct
from lmmsparse.pls.small import Small
from tests.designs import Case, make_term, needs_cholmod, no_small_models

MEGABYTE = 2**20


def peak(action: Callable[[], Any]) -> tuple[Any, float]:
    """Result of an action and the most memory that was in use for it, in bytes."""
    tracemalloc.start()
    try:
        result = action()
        return result, float(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def crossed(levels: int, n: int, seed: int = 0) -> Case:
    """Two crossed factors, every level of each observed."""
    rng = np.random.default_rng(seed)
    a = np.concatenate([np.arange(levels), rng.integers(levels, size=n - levels)])
    b = np.concatenate([rng.permutation(levels), rng.integers(levels, size=n - levels)])
    return Case(rng.normal(size=n), np.ones((n, 1)), (make_term(a, group="a"), make_term(b, group="b")))


def objective_of(case: Case, limit: float) -> Objective:
    return make_objective(case.y, case.X, case.terms, memory_limit=limit)


def test_nested_factors_with_ten_thousand_levels_each() -> None:
    """`(1 | f1/f2)` with hardly more rows than levels: 10⁴ × 10⁴ doubles would be 800 MB."""
    rng = np.random.default_rng(0)
    n = 10_050
    outer = np.concatenate([np.arange(10_000), rng.integers(10_000, size=50)])
    inner = np.concatenate([np.arange(10_000), rng.integers(10_000, size=50)])
    inner[10_000:] = 10_000 + np.arange(50) % 7  # a few more levels inside
    nested = outer * 20_000 + inner
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    y = X @ [1.0, 2.0] + rng.normal(size=10_000)[outer] + rng.normal(size=n)
    case = Case(y, X, (make_term(nested, group="f2:f1"), make_term(outer, group="f1")))

    def whole() -> tuple[Any, Any]:
        objective = case.objective()
        estimates, info = fit(objective)
        objective.leverages(estimates.point)
        return estimates, info

    (estimates, info), most = peak(whole)
    assert info.converged
    assert info.plan.core.kind == "none"
    assert most < 60 * MEGABYTE
    assert estimates.criterion == pytest.approx(35388.301887707, abs=1e-6)  # by lme4


@needs_cholmod
def test_crossed_factors_that_hardly_meet() -> None:
    """5,000 × 5,000 levels in chains of few rows: dense, the core alone would take 200 MB."""
    rng = np.random.default_rng(1)
    a = np.repeat(np.arange(5000), 2)
    b = np.concatenate([[0], np.repeat(np.arange(1, 5000), 2), [0]])  # one long ring
    n = len(a)
    y = rng.normal(size=5000)[a] + rng.normal(size=5000)[b] + 0.5 * rng.normal(size=n)
    case = Case(y, np.ones((n, 1)), (make_term(a, group="a"), make_term(b, group="b")))
    (_, info), most = peak(lambda: fit(case.objective()))
    assert info.plan.core.kind == "sparse"
    assert info.converged
    assert most < 40 * MEGABYTE


@needs_cholmod
def test_the_plan_foretells_the_memory() -> None:
    """What planning, a factorization and its derivatives take is near what the plan has said."""
    case = crossed(4000, 10_000)
    linear, _ = peak(lambda: objective_of(case, np.inf))
    said = linear.plan.bytes
    assert linear.plan.core.kind == "sparse"

    def evaluate() -> None:
        working = objective_of(case, np.inf).working
        working.differentiate(working.exact(working.start()))

    _, most = peak(evaluate)
    assert 0.5 * most < said < 2 * most
    with pytest.raises(MemoryLimitError):
        objective_of(case, 0.5 * said)
    assert objective_of(case, 1.1 * said).plan.bytes == said


@needs_cholmod
def test_two_hundred_thousand_levels_crossed_are_refused_at_once() -> None:
    """Dense, the core would be 320 GB; sparse, it fills as well."""
    case = crossed(200_000, 400_000)
    start = time.perf_counter()
    with pytest.raises(MemoryLimitError) as caught:
        objective_of(case, 1e8)
    assert time.perf_counter() - start < 20
    message = str(caught.value)
    assert re.search(r"at least [\d.]+e\+\d+ bytes", message), message
    assert "3.2e+11 bytes as a dense matrix" in message
    assert "200000 random effects" in message
    assert isinstance(caught.value, LmmError) and isinstance(caught.value, MemoryError)


@needs_cholmod
def test_a_refusal_allocates_little() -> None:
    case = crossed(30_000, 90_000)

    def refused() -> None:
        with pytest.raises(MemoryLimitError):
            objective_of(case, 5e7)

    _, most = peak(refused)
    assert most < 60 * MEGABYTE  # the data, their cross-products and the pattern


def test_a_small_limit_is_kept_to_by_dense_cores() -> None:
    case = crossed(300, 3000)
    assert objective_of(case, np.inf).plan.core.kind == "dense"
    with pytest.raises(MemoryLimitError, match="the limit is 1e\\+04 bytes"):
        objective_of(case, 1e4)
    said = objective_of(case, np.inf).plan.bytes
    assert objective_of(case, said).plan.core.kind == "dense"


def test_the_plan_foretells_the_memory_of_leaves() -> None:
    """Where every factor is peeled, vectors of random effects take the most."""
    rng = np.random.default_rng(0)
    a, x = np.arange(40_000) % 10_000, rng.normal(size=(40_000, 2))
    terms = (make_term(a, np.column_stack([np.ones(40_000), x[:, 0]]), "a"), make_term(a % 500, group="b"))
    working = objective_of(Case(rng.normal(size=40_000), np.column_stack([np.ones(40_000), x]), terms), np.inf).working
    assert working.plan.core.matrix is None
    _, most = peak(lambda: working.differentiate(working.exact(working.start())))
    assert 0.5 * most < working.plan.bytes < 2 * most


def test_a_limit_is_kept_to_by_peeled_factors() -> None:
    """Without a core, or with one that would fit alone, the rest counts as well."""
    rng = np.random.default_rng(0)
    for parent in (np.arange(4000) % 500, rng.integers(3, size=4000)):
        terms = (make_term(np.arange(4000) % 1000, np.ones((4000, 2)), "a"), make_term(parent, group="b"))
        case = Case(rng.normal(size=4000), np.ones((4000, 1)), terms)
        plan = objective_of(case, np.inf).plan
        core = 0.0 if plan.core.matrix is None else plan.core.matrix.bytes
        assert objective_of(case, plan.bytes).plan.bytes == plan.bytes
        with pytest.raises(MemoryLimitError, match=r"random effects outside it, and the limit is .*memory_limit"):
            objective_of(case, max(core, 0.5 * plan.bytes))


def test_a_search_holds_one_dense_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """4,000 × 1,000 levels: n × q would take 960 MB, q × q 200 MB, L on the couplings as a dense array 32 MB."""
    monkeypatch.setattr(held, "LARGE_CORE", 1e6)
    rng = np.random.default_rng(0)
    n, levels = 24_000, (4000, 1000)
    a, b = (np.concatenate([np.arange(q), rng.integers(q, size=n - q)]) for q in levels)
    y = rng.normal(size=4000)[a] + rng.normal(size=1000)[rng.permutation(1000)[b]] + rng.normal(size=n)
    case = Case(y, np.ones((n, 1)), (make_term(a, group="a"), make_term(b, group="b")))
    objective = case.objective()
    assert objective.plan.core.kind == "dense" and objective.plan.core.size == 1000
    (_, info), most = peak(lambda: fit(objective))
    assert info.converged and info.evaluations >= 3
    assert most < 1.5 * dense_bytes(1000)


@pytest.mark.parametrize("small", [True, False])
def test_evaluations_need_no_more_than_the_levels(small: bool) -> None:
    """Once the cross-products are there, n does not matter: 300,000 rows, 40 levels."""
    rng = np.random.default_rng(0)
    group = rng.integers(40, size=300_000)
    X = np.column_stack([np.ones(300_000), rng.normal(size=300_000)])
    with nullcontext() if small else no_small_models():
        objective = Case(rng.normal(size=300_000), X, (make_term(group, X),)).objective()
    assert isinstance(objective.working.engine, Small if small else Direct)

    def evaluate() -> None:
        working = objective.working
        working.differentiate(working.exact(working.start()))

    _, most = peak(evaluate)
    assert most < MEGABYTE
