"""Factor, inverse, solves and updates on panels, against NumPy twins and dense algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.kernels import fronts, sweeps
from lmmsparse.kernels import panels as kernels
from lmmsparse.pls.core.symbolic import Supernodes, eliminate, supernodes
from tests.kernels import sparse_twins as twins
from tests.kernels.sparse_twins import SHAPES, Panels, definite, expanded, neighbours, symmetric_pattern


class Problem:
    """A positive definite matrix in its order of elimination, with the panels of its factor."""

    def __init__(self, shape: str, n: int, largest: int = 3, seed: int = 0) -> None:
        rng = np.random.default_rng([n, seed])
        S, sizes = symmetric_pattern(shape, n, seed), rng.integers(1, largest + 1, n).astype(np.int32)
        found = eliminate(neighbours(S), sizes, rng.permutation(n))
        self.nodes: Supernodes = supernodes(neighbours(S), found)
        self.pattern = expanded(S[np.ix_(found.order, found.order)], found.sizes)
        self.M = definite(self.pattern, seed)
        self.L = np.linalg.cholesky(self.M)
        self.n_rows = len(self.M)
        self.panels = Panels(self.nodes.starts, self.nodes.indptr, self.nodes.below)

    @property
    def tree(self) -> tuple[np.ndarray, ...]:
        nodes = self.nodes
        return nodes.starts, nodes.edges, nodes.indptr, nodes.relative, nodes.last_child, nodes.previous

    @property
    def layout(self) -> tuple[np.ndarray, ...]:
        nodes = self.nodes
        return nodes.starts, nodes.edges, nodes.indptr, nodes.below, nodes.owner

    def factor(self, M: np.ndarray) -> tuple[int, np.ndarray]:
        values = self.panels.pack(M)
        # what lies behind the work space must not be touched
        stack = np.full(self.nodes.stack_entries + 1, 0.5)
        failed = fronts.factor_fronts(values, *self.tree, stack)
        assert stack[-1] == 0.5
        return failed, values

    def leaves(self, K: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Couplings of leaves that meet up to five rows of the pattern's cliques."""
        rng = np.random.default_rng(seed)
        met = []
        for _ in range(int(rng.integers(0, 30))):
            rows: list[int] = []
            for row in rng.permutation(self.n_rows)[: 5 if rng.random() < 0.9 else 0]:
                if all(self.pattern[row, other] for other in rows):
                    rows.append(int(row))
            met.append(np.sort(np.array(rows, dtype=np.int32)))
        indptr = np.concatenate([[0], np.cumsum([len(rows) for rows in met])]).astype(np.int64)
        rows_of_all = np.concatenate([np.zeros(0, np.int32), *met])
        return indptr, rows_of_all, rng.normal(size=(len(rows_of_all), K))


# those of many rows have panels that go to BLAS, the others are done in loops
CASES = pytest.mark.parametrize(
    ("shape", "n"),
    [(shape, n) for shape in SHAPES for n in (1, 2, 3, 40)] + [("dense", 150), ("random", 150), ("star backwards", 90)],
)


@CASES
def test_factor(shape: str, n: int) -> None:
    problem = Problem(shape, n)
    failed, values = problem.factor(problem.M)
    assert failed == -1
    found = problem.panels.unpack(values)
    assert_allclose(found, twins.factor_fronts(problem.panels, problem.M), rtol=1e-10, atol=1e-13)
    assert_allclose(found, problem.L, rtol=1e-10, atol=1e-13)


@CASES
def test_selected_inverse(shape: str, n: int) -> None:
    problem = Problem(shape, n)
    values = problem.panels.pack(problem.L)
    stack, side = np.full(problem.nodes.stack_entries + 1, 0.5), np.full(problem.nodes.side_entries + 1, 0.5)
    assert fronts.invert_fronts(values, *problem.tree, stack, side) == -1
    assert stack[-1] == side[-1] == 0.5
    found, covered = problem.panels.unpack(values), problem.panels.unpack(np.ones(len(values)))
    expected = np.linalg.inv(problem.M) * covered
    assert_allclose(found, twins.invert_fronts(problem.panels, problem.L), rtol=1e-9, atol=1e-13)
    assert_allclose(found, expected, rtol=1e-9, atol=1e-13)
    assert covered[problem.L != 0].all()


