"""Dense and sparse cores answer alike, and the choice between them keeps to the memory limit."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csc_array

from lmmsparse.errors import FactorizationError, MemoryLimitError, MissingDependencyError
from lmmsparse.pls import cores
from lmmsparse.pls.cores import DenseCore, SparseCore, choose_core
from tests.designs import needs_cholmod, sparse_cores
from tests.pls.test_selected import definite

Pair = tuple[np.ndarray, np.ndarray]


class Problem:
    """A core with entries of its own and two peeled factors whose leaves meet up to three rows each."""

    def __init__(self, size: int, n_leaves: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        S = rng.random((size, size)) < 0.5 / size
        S = S | S.T | np.eye(size, dtype=bool)
        self.size, self.own = size, definite(S, seed)
        self.rows, self.columns = (index.astype(np.int64) for index in np.nonzero(np.tril(S)))
        # the pairs of a core may be given in either triangle
        swap = rng.random(len(self.rows)) < 0.5
        self.rows, self.columns = np.where(swap, self.columns, self.rows), np.where(swap, self.rows, self.columns)
        self.updates, self.leaves = [], []
        for _ in range(2):
            met = [np.sort(rng.choice(size, size=rng.integers(1, 4), replace=False)) for _ in range(n_leaves)]
            indptr = np.concatenate([[0], np.cumsum([len(r) for r in met])]).astype(np.int32)
            indices = np.concatenate(met).astype(np.int32)
            self.leaves.append((indptr, indices))
            self.updates.append(csc_array((rng.normal(size=len(indices)), indices, indptr), shape=(size, n_leaves)))
        update = sum((w @ w.T).toarray() for w in self.updates)
        self.own += np.diag(np.abs(update).sum(axis=1))
        self.matrix = self.own - update

    def choose(self, limit: float = np.inf) -> DenseCore | SparseCore | None:
        return choose_core(self.size, self.rows, self.columns, self.leaves, limit)

    @property
    def values(self) -> np.ndarray:
        return self.own[self.rows, self.columns]


@pytest.fixture(params=["dense", pytest.param("sparse", marks=needs_cholmod)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def core_of(problem: Problem, kind: str) -> DenseCore | SparseCore:
    if kind == "dense":
        core = problem.choose()
    else:
        with sparse_cores():
            core = problem.choose()
    assert core is not None and core.shape.kind == kind
    return core


# CHOLMOD goes from simplicial to supernodal, which stores more zeros, between these sizes
@pytest.mark.parametrize(("size", "n_leaves"), [(4, 2), (12, 6), (60, 30), (300, 500)])
def test_core(kind: str, size: int, n_leaves: int) -> None:
    problem = Problem(size, n_leaves, seed=size)
    M, inverse = problem.matrix, np.linalg.inv(problem.matrix)
    factor = core_of(problem, kind).factorize(problem.values, problem.updates)
    assert factor.logdet == pytest.approx(np.linalg.slogdet(M)[1], rel=1e-12)
    right = np.random.default_rng(1).normal(size=(problem.size, 3))
    half = factor.forward(right)
    assert_allclose(half.T @ half, right.T @ inverse @ right, rtol=1e-10, atol=1e-12)
    assert_allclose(factor.backward(half), inverse @ right, rtol=1e-9, atol=1e-12)

    selected = factor.inverse()
    assert_allclose(selected.at(problem.rows, problem.columns), inverse[problem.rows, problem.columns], atol=1e-12)
    for w in problem.updates:
        dense = w.toarray()
        expected = (inverse @ dense)[w.indices, np.repeat(np.arange(w.shape[1]), np.diff(w.indptr))]
        assert_allclose(selected.times(w), expected, rtol=1e-9, atol=1e-12)


def test_products_in_chunks_are_the_products(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(30, 25, seed=3)
    selected = core_of(problem, kind).factorize(problem.values, problem.updates).inverse()
    whole = [selected.times(w) for w in problem.updates]
    monkeypatch.setattr(cores, "CHUNK_NUMBERS", 100)
    for w, expected in zip(problem.updates, whole, strict=True):
        assert_allclose(selected.times(w), expected, rtol=1e-13)


def test_a_core_is_factored_again_with_other_numbers(kind: str) -> None:
    problem = Problem(40, 20, seed=4)
    core = core_of(problem, kind)
    first = core.factorize(problem.values, problem.updates)
    expected = first.logdet
    doubled = core.factorize(2 * problem.values, [2**0.5 * w for w in problem.updates])
    assert doubled.logdet == pytest.approx(expected + 40 * np.log(2), rel=1e-12)
    assert first.logdet == expected


def test_updates_that_cancel_leave_the_pattern_whole(kind: str) -> None:
    """±1 columns: products of the couplings are exact zeros, which a sparse product drops."""
    indptr, indices = np.array([0, 2, 4, 6], dtype=np.int32), np.array([0, 1, 0, 1, 1, 2], dtype=np.int32)
    signs = np.array([1.0, 1.0, 1.0, -1.0, 1.0, 1.0])
    rows = columns = np.arange(3)

    def core() -> DenseCore | SparseCore | None:
        return choose_core(3, rows, columns, [(indptr, indices)], np.inf)

    if kind == "sparse":
        with sparse_cores():
            chosen = core()
    else:
        chosen = core()
    assert chosen is not None and chosen.shape.kind == kind
    for data in (signs, np.ones(6), signs, np.zeros(6)):
        w = csc_array((data, indices, indptr), shape=(3, 3))
        M = 9 * np.eye(3) - (w @ w.T).toarray()
        factor = chosen.factorize(np.full(3, 9.0), [w])
        assert factor.logdet == pytest.approx(np.linalg.slogdet(M)[1], rel=1e-13)
        selected, inverse = factor.inverse(), np.linalg.inv(M)
        where = (np.array([0, 1, 1, 2]), np.array([1, 1, 2, 2]))
        assert_allclose(selected.at(*where), inverse[where], atol=1e-15)


def test_indefinite_cores_are_refused(kind: str) -> None:
    problem = Problem(20, 10, seed=5)
    with pytest.raises(FactorizationError, match="not positive definite"):
        core_of(problem, kind).factorize(-problem.values, problem.updates)


def big(size: int = 2000) -> Problem:
    problem = object.__new__(Problem)
    problem.size, problem.rows, problem.columns = size, np.arange(size), np.arange(size)
    pairs = np.stack([np.arange(size - 1), np.arange(1, size)], axis=1).astype(np.int32)  # a chain of pairs
    problem.leaves = [(np.arange(0, 2 * size - 1, 2, dtype=np.int32), pairs.ravel())]
    return problem


def test_choice_of_the_core() -> None:
    assert choose_core(0, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), [], np.inf) is None
    assert Problem(60, 30, 0).choose().shape.kind == "dense"  # type: ignore[union-attr]


@needs_cholmod
def test_a_large_sparse_core_is_sparse_and_a_full_one_dense() -> None:
    core = big().choose()
    assert isinstance(core, SparseCore)
    assert core.shape.factor_entries == 2 * 2000 - 1
    full = big(1000)
    full.leaves = [(np.array([0, 1000], dtype=np.int32), np.arange(1000, dtype=np.int32))]
    assert isinstance(full.choose(), DenseCore)
    # filled by many leaves of which none is large: seen only by counting
    rng = np.random.default_rng(0)
    pairs = np.sort(np.stack([rng.choice(1000, size=2, replace=False) for _ in range(20_000)]), axis=1)
    full.leaves = [(np.arange(0, 40_001, 2, dtype=np.int32), pairs.ravel().astype(np.int32))]
    assert isinstance(full.choose(), DenseCore)


def test_a_core_that_fits_neither_way_is_refused_with_its_bytes() -> None:
    problem = big()
    problem.leaves = [(np.array([0, 1500], dtype=np.int32), np.arange(1500, dtype=np.int32))]
    with pytest.raises(MemoryLimitError) as caught:
        problem.choose(limit=1e6)
    message = str(caught.value)
    needed = float(re.search(r"at least ([\d.e+]+) bytes", message).group(1))  # type: ignore[union-attr]
    assert 8 * 1500**2 / 2 <= needed <= 8 * 2 * 2000**2
    assert "the limit is 1e+06 bytes" in message
    assert "memory_limit" in message
    assert isinstance(problem.choose(limit=1e8), DenseCore)


class TestWithoutScikitSparse:
    @pytest.fixture(autouse=True)
    def _missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sksparse", None)

    def test_small_sparse_cores_are_factored_densely(self) -> None:
        assert isinstance(big().choose(), DenseCore)

    def test_large_ones_say_what_to_install(self) -> None:
        with pytest.raises(MissingDependencyError, match="pip install"):
            big(cores.DENSE_WITHOUT_CHOLMOD + 1).choose()

    def test_those_that_do_not_fit_densely_as_well(self) -> None:
        with pytest.raises(MissingDependencyError, match="pip install"):
            big().choose(limit=1e7)


@needs_cholmod
def test_more_entries_than_cholmod_can_count_are_a_matter_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """CHOLMOD's analysis of a supernodal factor stops where 32-bit integers overflow."""
    cholmod = pytest.importorskip("sksparse.cholmod")
    modern = hasattr(cholmod, "CholeskyFactor")
    name, error = ("CholeskyFactor", "CholmodOverflowError") if modern else ("analyze", "CholmodTooLargeError")
    analyse = getattr(cholmod, name)

    def too_large(*arguments: Any, **options: Any) -> Any:
        if "simplicial" in options.values():
            return analyse(*arguments, **options)
        raise getattr(cholmod, error)("problem too large")

    monkeypatch.setattr(cholmod, name, too_large)
    problem = big()
    rng = np.random.default_rng(0)
    pairs = np.sort(np.stack([rng.choice(2000, size=2, replace=False) for _ in range(6000)]), axis=1)
    problem.leaves = [(np.arange(0, 12_001, 2, dtype=np.int32), pairs.ravel().astype(np.int32))]
    with pytest.raises(MemoryLimitError, match="bytes"):
        problem.choose(limit=5e6)
