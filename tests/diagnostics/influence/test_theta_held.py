"""Estimates without rows, θ held: against dense algebra on the rows that are left."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose

from lmmsparse.diagnostics.influence import theta_held as held
from lmmsparse.diagnostics.influence.deletions import Deletions, touched_levels
from lmmsparse.diagnostics.influence.estimates import RemainingEstimates
from lmmsparse.diagnostics.influence.rebuild import remaining_equations
from lmmsparse.diagnostics.influence.theta_held import held_estimates
from lmmsparse.estimation.estimates import user_estimates
from lmmsparse.estimation.table import EstimateTable
from lmmsparse.pls.effect_blocks import Columns
from tests.designs import Case, Float, cases_with_theta, generated, make_case, make_term, needs_cholmod, sparse_cores

few = settings(generated, max_examples=15)
# How the rows are parted: a row each, the levels of the first or the last term, four labels at random.
PARTITIONS = ("rows", "first", "last", "labels")
CROSSED = make_case("three crossed", [[(2, True)], [(1, True)], [(2, False)]], p=3, weighted=True, n=90)
CROSSED_THETA = np.array([0.9, -0.4, 0.6, 1.3, 0.5, 0.8])


def partition(case: Case, kind: str) -> Deletions:
    n = len(case.y)
    if kind == "rows":
        codes = np.arange(n)
    elif kind == "labels":
        codes = np.random.default_rng(7).permutation(np.arange(n) % 4)
    else:
        codes = case.terms[0 if kind == "first" else -1].codes
    codes = np.unique(codes, return_inverse=True)[1].ravel()
    return Deletions(codes, int(codes.max()) + 1)


def without(case: Case, theta: Float, rows: Float) -> tuple[Float, Float, float]:
    """β̂, its covariance matrix and σ̂ of some rows at θ, by dense algebra."""
    terms = tuple(
        replace(make_term(t.codes[rows], t.columns[rows], t.group), structure=t.structure) for t in case.terms
    )
    weights = None if case.weights is None else case.weights[rows]
    oracle = replace(case, y=case.y[rows], X=case.X[rows], terms=terms, weights=weights).oracle(theta)
    return oracle.beta, oracle.sigma2 * np.linalg.inv(oracle.information_of_beta), float(np.sqrt(oracle.sigma2))


def found(case: Case, theta: Float, deletions: Deletions) -> RemainingEstimates:
    objective = case.objective()
    solution = objective.solve(objective.to_working(theta))
    return held_estimates(objective, user_estimates(objective, solution, singular=False), deletions, np.inf)


def assert_exact(case: Case, theta: Float, kind: str) -> None:
    deletions = partition(case, kind)
    left = found(case, theta, deletions)
    oracle, p = case.oracle(theta), case.X.shape[1]
    C = oracle.sigma2 * np.linalg.inv(oracle.information_of_beta)
    for i in range(deletions.count):
        beta, covariance, sigma = without(case, theta, np.flatnonzero(deletions.codes != i))
        assert_allclose(left.table.sigma[i], sigma, rtol=1e-8)
        assert_allclose((left.table.beta[i] - beta) / np.sqrt(np.diag(C)), 0.0, atol=1e-7)
        assert_allclose(left.table.std_error[i], np.sqrt(np.diag(covariance)), rtol=1e-8)
        if p:
            shift = beta - oracle.beta
            assert_allclose(left.cooks[i], shift @ np.linalg.solve(C, shift) / p, rtol=1e-6, atol=1e-12)
            assert_allclose(left.mdffits[i], shift @ np.linalg.solve(covariance, shift) / p, rtol=1e-6, atol=1e-12)
            assert_allclose(left.covratio[i], np.linalg.det(covariance) / np.linalg.det(C), rtol=1e-6)


@pytest.mark.parametrize("kind", PARTITIONS)
@few
@given(cases_with_theta())
def test_any_model(kind: str, drawn: tuple[Case, Float]) -> None:
    assert_exact(*drawn, kind)


@pytest.mark.parametrize("kind", PARTITIONS)
@few
@given(cases_with_theta(boundary=True))
def test_empty_variances(kind: str, drawn: tuple[Case, Float]) -> None:
    assert_exact(*drawn, kind)


@needs_cholmod
@pytest.mark.parametrize("kind", PARTITIONS)
@few
@given(cases_with_theta())
def test_sparse_cores(kind: str, drawn: tuple[Case, Float]) -> None:
    with sparse_cores():
        assert_exact(*drawn, kind)


# -- the ways to take rows out ----------------------------------------------------------------------------------


def assert_same(one: RemainingEstimates, other: RemainingEstimates) -> None:
    for a, b, names in (
        (one.table, other.table, [part.name for part in fields(EstimateTable)]),
        (one, other, ["cooks", "mdffits", "covratio"]),
    ):
        for name in names:
            assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("kind", PARTITIONS)
def test_equations_formed_anew_say_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deletions = partition(CROSSED, kind)
    downdated = found(CROSSED, CROSSED_THETA, deletions)
    formed = []

    def counted(*arguments: object) -> Float:
        formed.append(arguments)
        return remaining_equations(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(held, "remaining_equations", counted)
    monkeypatch.setattr(held, "SMALL_SHARE", np.inf)
    assert_same(found(CROSSED, CROSSED_THETA, deletions), downdated)
    assert len(formed) == deletions.count


@pytest.mark.parametrize("kind", PARTITIONS)
def test_a_little_at_a_time_is_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deletions = partition(CROSSED, kind)
    at_once = found(CROSSED, CROSSED_THETA, deletions)
    monkeypatch.setattr(held, "CHUNK_NUMBERS", 1)
    monkeypatch.setattr("lmmsparse.pls.effect_blocks.CHUNK_NUMBERS", 1)
    assert_same(found(CROSSED, CROSSED_THETA, deletions), at_once)


def test_columns_of_the_inverse_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set that touches few levels keeps its columns; one that touches too many is formed anew."""
    deletions = partition(CROSSED, "first")
    at_once, asked = found(CROSSED, CROSSED_THETA, deletions), []
    blocks = Columns.blocks

    def counted(self: Columns, solution: object, effects: Float) -> object:
        asked.append(len(effects))
        return blocks(self, solution, effects)  # type: ignore[arg-type]

    monkeypatch.setattr(Columns, "blocks", counted)
    with sparse_cores():  # a dense core has all blocks at hand
        assert_same(found(CROSSED, CROSSED_THETA, deletions), at_once)
        assert len(asked) == 1
        monkeypatch.setattr(held, "INVERSE_NUMBERS", asked[0] ** 2 - 1)
        assert_same(found(CROSSED, CROSSED_THETA, deletions), at_once)
        assert len(asked) > 2 and max(asked[1:]) < asked[0]
        parts = len(asked)
        monkeypatch.setattr(held, "INVERSE_NUMBERS", 1)
        assert_same(found(CROSSED, CROSSED_THETA, deletions), at_once)
        assert len(asked) == parts


