"""A sparse core by its interface, against dense algebra."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.errors import FactorizationError, MissingDependencyError
from lmmsparse.pls.core import dense, sparse
from lmmsparse.pls.core.graph import CoreGraph
from lmmsparse.pls.core.sparse import SparseCore, sparse_core
from lmmsparse.pls.couplings import Couplings
from tests.designs import needs_cholmod
from tests.kernels import sparse_twins as twins
from tests.pls.core.test_graph import core_graph, random_graph

pytestmark = needs_cholmod


class Problem:
    """Numbers for a graph: own entries on its pairs and diagonal blocks, couplings of K columns for its leaves."""

    def __init__(self, graph: CoreGraph, K: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        core = sparse_core(graph)
        assert isinstance(core, SparseCore)
        self.core, n = core, core.n_rows
        rows_of = [first + np.arange(size) for first, size in zip(core.first_row, graph.sizes, strict=True)]
        assert_array_equal(np.sort(np.concatenate(rows_of)), np.arange(n))
        own = np.zeros((n, n), dtype=bool)
        for a, b in [*zip(graph.first, graph.second, strict=True), *((v, v) for v in range(len(rows_of)))]:
            own[np.ix_(rows_of[a], rows_of[b])] = own[np.ix_(rows_of[b], rows_of[a])] = True
        self.rows, self.columns = np.nonzero(np.tril(own))
        self.couplings = []
        for indptr, nodes in graph.cliques:
            met = [
                np.sort(np.concatenate([np.zeros(0, int), *(rows_of[v] for v in nodes[a:b])]))
                for a, b in pairwise(indptr)
            ]
            ends = np.concatenate([[0], np.cumsum([len(rows) for rows in met])]).astype(np.int64)
            rows = np.concatenate([np.zeros(0), *met]).astype(np.int32)
            self.couplings.append(Couplings(ends, rows, rng.normal(size=(len(rows), K))))
        update = sum((twins.outer_products(n, c.indptr, c.rows, c.w) for c in self.couplings), np.zeros((n, n)))
        self.own = twins.definite(own, seed) + np.diag(np.abs(update).sum(axis=1))
        self.M = self.own - update

    def factorize(self, own: np.ndarray | None = None) -> sparse.SparseFactor:
        values = (self.own if own is None else own)[self.rows, self.columns]
        return self.core.factorize(values, self.core.locate(self.rows, self.columns), self.couplings)


GRAPHS = {
    "one node": core_graph([2], []),
    "three nodes apart": core_graph([1, 3, 2], []),
    "no couplings": core_graph(4, [(0, 1), (3, 1)], [[], [], []], []),
    "a pair and a leaf": core_graph([2, 1, 1], [(2, 0)], [[0, 1]]),
    "a dense row": core_graph(30, [(7, v) for v in range(30) if v != 7], [[v, 7] for v in range(30) if v != 7]),
    "one leaf meets all": core_graph(25, [], [list(range(25)), [3, 9]]),
    **{f"random {n}": random_graph(n, n)[0] for n in (5, 40, 150)},
}


@pytest.mark.parametrize("K", [1, 2, 3])
@pytest.mark.parametrize("name", GRAPHS)
def test_core(name: str, K: int) -> None:
    problem = Problem(GRAPHS[name], K)
    core, M, C = problem.core, problem.M, np.linalg.inv(problem.M)
    assert core.kind == "sparse"
    factor = problem.factorize()
    L = np.linalg.cholesky(M)
    assert factor.logdet == pytest.approx(np.linalg.slogdet(M)[1], rel=1e-12)
    assert_allclose(factor.pivots, np.diag(L), rtol=1e-11)
    for m in (0, 1, 3):
        right = np.random.default_rng(m).normal(size=(core.n_rows, m))
        kept = right.copy()
        assert_allclose(factor.forward(right), np.linalg.solve(L, right), rtol=1e-9, atol=1e-12)
        assert_allclose(factor.backward(right), np.linalg.solve(L.T, right), rtol=1e-9, atol=1e-12)
        assert_array_equal(right, kept)

    inverse = factor.inverse()
    assert_allclose(inverse.at(problem.rows, problem.columns), C[problem.rows, problem.columns], rtol=1e-9, atol=1e-13)
    assert_array_equal(inverse.at(problem.columns, problem.rows), inverse.at(problem.rows, problem.columns))
    for size in np.unique(GRAPHS[name].sizes):
        first = core.first_row[GRAPHS[name].sizes == size]
        blocks = inverse.blocks(first, int(size))
        expected = [C[a : a + size, a : a + size] for a in first]
        assert_allclose(blocks, expected, rtol=1e-9, atol=1e-13)
    for part in problem.couplings:
        arguments = (C, part.indptr, part.rows, part.w)
        assert_allclose(inverse.quadratic(part), twins.quadratic_forms(*arguments), rtol=1e-9, atol=1e-12)
        assert_allclose(inverse.times(part), twins.times_inverse(*arguments), rtol=1e-9, atol=1e-12)
    assert_allclose(factor.logdet, np.linalg.slogdet(M)[1], rtol=1e-12)  # the inverse has left L alone


def test_what_is_said_of_the_factor() -> None:
    problem = Problem(random_graph(150, 1)[0], 1)
    core, L = problem.core, np.linalg.cholesky(problem.M)
    entries = np.abs(L) > 1e-14
    assert core.factor_entries >= entries.sum()
    assert core.flops >= 3 * (entries.sum(axis=0) ** 2).sum()
    assert core.bytes >= 16 * core.factor_entries
    assert core.bytes <= 120 * core.factor_entries


def test_against_cholmod() -> None:
    cholmod = pytest.importorskip("sksparse.cholmod")
    if hasattr(cholmod, "CholeskyFactor"):
        pytest.skip("only the first interface")
    from scipy.sparse import csc_matrix

    problem = Problem(random_graph(400, 2)[0], 2)
    factor = cholmod.cholesky(csc_matrix(np.tril(problem.M)), ordering_method="natural")
    ours = problem.factorize()
    assert ours.logdet == pytest.approx(factor.logdet(), rel=1e-12)
    right = np.random.default_rng(0).normal(size=(problem.core.n_rows, 2))
    assert_allclose(ours.backward(ours.forward(right)), factor.solve_A(right), rtol=1e-9, atol=1e-12)


def test_a_core_is_factored_again_with_other_numbers() -> None:
    problem = Problem(random_graph(40, 4)[0], 2)
    first = problem.factorize()
    before = first.logdet
    again = problem.factorize(2 * problem.own)
    assert again.logdet == pytest.approx(np.linalg.slogdet(problem.M + problem.own)[1], rel=1e-12)
    assert first.logdet == before


@pytest.mark.parametrize("n", [1, 5, 150])
def test_threads_share_the_leaves(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(random_graph(n, 8)[0], 2)

    def answers() -> list[np.ndarray]:
        factor = problem.factorize()
        inverse = factor.inverse()
        gathered = [f(part) for part in problem.couplings for f in (inverse.quadratic, inverse.times)]
        return [factor.pivots, *gathered]

    alone = answers()
    monkeypatch.setattr(dense, "THREADED_PRODUCTS", 0.0)
    monkeypatch.setattr(dense, "available_threads", lambda: 3)
    for found, expected in zip(answers(), alone, strict=True):
        assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_indefinite_cores_are_refused() -> None:
    problem = Problem(random_graph(40, 5)[0], 1)
    with pytest.raises(FactorizationError, match="not positive definite"):
        problem.factorize(-problem.own)
    with pytest.raises(FactorizationError, match="not positive definite"):
        problem.factorize(np.full_like(problem.own, np.nan))
    with pytest.raises(FactorizationError, match="not positive definite"):
        problem.factorize(np.full_like(problem.own, np.inf))


def test_an_entry_outside_the_pattern_has_no_place() -> None:
    core = sparse_core(core_graph(40, []))
    assert isinstance(core, SparseCore)
    with pytest.raises(IndexError, match="outside the pattern"):
        core.locate(np.array([39]), np.array([0]))


def test_counting_stops_at_the_limit() -> None:
    graph = random_graph(150, 6)[0]
    core = sparse_core(graph)
    assert isinstance(core, SparseCore)
    assert isinstance(sparse_core(graph, core.factor_entries), SparseCore)
    stopped = sparse_core(graph, core.factor_entries - 1)
    assert isinstance(stopped, float) and stopped == core.factor_entries
    early = sparse_core(graph, 200)  # there are more entries in the pattern
    assert isinstance(early, float) and 200 < early <= core.factor_entries


def test_the_better_order_is_taken_where_the_factor_fills(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph(150, 7)[0]
    monkeypatch.setattr(sparse, "MUCH_FILL", 0.0)
    monkeypatch.setattr(sparse, "MANY_FLOPS", 0.0)
    degree = sparse_core(graph)
    monkeypatch.setattr(sparse, "nested_dissection", lambda lower: np.arange(lower.shape[0]))
    kept = sparse_core(graph)  # the order of the levels is worse
    monkeypatch.setattr(sparse, "nested_dissection", lambda lower: None)
    only = sparse_core(graph)
    monkeypatch.setattr(sparse, "minimum_degree", lambda lower: np.arange(lower.shape[0]))
    worse = sparse_core(graph)
    assert all(isinstance(core, SparseCore) for core in (degree, kept, only, worse))
    assert degree.flops <= kept.flops == only.flops < worse.flops  # type: ignore[union-attr]


def test_without_scikit_sparse_there_is_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sksparse", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        sparse_core(core_graph(3, []))
