"""Blocked Cholesky factorization and inverse of a dense core, with threads of our own around single-threaded BLAS.

The threads of a BLAS library spin while they wait for each other: on a machine whose processors are shared this costs
more than the second thread gains.  Threads that sleep do not, and they need no more than a barrier a block.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import FactorizationError
from lmmsparse.kernels import blocked as kernels
from lmmsparse.numerics.threads import available_threads, single_threaded_blas

Float = NDArray[np.float64]

BLOCK = 192
# Matrices below so many rows are not worth a second thread.
THREADED_ROWS = 400


class Team:
    """Threads that share the ranges of one step; the caller is one of them."""

    def __init__(self, n: int) -> None:
        self.size = available_threads() if n >= THREADED_ROWS else 1
        self._pool = ThreadPoolExecutor(self.size - 1) if self.size > 1 else None

        self._limit = single_threaded_blas() if self.size > 1 else nullcontext()

    def __enter__(self) -> Team:
        self._limit.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._limit.__exit__(None, None, None)
        if self._pool is not None:
            self._pool.shutdown()

    def share(self, task: Callable[[int, int], object], first: int, last: int) -> None:
        """Run a task on first … last−1, a range for each thread."""
        if self._pool is None or last - first < 2 * self.size:
            task(first, last)
            return
        cuts = [first + (last - first) * i // self.size for i in range(self.size + 1)]
        waiting = [self._pool.submit(task, a, b) for a, b in pairwise(cuts[1:])]
        task(cuts[0], cuts[1])
        for future in waiting:
            future.result()


def cholesky(matrix: Float) -> None:
    """L in place of the lower triangle of the first n columns of an (n, n + 1) array, Fortran order."""
    n = len(matrix)
    with Team(n) as team:
        for start in range(0, n, BLOCK):
            stop = min(start + BLOCK, n)
            if kernels.factor_diagonal(matrix, start, stop):
                raise FactorizationError("the dense core of M(theta) is not positive definite; is theta finite?")

            def below(first: int, last: int, block: tuple[int, int] = (start, stop)) -> None:
                kernels.subtract_left(matrix, *block, first, last)
                kernels.solve_right(matrix, *block, first, last)

            team.share(below, stop, n)


def inverse(matrix: Float) -> None:
    """C = (L Lᵀ)⁻¹ in the upper triangle of the last n columns of the array that holds L.

    From the last block J to the first, R being the rows after J: C_RJ = −C_RR L_RJ L_JJ⁻¹ and
    C_JJ = L_JJ⁻ᵀ L_JJ⁻¹ − (L_RJ L_JJ⁻¹)ᵀ C_RJ.
    """
    n = len(matrix)
    scaled = np.empty((min(BLOCK, n), n), order="F")
    with Team(n) as team:
        for start in reversed(range(0, n, BLOCK)):
            stop = min(start + BLOCK, n)
            if kernels.invert_diagonal(matrix, start, stop):
                raise FactorizationError("the dense core of M(theta) is singular to working precision")
            products: dict[int, Float] = {}

            def scale(first: int, last: int, block: tuple[int, int] = (start, stop)) -> None:
                kernels.scale_rows(matrix, *block, scaled, first, last)

            def columns(
                first: int, last: int, block: tuple[int, int] = (start, stop), products: dict[int, Float] = products
            ) -> None:
                kernels.inverse_columns(matrix, *block, scaled, first, last)
                product = np.empty((len(scaled), len(scaled)), order="F")
                kernels.row_products(matrix, *block, scaled, first, last, product)
                products[first] = product

            if stop < n:
                team.share(scale, stop, n)
                team.share(columns, stop, n)
            for first in sorted(products):  # whichever thread was done first, the sum is the same to the last digit
                kernels.subtract_product(matrix, start, stop, products[first])
