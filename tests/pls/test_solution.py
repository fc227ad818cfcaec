"""What follows from a solution, against V written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from lmmsparse.objective.blocks import entries_of
from lmmsparse.pls.solution import Solution, directions
from tests.designs import ENGINES, Case, Engines, Float, cases_with_theta, generated, working_oracle
from tests.oracle import KEYWORDS, Oracle


def solved(case: Case, theta: Float, engine: Engines) -> tuple[Solution, Oracle, list[Float]]:
    """A solution, the oracle of its model, and its Z a grouping factor, (n, q_g, K_g)."""
    with engine():
        working, oracle = working_oracle(case, theta)
        design = case.objective().design
        solution = working.exact(theta).solution
    Z = [np.eye(block.n_levels)[block.codes][:, :, None] * block.columns[:, None, :] for block in design.blocks]
    return solution, oracle, Z


@pytest.mark.parametrize("engine", ENGINES)
@settings(generated, max_examples=15)
@given(drawn=cases_with_theta())
def test_vectors(engine: Engines, drawn: tuple[Case, Float]) -> None:
    """ZᵀWe = ZᵀPy, ZᵀV⁻¹X and ZᵀV⁻¹Zc, and the normal equations of u."""
    solution, oracle, Z = solved(*drawn, engine)
    rng = np.random.default_rng(0)
    Py = oracle.P @ oracle.y
    for found, z in zip(solution.residual_scores(), Z, strict=True):
        assert_allclose(found, np.einsum("nqk,n->qk", z, Py), rtol=1e-7, atol=1e-8)
    if oracle.X.shape[1]:
        left = oracle.V_inverse @ oracle.X
        for found, z in zip(solution.fixed_scores(), Z, strict=True):
            expected = np.einsum("nqk,np->qkp", z, left)
            assert_allclose(found, expected, rtol=1e-7, atol=1e-8 * max(1.0, np.abs(expected).max()))
    c = [rng.normal(size=(*z.shape[1:], 2)) for z in Z]
    Zc = sum(np.einsum("nqk,qkm->nm", z, part) for z, part in zip(Z, c, strict=True))
    for found, z in zip(solution.projected(c), Z, strict=True):
        expected = np.einsum("nqk,nm->qkm", z, oracle.V_inverse @ Zc)
        assert_allclose(found, expected, rtol=1e-7, atol=1e-8 * max(1.0, np.abs(expected).max()))
    for u, lam, s in zip(solution.u, solution.templates, solution.residual_scores(), strict=True):
        assert_allclose(u, s @ lam, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("kind", KEYWORDS)
@settings(generated, max_examples=10)
@given(st.data())
def test_average_information(kind: str, data: st.DataObject) -> None:
    """With respect to the entries of the request, whatever structure they belong to."""
    case, theta = data.draw(cases_with_theta(kinds=(kind,)))
    for engine in (parameter.values[0] for parameter in ENGINES[:2]):
        solution, oracle, _ = solved(case, theta, engine)
        expected = oracle.support_information
        assert_allclose(solution.information(), expected, rtol=1e-7, atol=1e-8 * max(1.0, np.abs(expected).max()))


@generated
@given(cases_with_theta())
def test_directions(drawn: tuple[Case, Float]) -> None:
    """c_i = (∂Σ/∂Σ_i) s for one entry of Σ, which stands for two off the diagonal."""
    case, _ = drawn
    objective = case.objective()
    rng = np.random.default_rng(1)
    s = [rng.normal(size=shape) for shape in objective.plan.shapes]
    entries = entries_of(objective.blocks)
    found, along = directions(s, entries)
    for i, (g, a, b) in enumerate(zip(*entries, strict=True)):
        unit = np.zeros((s[g].shape[1],) * 2)
        unit[a, b] = unit[b, a] = 1.0
        for h, part in enumerate(found):
            assert_allclose(part[:, :, i], s[g] @ unit if h == g else 0.0, atol=1e-14)
        assert along[i] == pytest.approx((s[g] * (s[g] @ unit)).sum())