def test_large_sets_are_formed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    deletions = partition(CROSSED, "labels")
    downdated = found(CROSSED, CROSSED_THETA, deletions)
    monkeypatch.setattr(held, "PASS_FLOPS", 0.0)
    monkeypatch.setattr(held, "OVERHEAD_FLOPS", -1e9)
    monkeypatch.setattr(held, "left_out", None)
    assert_same(found(CROSSED, CROSSED_THETA, deletions), downdated)


def test_unconnected_levels_share_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Crossed factors within each of many schools: as many columns as the largest school has levels."""
    rng = np.random.default_rng(3)
    n, school = 144, np.repeat(np.arange(12), 12)
    a, b = 5 * school + rng.integers(5, size=n), 4 * school + rng.integers(4, size=n)
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    terms = (make_term(a, group="a"), make_term(b, group="b"))
    case = Case(rng.normal(size=n) + rng.normal(size=60)[a], x, terms)
    with sparse_cores():
        plan = case.objective().plan
        rows, columns = Columns(plan).numbers(np.arange(sum(q for q, _ in plan.shapes)))
    assert columns <= 9 and rows > 60
    monkeypatch.setattr(held, "remaining_equations", None)  # nothing is formed anew
    for kind in ("first", "last", "labels"):
        with sparse_cores():
            assert_exact(case, np.array([1.1, 0.7]), kind)


def test_shared_levels_that_do_not_occur_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two rows that go has a level of its own of one factor, and shares that of the other."""
    rng = np.random.default_rng(9)
    a = np.concatenate([[6, 0], np.arange(40) % 6])
    b = np.concatenate([[1, 5], np.where(np.arange(40) % 6 == 0, 0, rng.integers(5, size=40))])
    x = np.column_stack([np.ones(42), rng.normal(size=42)])
    case = Case(rng.normal(size=42), x, (make_term(a, group="a"), make_term(b, group="b")))
    deletions = Deletions(np.where(np.arange(42) < 2, 0, 1 + np.arange(42) % 3), 4)
    touched = touched_levels(case.objective().design.blocks, deletions)
    assert (touched.private_size[0], touched.shared_size[0]) == (2, 2) and not touched.single[0]
    monkeypatch.setattr(held, "remaining_equations", None)
    left, theta = found(case, np.array([1.4, 0.9]), deletions), np.array([1.4, 0.9])
    beta, covariance, sigma = without(case, theta, np.arange(2, 42))
    assert_allclose(left.table.beta[0], beta, rtol=1e-9)
    assert_allclose(left.table.std_error[0], np.sqrt(np.diag(covariance)), rtol=1e-9)
    assert_allclose(left.table.sigma[0], sigma, rtol=1e-10)


