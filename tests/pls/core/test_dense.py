"""A dense core against the same matrix written out: its numbers, its order, its panels, and many threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.errors import FactorizationError
from lmmsparse.pls.core import blocked, choose, dense
from lmmsparse.pls.core.choose import choose_core, dense_bytes
from lmmsparse.pls.core.dense import DenseCore, dense_core, equal_work_panels
from lmmsparse.pls.core.graph import CoreGraph
from lmmsparse.pls.couplings import Couplings
from tests.kernels.dense_twins import owners, whole_couplings


class Problem:
    """A core of nodes with one to three rows, pairs of its own, and two factors whose leaves meet some nodes each."""

    def __init__(self, n_nodes: int, n_leaves: int, K: int = 1, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.sizes = rng.integers(1, 4, size=n_nodes).astype(np.int32)
        first, second = np.nonzero(np.tril(rng.random((n_nodes, n_nodes)) < 0.5 / n_nodes, -1))
        self.met = [
            [np.sort(rng.choice(n_nodes, size=rng.integers(min(n_nodes, 4) + 1), replace=False)) for _ in range(leaves)]
            for leaves in (n_leaves, 3)
        ]
        self.graph = CoreGraph(
            self.sizes,
            first.astype(np.int32),
            second.astype(np.int32),
            tuple(
                (
                    np.concatenate([[0], np.cumsum([len(nodes) for nodes in met])]).astype(np.int64),
                    np.concatenate([np.zeros(0), *met]).astype(np.int32),
                )
                for met in self.met
            ),
        )
        self.core = dense_core(self.graph)
        n = self.core.n_rows
        self.couplings = []
        for met in self.met:
            rows = [np.sort(np.concatenate([np.zeros(0, int), *(self.rows(i) for i in nodes)])) for nodes in met]
            indptr = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
            index = np.concatenate([np.zeros(0), *rows]).astype(np.int32)
            self.couplings.append(Couplings(indptr, index, rng.normal(size=(len(index), K))))
        self.own = np.zeros((n, n))
        for i, j in [*zip(first, second, strict=True), *((i, i) for i in range(n_nodes))]:
            self.own[np.ix_(self.rows(i), self.rows(j))] = rng.normal(size=(self.sizes[i], self.sizes[j]))
        self.own = np.tril(self.own + self.own.T) + np.tril(self.own + self.own.T, -1).T
        update = sum(np.einsum("lia,lja->ij", W, W) for W in self.whole())
        self.own += np.diag(1.0 + np.abs(self.own).sum(axis=1) + np.abs(update).sum(axis=1))
        self.matrix = self.own - update
        self.at = np.nonzero(np.tril(self.own))

    def rows(self, node: int) -> np.ndarray:
        return self.core.first_row[node] + np.arange(self.sizes[node])

    def whole(self) -> list[np.ndarray]:
        return [whole_couplings(self.core.n_rows, c.indptr, c.rows, c.w) for c in self.couplings]

    def factorize(self, scale: float = 1.0) -> dense.DenseFactor:
        places = self.core.locate(*(index.astype(np.int64) for index in self.at))
        scaled = [Couplings(c.indptr, c.rows, scale**0.5 * c.w) for c in self.couplings]
        return self.core.factorize(scale * self.own[self.at], places, scaled)


@pytest.mark.parametrize(("n_nodes", "n_leaves", "K"), [(1, 2, 1), (4, 2, 2), (12, 6, 3), (40, 80, 1), (150, 300, 2)])
def test_core(n_nodes: int, n_leaves: int, K: int) -> None:
    problem = Problem(n_nodes, n_leaves, K)
    M, C = problem.matrix, np.linalg.inv(problem.matrix)
    factor = problem.factorize()
    assert factor.logdet == pytest.approx(np.linalg.slogdet(M)[1], rel=1e-12)
    assert_allclose(factor.pivots, np.diag(np.linalg.cholesky(M)), rtol=1e-11)
    right = np.random.default_rng(1).normal(size=(len(M), 3))
    half = factor.forward(right)
    assert_allclose(half.T @ half, right.T @ C @ right, rtol=1e-10, atol=1e-12)
    assert_allclose(factor.backward(half), C @ right, rtol=1e-9, atol=1e-12)

    inverse = factor.inverse()
    assert factor.inverse() is inverse
    rows, columns = np.indices(M.shape)
    assert_allclose(inverse.at(rows.ravel(), columns.ravel()), C.ravel(), rtol=1e-9, atol=1e-13)
    for couplings, W in zip(problem.couplings, problem.whole(), strict=True):
        assert_allclose(inverse.quadratic(couplings), np.einsum("lia,ij,ljb->lab", W, C, W), rtol=1e-9, atol=1e-12)
        CW = np.einsum("ij,lja->lia", C, W)[owners(couplings.indptr), couplings.rows]
        assert_allclose(inverse.times(couplings), CW, rtol=1e-9, atol=1e-12)
    # the factor has not been touched by its inverse
    assert_allclose(factor.forward(right), half, rtol=0)


def test_one_array_holds_the_factor_and_its_inverse() -> None:
    problem = Problem(12, 6)
    factor = problem.factorize()
    n = problem.core.n_rows
    assert np.shares_memory(factor.L, factor.inverse().matrix)
    assert factor.matrix.nbytes == problem.core.bytes == dense_bytes(n) == 8 * n * (n + 1)


def test_a_core_is_factored_again_with_other_numbers() -> None:
    problem = Problem(20, 20)
    first = problem.factorize()
    before = first.logdet
    assert problem.factorize(2.0).logdet == pytest.approx(before + problem.core.n_rows * np.log(2.0), rel=1e-12)
    assert first.logdet == before


def test_indefinite_cores_are_refused() -> None:
    problem = Problem(20, 10)
    places = problem.core.locate(*(index.astype(np.int64) for index in problem.at))
    with pytest.raises(FactorizationError, match="not positive definite"):
        problem.core.factorize(-problem.own[problem.at], places, problem.couplings)


@pytest.mark.parametrize("rows", [30, 500])
def test_the_inverse_may_be_asked_for_by_several_threads(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is computed once, in the array of the factor: nobody may see it half done, nor start it again."""
    calls, inverse = [], blocked.inverse

    def counted(matrix: np.ndarray) -> None:
        calls.append(1)
        inverse(matrix)

    monkeypatch.setattr(blocked, "inverse", counted)
    problem = Problem(rows // 2, 10)
    diagonal, expected = np.arange(problem.core.n_rows), np.diag(np.linalg.inv(problem.matrix))
    for _ in range(5):
        factor = problem.factorize()

        def ask(_: int, factor: dense.DenseFactor = factor) -> np.ndarray:
            return factor.inverse().at(diagonal, diagonal)

        with ThreadPoolExecutor(8) as pool:
            for found in pool.map(ask, range(8)):
                assert_allclose(found, expected, rtol=1e-9)
    assert len(calls) == 5


# -- the order of the rows, and the panels ----------------------------------------------------------------------


def test_nodes_met_by_most_leaves_come_first() -> None:
    """Levels that are often met share cache lines; ties keep their order."""
    nodes = np.array([3, 1, 3, 0, 3, 1], dtype=np.int32)
    cliques = ((np.array([0, 1, 3, 5], dtype=np.int64), nodes[:5]), (np.array([0, 1], dtype=np.int64), nodes[5:]))
    none = np.zeros(0, dtype=np.int32)
    core = dense_core(CoreGraph(np.array([1, 2, 3, 2, 1], dtype=np.int32), none, none, cliques))
    assert core.n_rows == 9
    assert_array_equal(core.first_row, [4, 2, 5, 0, 8])  # 3 (met thrice), 1 (twice), 0, then 2 and 4


def test_locate() -> None:
    """Places are those of the lower triangle of the array in Fortran's order."""
    core = Problem(5, 2).core
    matrix = np.zeros((core.n_rows, core.n_rows + 1), order="F")
    rows, columns = np.tril_indices(core.n_rows)
    matrix.T.reshape(-1)[core.locate(rows, columns)] = rows + 100 * columns
    assert_array_equal(matrix[rows, columns], rows + 100 * columns)
    assert np.count_nonzero(matrix) == len(rows) - 1


@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 100))
def test_panels_take_about_the_same_work(n: int, count: int, seed: int) -> None:
    frequency = np.sort(np.random.default_rng(seed).pareto(1.0, size=n))[::-1]
    panels = equal_work_panels(frequency, count)
    assert panels[0] == 0 and panels[-1] == n and (np.diff(panels) > 0).all() and len(panels) <= count + 1
    assert panels.dtype == np.int64
    work = np.array([f * frequency[s:].sum() + 1.0 for s, f in enumerate(frequency)])
    share = np.add.reduceat(work, panels[:-1])
    assert (share <= work.sum() / count + work.max() + 1e-9 * work.sum()).all()


def test_panels_of_nothing() -> None:
    assert_array_equal(equal_work_panels(np.zeros(5), 1), [0, 5])
    assert len(equal_work_panels(np.zeros(6), 3)) == 4
    none = np.zeros(0, dtype=np.int32)
    assert_array_equal(dense_core(CoreGraph(np.array([2], dtype=np.int32), none, none, ())).panels, [0, 2])


# -- dense or refused -------------------------------------------------------------------------------------------


def test_a_small_core_is_dense() -> None:
    problem = Problem(60, 30)
    assert isinstance(choose_core(problem.graph, np.inf), DenseCore)
    assert choose.SMALL_CORE >= problem.core.n_rows
    none = np.zeros(0, dtype=np.int32)
    assert choose_core(CoreGraph(none, none, none, ()), np.inf) is None


def test_predicted_cost() -> None:
    core = Problem(30, 10).core
    assert core.kind == "dense"
    assert core.flops == core.n_rows**3
    assert core.factor_entries == core.n_rows * (core.n_rows + 1) / 2
