"""Hat values and conditional covariances against matrices written out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from numpy.testing import assert_allclose

from lmmsparse.objective.linear import Objective
from lmmsparse.pls.row_variances import (
    FactorRows,
    RowVariances,
    WorkingRows,
    conditional_covariances,
    inverse_pairs,
    prediction_covariances,
)
from tests.designs import Case, Float, cases_with_theta, generated, make_case, needs_cholmod, sparse_cores
from tests.oracle import Oracle


def assert_leverages(case: Case, theta: Float) -> None:
    objective = case.objective()
    solution = objective.working.exact(objective.to_working(theta))
    found = objective.leverages(solution)
    assert_allclose(found, np.diag(case.oracle(theta).hat), rtol=1e-8, atol=1e-10)
    assert objective.design.X.shape == case.X.shape


@generated
@given(cases_with_theta())
def test_leverages(drawn: tuple[Case, Float]) -> None:
    assert_leverages(*drawn)


@needs_cholmod
@generated
@given(cases_with_theta())
def test_leverages_with_a_sparse_core(drawn: tuple[Case, Float]) -> None:
    with sparse_cores():
        assert_leverages(*drawn)


@generated
@given(cases_with_theta(boundary=True))
def test_leverages_with_empty_variances(drawn: tuple[Case, Float]) -> None:
    assert_leverages(*drawn)


def test_without_random_effects_they_are_those_of_least_squares() -> None:
    case = make_case("crossed", [[(1, True)], [(1, True)]], p=3)
    objective = case.objective()
    found = objective.leverages(objective.working.exact(np.zeros(2)))
    Q, _ = np.linalg.qr(case.X)
    assert_allclose(found, (Q**2).sum(axis=1), rtol=1e-10)


@generated
@given(cases_with_theta())
def test_conditional_covariances(drawn: tuple[Case, Float]) -> None:
    """Λ C Λᵀ of every level does not depend on the coordinates that C is computed in."""
    case, theta = drawn
    objective, oracle = case.objective(), case.oracle(theta)
    solution = objective.working.exact(objective.to_working(theta))
    blocks = conditional_covariances(solution.solution)
    effects = oracle.Lambda @ oracle.conditional_covariance @ oracle.Lambda.T
    start = 0
    for t, term in enumerate(case.terms):
        q, k = len(term.levels), term.columns.shape[1]
        g, where = objective.blocks[t].factor, objective.blocks[t].columns
        to_user = np.linalg.solve(objective.design.coordinates.term_maps[t], solution.templates[g][where, where])
        for level in range(q):
            here = slice(start + level * k, start + (level + 1) * k)
            assert_allclose(
                to_user @ blocks[g][level][where, where] @ to_user.T, effects[here, here], rtol=1e-7, atol=1e-9
            )
        start += q * k


def pairs_by_hand(oracle: Oracle, case: Case, g: int, h: int) -> Float:
    C = oracle.conditional_covariance
    sizes = [len(t.levels) * t.columns.shape[1] for t in case.terms]
    starts = np.cumsum([0, *sizes])
    K_g, K_h = (case.terms[i].columns.shape[1] for i in (g, h))
    rows = starts[g] + case.terms[g].codes[:, None] * K_g + np.arange(K_g)
    columns = starts[h] + case.terms[h].codes[:, None] * K_h + np.arange(K_h)
    return C[rows[:, :, None], columns[:, None, :]]


def assert_pairs(case: Case) -> None:
    """In working coordinates: the oracle gets the working columns."""
    objective = case.objective()
    rng = np.random.default_rng(0)
    theta = rng.uniform(0.2, 1.0, size=case.n_theta)
    solution = objective.working.exact(theta).solution
    inverse = solution.factor.selected_inverse(couplings=True)
    design = objective.design
    terms = tuple(
        type(term)(**{**vars(term), "columns": np.array(block.columns)})
        for term, block in zip(case.terms, design.blocks, strict=True)
    )
    oracle = Case(case.y, design.X, terms, case.weights, case.reml).oracle(theta)
    for g in range(len(terms)):
        for h in range(len(terms)):
            if g != h:
                codes = (design.blocks[g].codes, design.blocks[h].codes)
                found = inverse_pairs(objective.plan, inverse, (g, h), codes)
                assert_allclose(found, pairs_by_hand(oracle, case, g, h), rtol=1e-8, atol=1e-11)


def test_pairs_within_and_between_peeled_factors_and_core() -> None:
    """a in b, both peeled; c and d in the core: all kinds of pairs, in both orders."""
    case = make_case("nested and crossed", [[(2, True)], [(1, True)], [(2, False)]], weighted=True)
    extra = make_case("crossed", [[(1, True)], [(3, True)]], seed=4).terms[1]
    wide = type(case)(case.y, case.X, (*case.terms, type(extra)(**{**vars(extra), "group": "d"})), case.weights)
    for order in ((0, 1, 2, 3), (3, 1, 2, 0), (2, 3, 1, 0)):
        ordered = type(case)(wide.y, wide.X, tuple(wide.terms[i] for i in order), wide.weights)
        plan = ordered.objective().plan
        assert len(plan.peeled) == 2 and len(plan.core.blocks) == 2
        assert_pairs(ordered)


@needs_cholmod
def test_pairs_with_a_sparse_core() -> None:
    with sparse_cores():
        assert_pairs(make_case("nested and crossed", [[(2, True)], [(1, True)], [(2, False)]], weighted=True))
        assert_pairs(make_case("three crossed", [[(1, True)], [(2, True)], [(1, True)]]))


def equations(objective: Objective, theta: Float) -> Float:
    """Inverse of [X ZΛ]ᵀW[X ZΛ] + diag(0, I) in working coordinates: the covariance of (β̂, û − u) over σ²."""
    design, parts = objective.design, []
    for block, lam in zip(design.blocks, objective.working.templates(theta), strict=True):
        indicator = np.eye(block.n_levels)[block.codes]
        parts.append((indicator[:, :, None] * (block.columns @ lam)[:, None, :]).reshape(len(design.X), -1))
    whole = np.hstack([design.X, *parts])
    w = np.ones(len(whole)) if objective.weights is None else objective.weights
    left = whole.T @ (w[:, None] * whole)
    p = design.X.shape[1]
    left[p:, p:] += np.eye(len(left) - p)
    return np.linalg.inv(left)


def assert_row_variances(case: Case, theta: Float) -> None:
    """Rows with any levels, some without one, and with any columns."""
    objective, rng, m = case.objective(), np.random.default_rng(1), 40
    theta = objective.to_working(theta)
    working, design = objective.working, objective.design
    X, factors, z = rng.normal(size=(m, design.X.shape[1])), [], []
    for g, block in enumerate(design.blocks):
        codes = rng.integers(-1, block.n_levels, size=m)
        columns = rng.normal(size=(m, block.columns.shape[1]))
        factors.append(FactorRows(g, codes, columns))
        indicator = np.eye(block.n_levels)[codes] * (codes >= 0)[:, None]
        scaled = columns @ working.templates(theta)[g]
        z.append((indicator[:, :, None] * scaled[:, None, :]).reshape(m, -1))
    rows = np.hstack([X, *z])
    solution, covariance = working.exact(theta).solution, equations(objective, theta)
    found = RowVariances(working.plan, WorkingRows(X, tuple(factors), fitted=False))(solution)
    assert_allclose(found, np.einsum("ma,ab,mb->m", rows, covariance, rows), rtol=1e-7, atol=1e-12)
    start = X.shape[1]
    for blocks in prediction_covariances(solution):
        for block in blocks:
            here = slice(start, start + len(block))
            assert_allclose(block, covariance[here, here], rtol=1e-7, atol=1e-10)
            start = here.stop


@generated
@given(cases_with_theta(boundary=True))
def test_variances_of_any_rows(drawn: tuple[Case, Float]) -> None:
    assert_row_variances(*drawn)


@needs_cholmod
@generated
@given(cases_with_theta())
def test_variances_of_any_rows_with_a_sparse_core(drawn: tuple[Case, Float]) -> None:
    with sparse_cores():
        assert_row_variances(*drawn)
