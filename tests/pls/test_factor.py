"""Factorization, solves, products and selected inverse against the matrix M = ΛᵀZᵀWZΛ + I written out."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.errors import FactorizationError
from lmmsparse.frame.grouping import Levels
from lmmsparse.objective.linear import Objective
from lmmsparse.pls.core.dense import DenseCore
from lmmsparse.pls.core.sparse import SparseCore
from lmmsparse.pls.factor import Factor, multiply
from lmmsparse.pls.values import lay_out
from tests.designs import Case, Float, cases_with_theta, generated, make_case, needs_cholmod, sparse_cores
from tests.kernels.dense_twins import owners


class Dense:
    """The same matrices, written out; vectors are those of all factors, one below the other."""

    def __init__(self, objective: Objective, theta: Float) -> None:
        design, working = objective.design, objective.working
        self.shapes = [d.shape[:2] for d in working.products.diagonal]
        self.starts = np.cumsum([0, *(q * K for q, K in self.shapes)])
        Z, Lambda = [], []
        for block, template in zip(design.blocks, working.templates(theta), strict=True):
            indicator = np.eye(block.n_levels)[block.codes]
            Z.append((indicator[:, :, None] * block.columns[:, None, :]).reshape(len(indicator), -1))
            Lambda.append(np.kron(np.eye(block.n_levels), template))
        W = np.eye(len(design.X)) if objective.weights is None else np.diag(objective.weights)
        self.A = np.hstack(Z).T @ W @ np.hstack(Z)
        Lam = np.zeros_like(self.A)
        for start, part in zip(self.starts, Lambda, strict=False):
            Lam[start : start + len(part), start : start + len(part)] = part
        self.M = Lam.T @ self.A @ Lam + np.eye(len(Lam))
        self.C = np.linalg.inv(self.M)

    def split(self, matrix: Float) -> list[Float]:
        return [
            matrix[start : start + q * K].reshape(q, K, -1)
            for start, (q, K) in zip(self.starts, self.shapes, strict=False)
        ]

    def block(self, g: int, level: int) -> slice:
        K = self.shapes[g][1]
        return slice(self.starts[g] + level * K, self.starts[g] + (level + 1) * K)


def joined(vectors: list[Float]) -> Float:
    return np.concatenate([v.reshape(-1, v.shape[2]) for v in vectors])


def check(case: Case, theta: Float, kind: type) -> None:
    objective = case.objective()
    working, plan = objective.working, objective.plan
    assert plan.core.matrix is None or isinstance(plan.core.matrix, kind)
    dense = Dense(objective, theta)
    before = [d.copy() for d in lay_out(working.plan, working.products).diagonal]
    factor = Factor(plan, lay_out(working.plan, working.products), working.templates(theta))

    assert factor.logdet == pytest.approx(np.linalg.slogdet(dense.M)[1], rel=1e-11, abs=1e-11)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(plan.q, 2)), rng.normal(size=(plan.q, 2))
    half_a, half_b = factor.forward(dense.split(a)), factor.forward(dense.split(b))
    assert_allclose(joined(half_a).T @ joined(half_b), a.T @ dense.C @ b, rtol=1e-9, atol=1e-10)
    assert_allclose(joined(factor.backward(half_b)), dense.C @ b, rtol=1e-9, atol=1e-10)
    assert_allclose(
        joined(multiply(plan, lay_out(working.plan, working.products), dense.split(a))),
        dense.A @ a,
        rtol=1e-10,
        atol=1e-8,
    )

    inverse = factor.selected_inverse(couplings=True)
    for g, blocks in enumerate(inverse.diagonal):
        for level, found in enumerate(blocks):
            here = dense.block(g, level)
            assert_allclose(found, dense.C[here, here], rtol=1e-8, atol=1e-11)
    core_index = np.empty(plan.core.size, dtype=int)
    for h in plan.core.blocks:
        core_index[plan.core.rows(h, dense.shapes[h][1])] = np.arange(dense.starts[h], dense.starts[h + 1])
    for i, part in enumerate(plan.peeled):
        entries = inverse.entries[i]
        if plan.core.matrix is None:
            assert entries is None and len(part.rows) == 0
        else:
            assert entries is not None
            for row, leaf, found in zip(part.rows, owners(part.indptr), entries, strict=True):
                assert_allclose(found, dense.C[core_index[row], dense.block(part.block, leaf)], rtol=1e-8, atol=1e-11)
        for j, parent in part.parents.items():
            for leaf, found in enumerate(inverse.parents[i][j]):
                rows = dense.block(plan.peeled[j].block, parent[leaf])
                assert_allclose(found, dense.C[rows, dense.block(part.block, leaf)], rtol=1e-8, atol=1e-11)
    for found, expected in zip(factor.selected_inverse().diagonal, inverse.diagonal, strict=True):
        assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    for now, then in zip(lay_out(working.plan, working.products).diagonal, before, strict=True):
        assert_array_equal(now, then)


@generated
@given(cases_with_theta())
def test_with_a_dense_core(drawn: tuple[Case, Float]) -> None:
    check(*drawn, DenseCore)


@needs_cholmod
@generated
@given(cases_with_theta())
def test_with_a_sparse_core(drawn: tuple[Case, Float]) -> None:
    with sparse_cores():
        check(*drawn, SparseCore)


@generated
@given(cases_with_theta(boundary=True))
def test_with_empty_variances(drawn: tuple[Case, Float]) -> None:
    check(*drawn, DenseCore)


@needs_cholmod
def test_products_that_cancel_exactly() -> None:
    """A balanced design with a ±1 slope: couplings of intercepts and slopes are exact zeros at every θ."""
    a, b = (index.ravel() for index in np.meshgrid(np.arange(6), np.arange(4), indexing="ij"))
    a, b, sign = np.repeat(a, 2), np.repeat(b, 2), np.tile([-1.0, 1.0], 24)
    rng = np.random.default_rng(0)
    case = make_case("crossed", [[(2, True)], [(2, True)]], n=48)
    columns = np.column_stack([np.ones(48), sign])
    terms = tuple(
        type(term)(
            **{
                **vars(term),
                "codes": codes.astype(np.int32),
                "labels": Levels(term.levels[: codes.max() + 1]),
                "columns": columns,
            }
        )
        for term, codes in zip(case.terms, (a, b), strict=True)
    )
    balanced = Case(rng.normal(size=48), columns, terms)
    with sparse_cores():
        check(balanced, np.array([0.7, 0.0, 0.4, 1.1, 0.0, 0.2]), SparseCore)
        check(balanced, np.array([0.7, 0.3, 0.4, 1.1, -0.5, 0.2]), SparseCore)


def exact_logdet(A: Float, theta: float) -> float:
    """log|θ²A + I| by elimination in rational numbers."""
    M = [[Fraction(float(a)) * Fraction(theta) ** 2 for a in row] for row in A]
    total = 0.0
    for i in range(len(M)):
        M[i][i] += 1
    for k in range(len(M)):
        total += math.log(M[k][k].numerator) - math.log(M[k][k].denominator)
        for i in range(k + 1, len(M)):
            if M[i][k]:
                ratio = M[i][k] / M[k][k]
                M[i] = [a - ratio * b for a, b in zip(M[i], M[k], strict=True)]
    return total


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("layout", ["one", "crossed", "nested", "partly crossed"])
@pytest.mark.parametrize("theta", [1e2, 1e5, 1e7, 3e7, 1e8, 1e9, 1e10, 1e12])
def test_a_large_theta_is_right_or_refused(layout: str, theta: float) -> None:
    """The intercepts of two factors are collinear: only I keeps M from being singular, and rounding may lose it."""
    objective = make_case(layout, [[(1, True)], [(1, True)]]).objective()
    working = objective.working
    counts = np.round(Dense(objective, np.ones(len(working.structures))).A)
    try:
        found = Factor(
            working.plan, lay_out(working.plan, working.products), [np.full((1, 1), theta)] * len(working.structures)
        ).logdet
    except FactorizationError:
        assert layout != "one" and theta > 1e4
        return
    assert found == pytest.approx(exact_logdet(counts, theta), abs=0.05)


def test_vectors_are_left_alone_and_may_be_of_any_order() -> None:
    """Fortran order, strides, read-only: the solves take what they are given and write to nothing of it."""
    objective = make_case("nested and crossed", [[(2, True)], [(1, True)], [(2, True)]]).objective()
    working, theta = objective.working, np.array([0.5, 0.1, 0.6, 0.7, 0.3, -0.2, 0.4])
    factor = Factor(working.plan, lay_out(working.plan, working.products), working.templates(theta))
    rng = np.random.default_rng(0)
    plain = [rng.normal(size=(q, K, 3)) for q, K in working.plan.shapes]

    def odd() -> list[Float]:
        wide = [np.repeat(part, 2, axis=2)[:, :, ::2] for part in plain]
        wide[0] = np.asfortranarray(plain[0])
        for part in wide:
            part.flags.writeable = False
        return wide

    for function in (
        factor.forward,
        factor.backward,
        lambda c: multiply(working.plan, lay_out(working.plan, working.products), c),
    ):
        given_, expected = odd(), function([part.copy() for part in plain])
        for found, wanted, before, now in zip(function(given_), expected, plain, given_, strict=True):
            assert_allclose(found, wanted, rtol=1e-13, atol=1e-13)
            assert_array_equal(now, before)


def test_templates_of_any_order() -> None:
    working = make_case("crossed", [[(2, True)], [(3, True)]]).objective().working
    templates = working.templates(np.linspace(0.1, 1.0, 9))
    expected = Factor(working.plan, lay_out(working.plan, working.products), templates).logdet
    turned = [np.asfortranarray(lam) for lam in templates]
    assert Factor(working.plan, lay_out(working.plan, working.products), turned).logdet == expected
