"""Cholesky factor and inverse of a dense core, block by block, against LAPACK on the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import cho_solve, cholesky, solve_triangular

from lmmsparse.errors import FactorizationError
from lmmsparse.kernels import blocked as kernels
from lmmsparse.pls.core import blocked
from tests.kernels.dense_twins import upper

B = blocked.BLOCK
SIZES = [1, 2, B - 1, B, B + 1, 400, 700]


def definite(n: int) -> np.ndarray:
    rng = np.random.default_rng(n)
    root = rng.normal(size=(n, n + 5)) / np.sqrt(n)
    return root @ root.T + np.eye(n)


def stored(M: np.ndarray) -> np.ndarray:
    """M in the lower triangle of an (n, n + 1) array; the rest is not to be read."""
    n = len(M)
    matrix = np.full((n, n + 1), np.nan, order="F")
    matrix[:, :-1][np.tril_indices(n)] = M[np.tril_indices(n)]
    return matrix


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(blocked, "available_threads", lambda: request.param)
    monkeypatch.setattr(blocked, "THREADED_ROWS", 2)
    return int(request.param)


@pytest.mark.parametrize("n", SIZES)
def test_factor_and_inverse(n: int, threads: int) -> None:
    M = definite(n)
    L = cholesky(M, lower=True)
    matrix = stored(M)
    blocked.cholesky(matrix)
    assert_allclose(np.tril(matrix[:, :-1]), L, rtol=1e-11, atol=1e-12)
    before = np.tril(matrix[:, :-1])
    blocked.inverse(matrix)
    assert_array_equal(np.tril(matrix[:, :-1]), before)
    assert_allclose(upper(matrix), cho_solve((L, True), np.eye(n)), rtol=1e-10, atol=1e-12)


def test_threads_give_the_same_digits_every_time(threads: int) -> None:
    first = stored(definite(500))
    blocked.cholesky(first)
    blocked.inverse(first)
    for _ in range(5):
        again = stored(definite(500))
        blocked.cholesky(again)
        blocked.inverse(again)
        assert_array_equal(again, first)


def test_a_core_without_rows() -> None:
    matrix = np.zeros((0, 1), order="F")
    blocked.cholesky(matrix)
    blocked.inverse(matrix)


@pytest.mark.parametrize("bad", [0, B - 1, B, 2 * B + 7])
@pytest.mark.parametrize("value", [-1.0, 0.0, np.nan])
def test_matrices_that_are_not_definite_are_refused(bad: int, value: float, threads: int) -> None:
    M = definite(2 * B + 10)
    M[bad, bad] = value
    with pytest.raises(FactorizationError, match="not positive definite"):
        blocked.cholesky(stored(M))


def test_a_singular_factor_has_no_inverse() -> None:
    matrix = stored(np.eye(B + 3))
    matrix[B + 1, B + 1] = 0.0
    with pytest.raises(FactorizationError, match="singular"):
        blocked.inverse(matrix)


class TestSteps:
    """Each step against its formula; J is in the middle, rows are left out of the ranges on purpose."""

    n, start, stop = 11, 3, 7

    @pytest.fixture
    def matrix(self) -> np.ndarray:
        return np.asfortranarray(np.random.default_rng(0).normal(size=(self.n, self.n + 1)))

    def unchanged(self, new: np.ndarray, old: np.ndarray, *changed: tuple[slice, slice]) -> None:
        same = np.ones(old.shape, dtype=bool)
        for where in changed:
            same[where] = False
        assert_array_equal(new[same], old[same])

    def test_factor_diagonal(self) -> None:
        J, matrix = slice(self.start, self.stop), stored(definite(self.n))
        matrix[:, : self.start] = 0.1
        old = matrix.copy()
        assert kernels.factor_diagonal(matrix, self.start, self.stop) == 0
        schur = definite(self.n)[J, J] - old[J, : self.start] @ old[J, : self.start].T
        assert_allclose(np.tril(matrix[J, J]), np.linalg.cholesky(schur), rtol=1e-12)
        self.unchanged(matrix, old, (J, J))

    def test_factor_diagonal_names_the_minor(self) -> None:
        matrix = stored(np.diag([1.0, 1.0, 1.0, 1.0, -1.0, 1.0]))
        assert kernels.factor_diagonal(matrix, 2, 6) == 3

    def test_subtract_left(self, matrix: np.ndarray) -> None:
        old, R, J = matrix.copy(), slice(8, 10), slice(self.start, self.stop)
        kernels.subtract_left(matrix, self.start, self.stop, R.start, R.stop)
        assert_allclose(matrix[R, J], old[R, J] - old[R, : self.start] @ old[J, : self.start].T, rtol=1e-12)
        self.unchanged(matrix, old, (R, J))

    def test_solve_right(self, matrix: np.ndarray) -> None:
        old, R, J = matrix.copy(), slice(8, 11), slice(self.start, self.stop)
        kernels.solve_right(matrix, self.start, self.stop, R.start, R.stop)
        assert_allclose(matrix[R, J] @ np.tril(old[J, J]).T, old[R, J], rtol=1e-10, atol=1e-12)
        self.unchanged(matrix, old, (R, J))

    def test_nothing_to_do(self, matrix: np.ndarray) -> None:
        old, room = matrix.copy(), np.zeros((4, 4), order="F")
        kernels.subtract_left(matrix, 0, 3, 3, 11)
        kernels.subtract_left(matrix, 3, 7, 8, 8)
        kernels.solve_right(matrix, 3, 7, 8, 8)
        kernels.scale_rows(matrix, 3, 7, room, 9, 9)
        kernels.inverse_columns(matrix, 3, 7, room, 9, 9)
        assert_array_equal(room, 0.0)
        assert_array_equal(matrix, old)

    def test_the_inverse_step_by_step(self, matrix: np.ndarray) -> None:
        """C is known after J; columns in two ranges; the room is higher than J is wide."""
        n, start, stop = self.n, self.start, self.stop
        L = np.linalg.cholesky(definite(n))
        J, R = slice(start, stop), slice(stop, n)
        matrix[:] = np.nan
        matrix[:, :-1][np.tril_indices(n)] = L[np.tril_indices(n)]
        trailing = np.linalg.inv(L[R, R] @ L[R, R].T)
        matrix[R, stop + 1 :] = np.triu(trailing) + np.tril(matrix[R, stop + 1 :], -1)
        room, product = np.full((6, n), np.nan, order="F"), np.full((5, 5), np.nan, order="F")
        assert kernels.invert_diagonal(matrix, start, stop) == 0
        for first, last in ((9, 11), (7, 9)):
            kernels.scale_rows(matrix, start, stop, room, first, last)
        Y = solve_triangular(L[J, J], L[R, J].T, lower=True, trans=1)
        assert_allclose(room[: stop - start, : n - stop], Y, rtol=1e-12)
        kernels.inverse_columns(matrix, start, stop, room, 9, 11)
        kernels.inverse_columns(matrix, start, stop, room, 7, 9)
        assert_allclose(matrix[J, stop + 1 :], -Y @ trailing, rtol=1e-11)
        for first, last in ((9, 11), (7, 9)):
            kernels.row_products(matrix, start, stop, room, first, last, product)
            size, Q = stop - start, slice(first, last)
            expected = Y[:, first - stop : last - stop] @ matrix[J, Q.start + 1 : Q.stop + 1].T
            assert_allclose(product[:size, :size], expected, rtol=1e-10, atol=1e-13)
            kernels.subtract_product(matrix, start, stop, product)
        expected = np.linalg.inv(L[start:, start:] @ L[start:, start:].T)
        assert_allclose(np.triu(matrix[J, start + 1 : stop + 1]), np.triu(expected[: stop - start, : stop - start]))
        assert_array_equal(np.triu(matrix[R, stop + 1 :]), np.triu(trailing))
