"""Which factors are peeled, and that the plan holds every entry that elimination fills."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal

from lmmsparse.crossproducts.blocks import Pattern
from lmmsparse.pls.plan import Plan, elimination_order
from lmmsparse.pls.plan import plan_of as make_plan
from tests.designs import Case, cases, generated, grouping, make_case, make_term, needs_cholmod, sparse_cores
from tests.kernels.dense_twins import owners


def peeled_names(plan: Plan) -> list[str]:
    return [plan.groups[part.block] for part in plan.peeled]


def plan_of(layout: str, sizes: tuple[int, int, int] = (1, 1, 1), order: tuple[int, ...] | None = None) -> Plan:
    case = make_case(layout, [[(k, True)] for k in sizes])
    terms = case.terms if order is None else tuple(case.terms[i] for i in order)
    return case.objective(terms=terms).plan


@pytest.mark.parametrize(
    ("layout", "peeled"),
    [
        ("one", ["a"]),
        ("nested", ["a", "b"]),
        ("nested three deep", ["a", "b", "c"]),
        ("twins", ["a", "b"]),
        ("crossed", ["a"]),
        ("three crossed", ["a"]),
        ("partly crossed", ["a"]),
        ("nested and crossed", ["a", "b"]),
        ("disconnected", ["a"]),
    ],
)
def test_peeled_factors(layout: str, peeled: list[str]) -> None:
    factors = grouping(layout, 48, np.random.default_rng(0))
    for order in permutations(range(len(factors))):
        plan = plan_of(layout, order=order)
        assert peeled_names(plan) == peeled or layout == "twins"
        assert sorted(peeled_names(plan)) == peeled
        assert (plan.core.kind == "none") == (len(peeled) == len(factors))
        assert plan.core.size == plan.q - sum(part.n_levels * part.size for part in plan.peeled)


def test_a_factor_never_goes_before_one_nested_in_it() -> None:
    """b has fewer levels than a but more random effects."""
    plan = plan_of("nested three deep", sizes=(1, 3, 2))
    assert [levels * k for levels, k in plan.shapes] == [12, 18, 6]
    assert peeled_names(plan) == ["a", "b", "c"]
    assert plan.core.kind == "none"


def test_the_largest_of_crossed_factors_is_peeled() -> None:
    assert peeled_names(plan_of("crossed", sizes=(1, 1, 1))) == ["a"]  # 8 effects and 5
    assert peeled_names(plan_of("crossed", sizes=(1, 2, 1))) == ["b"]  # 8 and 10


def test_pupils_change_teachers_but_not_schools() -> None:
    """Teachers in schools are the core, pupils and schools are peeled; schools are core as well when pupils move."""
    rng = np.random.default_rng(0)
    teacher = np.concatenate([np.arange(12), rng.integers(12, size=108)])
    school = teacher % 3
    pupil = 3 * np.concatenate([np.arange(20), np.arange(20), rng.integers(20, size=80)]) + school
    names = ("pupil", "teacher", "school")

    def plan(*labels: np.ndarray) -> Plan:
        terms = tuple(make_term(label, group=name) for label, name in zip(labels, names, strict=True))
        return Case(rng.normal(size=120), np.ones((120, 1)), terms).objective().plan

    stay = plan(pupil, teacher, school)
    assert peeled_names(stay) == ["pupil", "school"]
    assert stay.core.size == 12
    moved = pupil.copy()
    moved[0] = pupil[school != school[0]][0]
    assert peeled_names(plan(moved, teacher, school)) == ["pupil"]


def blocks_pattern(pattern: Pattern, order: list[int]) -> tuple[np.ndarray, dict[int, int]]:
    """Pattern of ZᵀWZ with the factors in an order, and the first row of each."""
    sizes = {g: pattern.shapes[g][0] * pattern.shapes[g][1] for g in order}
    starts = dict(zip(order, np.cumsum([0, *sizes.values()]), strict=False))
    S = np.zeros((sum(sizes.values()),) * 2, dtype=bool)

    def fill(g: int, h: int, first: np.ndarray, second: np.ndarray) -> None:
        K_g, K_h = pattern.shapes[g][1], pattern.shapes[h][1]
        for i, j in zip(first, second, strict=True):
            r, c = starts[g] + i * K_g, starts[h] + j * K_h
            S[r : r + K_g, c : c + K_h] = True
            S[c : c + K_h, r : r + K_g] = True

    for g in order:
        levels = np.arange(pattern.shapes[g][0])
        fill(g, g, levels, levels)
    for (g, h), link in pattern.pairs.items():
        fill(g, h, link.first, link.second)
    return S, starts


def eliminated(S: np.ndarray) -> np.ndarray:
    """Pattern of the Cholesky factor of a matrix with pattern S, by elimination."""
    L = np.tril(S)
    for j in range(len(L)):
        below = np.flatnonzero(L[j + 1 :, j]) + j + 1
        L[np.ix_(below, below)] |= np.tril(np.ones((len(below), len(below)), dtype=bool))
    return L


@generated
@given(cases())
def test_no_fill_is_missed(case: Case) -> None:
    objective = case.objective()
    pattern, plan = objective.working.products.pattern, objective.plan
    peeled, core = elimination_order(pattern)
    S, starts = blocks_pattern(pattern, peeled + core)
    L = eliminated(S)
    first = plan.q - plan.core.size
    # the core's rows in the order of its factors
    in_plan = np.concatenate([np.zeros(0, int), *(plan.core.rows(h, plan.shapes[h][1]) for h in plan.core.blocks)])
    for part in plan.peeled:
        rows = np.arange(starts[part.block], starts[part.block] + part.n_levels * part.size)
        inside = np.kron(np.eye(part.n_levels), np.ones((part.size, part.size))).astype(bool)
        assert not (L[np.ix_(rows, rows)] & ~inside).any(), "the leaves are coupled to each other"
        held = np.zeros((plan.core.size, part.n_levels), dtype=bool)
        leaf = owners(part.indptr)
        held[part.rows, leaf] = True
        assert_array_equal(np.repeat(held[in_plan], part.size, axis=1), L[first:][:, rows])
        assert (np.diff(part.rows)[np.diff(leaf) == 0] > 0).all(), "rows increase within a leaf"
        for j, parent in part.parents.items():
            other = plan.peeled[j]
            coupled = np.zeros((other.n_levels, part.n_levels), dtype=bool)
            coupled[parent, np.arange(part.n_levels)] = True
            below = L[starts[other.block] : starts[other.block] + other.n_levels * other.size][:, rows]
            assert_array_equal(np.kron(coupled, np.ones((other.size, part.size))).astype(bool), below)
            assert_array_equal(owners(other.indptr)[part.targets[j]], parent[leaf])
            assert_array_equal(other.rows[part.targets[j]], part.rows)


@needs_cholmod
@generated
@given(cases())
def test_the_core_has_all_its_rows_once(case: Case) -> None:
    """Levels are blocks of adjacent rows, in any order; entries of the core go to places of their own."""
    for plan in (case.objective().plan, sparse_plan(case)):
        core = plan.core
        rows = [core.rows(h, plan.shapes[h][1]) for h in core.blocks]
        assert_array_equal(np.sort(np.concatenate([np.zeros(0, int), *rows])), np.arange(core.size))
        for position, (h, of_factor) in enumerate(zip(core.blocks, rows, strict=True)):
            assert_array_equal(core.owner[of_factor], position)
            assert_array_equal(core.level_start[of_factor], np.repeat(core.first_row[h], plan.shapes[h][1]))
        assert len(np.unique(core.places)) == len(core.places)


def sparse_plan(case: Case) -> Plan:
    with sparse_cores():
        return case.objective().plan


def test_the_plan_tells_what_it_will_do() -> None:
    text = str(plan_of("crossed", sizes=(2, 1, 1)))
    assert "plan for 21 random effects" in text
    assert "peel a: 8 levels x 2" in text
    assert "core of b: 5 rows, dense" in text
    assert "core of nothing: 0 rows, none" in str(plan_of("nested"))


def test_predicted_cost_grows_with_the_core() -> None:
    products = make_case("crossed", [[(1, True)], [(1, True)]]).objective().working.products
    small = make_plan(products.pattern, products.p, ("a", "b"), np.inf)
    wide = make_case("crossed", [[(1, True)], [(1, True), (1, True)]]).objective().plan
    assert 0 < small.flops < wide.flops
    assert 0 < small.bytes < wide.bytes
