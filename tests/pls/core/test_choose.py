"""The choice between dense and sparse cores keeps to what is faster and to the memory limit."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from lmmsparse.errors import MemoryLimitError, MissingDependencyError
from lmmsparse.estimation.fit import fit
from lmmsparse.pls.core import choose, sparse
from lmmsparse.pls.core.choose import choose_core, dense_bytes
from lmmsparse.pls.core.dense import DenseCore
from lmmsparse.pls.core.graph import CoreGraph
from lmmsparse.pls.core.sparse import SparseCore
from tests.designs import Case, make_term, needs_cholmod
from tests.pls.core.test_graph import core_graph


def chain(n: int = 2000, size: int = 1) -> CoreGraph:
    """Levels that leaves couple to the next."""
    return core_graph(np.full(n, size), [], [[v, v + 1] for v in range(n - 1)])


def random_pairs(n: int, leaves: int) -> CoreGraph:
    """Many leaves of which none is large: how much the factor fills is seen only by counting."""
    rng = np.random.default_rng(0)
    return core_graph(n, [], [list(rng.choice(n, size=2, replace=False)) for _ in range(leaves)])


def test_no_rows_no_core() -> None:
    assert choose_core(core_graph(0, []), np.inf) is None
    assert choose_core(core_graph(0, [], [[], []]), np.inf) is None


def test_small_cores_are_dense() -> None:
    core = choose_core(chain(60), np.inf)
    assert isinstance(core, DenseCore) and core.n_rows == 60


@needs_cholmod
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_large_sparse_core_is_sparse(size: int) -> None:
    core = choose_core(chain(2000, size), np.inf)
    assert isinstance(core, SparseCore) and core.n_rows == 2000 * size
    assert core.factor_entries == 2000 * size * (size + 1) / 2 + 1999 * size**2


def test_a_core_that_one_leaf_fills_is_dense_without_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sksparse", None)
    assert isinstance(choose_core(core_graph(9000, [], [list(range(8000))]), np.inf), DenseCore)


@needs_cholmod
def test_a_core_that_fills_when_it_is_eliminated_is_dense() -> None:
    assert isinstance(choose_core(random_pairs(1000, 20_000), np.inf), DenseCore)


def test_a_core_that_fits_neither_way_is_refused_with_its_bytes() -> None:
    full = core_graph(2000, [], [list(range(1500))])
    with pytest.raises(MemoryLimitError) as caught:
        choose_core(full, 1e6)
    message = str(caught.value)
    needed = float(re.search(r"at least ([\d.e+]+) bytes", message).group(1))  # type: ignore[union-attr]
    assert 1e6 <= needed <= dense_bytes(2000) * 1.001
    assert "the limit is 1e+06 bytes" in message
    assert "memory_limit" in message
    assert isinstance(choose_core(full, 1e8), DenseCore)


@needs_cholmod
def test_what_waits_while_a_sparse_core_is_factored_counts() -> None:
    graph = random_pairs(2000, 2600)
    core = choose_core(graph, np.inf)
    assert isinstance(core, SparseCore)
    assert core.bytes > choose.ENTRY_BYTES * core.factor_entries
    assert isinstance(choose_core(graph, core.bytes), SparseCore)
    limit = (core.bytes + choose.ENTRY_BYTES * core.factor_entries) / 2
    with pytest.raises(MemoryLimitError, match=re.escape(f"at least {core.bytes:.3g} bytes")):
        choose_core(graph, limit)


@needs_cholmod
def test_a_factor_far_above_the_limit_is_ordered_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: object) -> None:
        raise AssertionError("a better order would not help")

    monkeypatch.setattr(sparse, "nested_dissection", never)
    with pytest.raises(MemoryLimitError, match="bytes"):
        choose_core(random_pairs(2000, 6000), 2e6)


class TestWithoutScikitSparse:
    @pytest.fixture(autouse=True)
    def _missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sksparse", None)

    def test_small_sparse_cores_are_factored_densely(self) -> None:
        assert isinstance(choose_core(chain(), np.inf), DenseCore)

    def test_large_ones_say_what_to_install(self) -> None:
        with pytest.raises(MissingDependencyError, match="pip install"):
            choose_core(chain(choose.DENSE_WITHOUT_CHOLMOD + 1), np.inf)

    def test_those_that_do_not_fit_densely_as_well(self) -> None:
        with pytest.raises(MissingDependencyError, match="pip install"):
            choose_core(chain(), 1e7)


class TestFitsWithoutScikitSparse:
    """Dense cores need no CHOLMOD; sparse ones that are not too large are factored densely."""

    def ring(self, levels: int) -> Case:
        """Levels of two factors that meet one after the other: a core that is sparse when it is large."""
        rng = np.random.default_rng(levels)
        a = np.repeat(np.arange(levels), 2)
        b = np.roll(a, 1)
        y = rng.normal(size=levels)[a] + rng.normal(size=levels)[b] + 0.5 * rng.normal(size=2 * levels)
        return Case(y, np.ones((2 * levels, 1)), (make_term(a, None, "a"), make_term(b, None, "b")))

    @needs_cholmod
    def test_small_sparse_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sparse, info = fit(self.ring(800).objective())
        assert info.plan.core.kind == "sparse"
        monkeypatch.setitem(sys.modules, "sksparse", None)
        dense, info = fit(self.ring(800).objective())
        assert info.plan.core.kind == "dense"
        assert dense.criterion == pytest.approx(sparse.criterion, rel=1e-10)

    def test_dense_cores_need_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = fit(self.ring(60).objective())[0].criterion
        monkeypatch.setitem(sys.modules, "sksparse", None)
        estimates, info = fit(self.ring(60).objective())
        assert info.plan.core.kind == "dense"
        assert estimates.criterion == expected

    def test_large_sparse_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sksparse", None)
        with pytest.raises(MissingDependencyError, match="pip install"):
            self.ring(10_000).objective()