@pytest.mark.parametrize("theta", [1e4, 1e5])
def test_huge_variances(theta: float) -> None:
    """What rounding leaves of large differences is computed again."""
    case = make_case("crossed", [[(1, True)], [(1, True)]], p=2, n=60)
    deletions, at = partition(case, "last"), np.array([theta, theta])
    left = found(case, at, deletions)
    for i in range(deletions.count):
        beta, covariance, sigma = without(case, at, np.flatnonzero(deletions.codes != i))
        assert_allclose(left.table.sigma[i], sigma, rtol=1e-5)
        assert_allclose(left.table.beta[i, 1], beta[1], rtol=1e-4, atol=1e-4 * np.sqrt(covariance[1, 1]))


# -- rows that are left do not determine everything -------------------------------------------------------------


def test_coefficients_that_are_not_estimable() -> None:
    """Of three treatments the last occurs in one level only: without it its coefficient is lost, the others stay."""
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(8), 6)
    treatment = np.where(g == 7, 2, np.arange(48) % 2)
    X = np.column_stack([np.ones(48), treatment == 1, treatment == 2, 3 + rng.normal(size=48)]).astype(float)
    case = Case(rng.normal(size=48) + rng.normal(size=8)[g], X, (make_term(g),))
    left = found(case, np.array([0.8]), partition(case, "first"))
    kept = [0, 1, 3]
    beta, covariance, sigma = without(replace(case, X=X[:, kept]), np.array([0.8]), np.flatnonzero(g != 7))
    assert np.isnan(left.table.beta[7, 2]) and np.isnan(left.table.std_error[7, 2])
    assert_allclose(left.table.beta[7, kept], beta, rtol=1e-8)
    assert_allclose(left.table.std_error[7, kept], np.sqrt(np.diag(covariance)), rtol=1e-8)
    assert_allclose(left.table.sigma[7], sigma, rtol=1e-9)
    assert np.isnan([left.cooks[7], left.mdffits[7], left.covratio[7]]).all()
    assert np.isfinite(left.table.beta[:7]).all()


def test_all_coefficients_are_lost_with_their_variable() -> None:
    """A variable that varies in one level only: without it, it is confounded with the intercept."""
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(6), 5)
    X = np.column_stack([np.ones(30), np.where(g == 2, rng.normal(size=30), 4.0)])
    case = Case(rng.normal(size=30) + rng.normal(size=6)[g], X, (make_term(g),))
    left = found(case, np.array([0.5]), partition(case, "first"))
    assert np.isnan(left.table.beta[2]).all() and np.isfinite(left.table.sigma[2])
    _, _, sigma = without(replace(case, X=X[:, :1]), np.array([0.5]), np.flatnonzero(g != 2))
    assert_allclose(left.table.sigma[2], sigma, rtol=1e-9)


def test_no_degree_of_freedom_is_left() -> None:
    case = make_case("one", [[(1, True)]], p=3, n=16)
    codes = np.concatenate([np.zeros(13, dtype=int), np.ones(3, dtype=int)])
    left = found(case, np.array([0.7]), Deletions(codes, 2))
    assert (
        np.isnan(left.table.sigma[0])
        and np.isnan(left.table.std_error[0]).all()
        and np.isfinite(left.table.beta[0]).all()
    )
    assert np.isfinite(left.table.sigma[1])