@given(shape=st.sampled_from(SHAPES), n=st.integers(1, 60), largest=st.integers(1, 3), seed=st.integers(0, 50))
def test_factor_and_inverse_of_random_graphs(shape: str, n: int, largest: int, seed: int) -> None:
    problem = Problem(shape, n, largest, seed)
    failed, values = problem.factor(problem.M)
    assert failed == -1
    assert_allclose(problem.panels.unpack(values), problem.L, rtol=1e-9, atol=1e-12)
    stack, side = np.empty(problem.nodes.stack_entries + 1), np.empty(problem.nodes.side_entries + 1)
    assert fronts.invert_fronts(values, *problem.tree, stack, side) == -1
    expected = np.linalg.inv(problem.M) * problem.panels.unpack(np.ones(len(values)))
    assert_allclose(problem.panels.unpack(values), expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("value", [-1.0, 0.0, np.nan])
@pytest.mark.parametrize(("shape", "n"), [("sparser", 40), ("diagonal", 9), ("dense", 9), ("dense", 150)])
def test_a_pivot_that_is_not_positive_stops_the_factorization(shape: str, n: int, value: float) -> None:
    problem = Problem(shape, n)
    bad = problem.n_rows // 2
    M = problem.M.copy()
    M[bad, bad] = value
    failed, values = problem.factor(M)
    if np.isnan(value):  # LAPACK may let it pass
        assert failed >= 0 or not np.isfinite(np.diag(problem.panels.unpack(values))).all()
    else:
        assert 0 <= failed <= bad


@CASES
@pytest.mark.parametrize("m", [1, 4, 30])
def test_solves(shape: str, n: int, m: int) -> None:
    problem = Problem(shape, n)
    values, nodes = problem.panels.pack(problem.L), problem.nodes
    right = np.random.default_rng(m).normal(size=(problem.n_rows, m))
    for sweep, matrix in ((sweeps.solve_forward, problem.L), (sweeps.solve_backward, problem.L.T)):
        found, work = right.copy(), np.full(nodes.most_below * m + 1, 0.5)
        sweep(values, nodes.starts, nodes.edges, nodes.indptr, nodes.below, found, work)
        assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-9, atol=1e-12)
        assert work[-1] == 0.5


@CASES
def test_places_of_entries(shape: str, n: int) -> None:
    problem = Problem(shape, n)
    covered = problem.panels.unpack(np.ones(problem.nodes.edges[-1])) != 0
    rows, columns = (index.ravel() for index in np.indices(covered.shape))
    places = np.empty(len(rows), dtype=np.int64)
    kernels.locate(*problem.layout, rows, columns, places)
    assert_array_equal(places >= 0, covered[rows, columns])
    numbered = problem.panels.unpack(np.arange(problem.nodes.edges[-1], dtype=float))
    held = places >= 0
    assert_array_equal(places[held], numbered[rows[held], columns[held]])


@given(shape=st.sampled_from(SHAPES), n=st.integers(1, 40), K=st.integers(1, 4), seed=st.integers(0, 50))
def test_what_the_leaves_take_and_get(shape: str, n: int, K: int, seed: int) -> None:
    problem = Problem(shape, n, seed=seed)
    leaves = problem.leaves(K, seed)
    values = np.zeros(problem.nodes.edges[-1])
    count = len(problem.nodes.previous)
    for begin, end in ((0, count // 2), (count // 2, count)):
        kernels.subtract_outer_products(values, *problem.layout, *leaves, begin, end)
    expected = -np.tril(twins.outer_products(problem.n_rows, *leaves))
    assert_allclose(problem.panels.unpack(values), expected, rtol=1e-12, atol=1e-13)

    C = problem.M * problem.pattern
    panels = problem.panels.pack(C)
    blocks = np.zeros((len(leaves[0]) - 1, K, K))
    kernels.quadratic_forms(panels, *problem.layout, *leaves, blocks)
    assert_allclose(blocks, twins.quadratic_forms(C, *leaves), rtol=1e-11, atol=1e-12)
    products = np.zeros_like(leaves[2])
    kernels.times_inverse(panels, *problem.layout, *leaves, products)
    assert_allclose(products, twins.times_inverse(C, *leaves), rtol=1e-11, atol=1e-12)
