"""Updates of a dense core and products with its inverse against their twins, whole and cut into panels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.kernels import core
from lmmsparse.pls.core import dense
from lmmsparse.pls.couplings import Couplings
from tests.kernels import dense_twins as twins
from tests.kernels.dense_twins import assert_alike


class Problem:
    """A core of n rows and q leaves of K columns; some leaves meet no row, and one meets all."""

    def __init__(self, n: int, q: int, K: int) -> None:
        rng = np.random.default_rng(100 * n + 10 * q + K)
        counts = rng.integers(min(n, 5) + 1, size=q)
        if q:
            counts[-1] = n
            counts[0] = 0
        self.n, self.q = n, q
        self.indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        met = [np.sort(rng.choice(n, size=count, replace=False)) for count in counts]
        self.rows = np.concatenate([np.zeros(0), *met]).astype(np.int32)
        self.w = rng.normal(size=(len(self.rows), K))
        self.matrix = np.asfortranarray(rng.normal(size=(n, n + 1)))
        self.out = rng.normal(size=(q, K, K))
        self.edges = {
            "one panel": [0, n],
            "single columns": list(range(n + 1)),
            "a few": sorted({0, n // 3, n // 2, n}),
            "not the first nor the last": [n // 4, n // 2, n - n // 4],
            "an empty one": [0, n // 2, n // 2, n],
        }


@pytest.fixture(params=[(9, 6, 1), (9, 6, 2), (8, 5, 3), (7, 4, 4), (1, 3, 2), (5, 0, 1), (30, 40, 1)], ids=str)
def made(request: pytest.FixtureRequest) -> Problem:
    return Problem(*request.param)


def test_subtract_outer_products(made: Problem) -> None:
    for edges in made.edges.values():
        arguments = (made.matrix, made.indptr, made.rows, made.w, np.array(edges))
        assert_alike(core.subtract_outer_products, twins.subtract_outer_products, *arguments, out=(0,))


def test_quadratic_forms(made: Problem) -> None:
    for edges in made.edges.values():
        arguments = (made.matrix, made.indptr, made.rows, made.w, np.array(edges), made.out)
        assert_alike(core.quadratic_forms, twins.quadratic_forms, *arguments)


def test_times_inverse(made: Problem) -> None:
    out = np.full_like(made.w, np.nan)
    assert_alike(core.times_inverse, twins.times_inverse, made.matrix, made.indptr, made.rows, made.w, out)


def test_panels_add_up(made: Problem) -> None:
    """A panel at a time, in any order, gives what all columns give at once."""
    for edges in made.edges.values():
        first, last = edges[0], edges[-1]
        whole, parts = made.matrix.copy(order="F"), made.matrix.copy(order="F")
        forms, sums = made.out.copy(), made.out.copy()
        core.subtract_outer_products(whole, made.indptr, made.rows, made.w, np.array([first, last]))
        core.quadratic_forms(made.matrix, made.indptr, made.rows, made.w, np.array([first, last]), forms)
        for pair in reversed(list(pairwise(edges))):
            core.subtract_outer_products(parts, made.indptr, made.rows, made.w, np.array(pair))
            core.quadratic_forms(made.matrix, made.indptr, made.rows, made.w, np.array(pair), sums)
        assert_array_equal(parts, whole)
        assert_allclose(sums, forms, rtol=1e-12, atol=1e-12)


def test_the_other_triangle_is_left_alone(made: Problem) -> None:
    updated = made.matrix.copy(order="F")
    core.subtract_outer_products(updated, made.indptr, made.rows, made.w, np.array([0, made.n]))
    assert_array_equal(np.triu(updated[:, 1:]), np.triu(made.matrix[:, 1:]))


@pytest.mark.parametrize("K", [1, 2, 3])
def test_two_threads_do_what_one_does(K: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Problem(60, 80, K)
    couplings = Couplings(made.indptr, made.rows, made.w)
    panels = np.arange(0, 61, 6)
    matrix = np.asfortranarray(1e3 * np.eye(60, 61))
    places = np.arange(60) * 61
    factors, forms = [], []
    for threads in (1, 2, 3, 50):
        monkeypatch.setattr(dense, "available_threads", lambda threads=threads: threads)
        monkeypatch.setattr(dense, "THREADED_PRODUCTS", 0.0)
        whole = dense.DenseCore(60, np.arange(60), panels)
        factors.append(whole.factorize(np.full(60, 1e3), places, [couplings, couplings]).L)
        forms.append(dense.DenseInverse(np.asfortranarray(made.matrix), panels).quadratic(couplings))
    for L, form in zip(factors[1:], forms[1:], strict=True):
        assert_allclose(np.tril(L), np.tril(factors[0]), rtol=1e-12, atol=1e-14)
        assert_allclose(form, forms[0], rtol=1e-11, atol=1e-11)
    W = twins.whole_couplings(60, made.indptr, made.rows, made.w)
    expected = matrix[:, :-1] - 2 * np.einsum("lia,lja->ij", W, W)
    assert_allclose(np.tril(factors[0]) @ np.tril(factors[0]).T, expected, rtol=1e-11, atol=1e-9)
