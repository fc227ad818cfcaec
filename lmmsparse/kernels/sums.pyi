from typing import Any

import numpy as np
from numpy.typing import NDArray

_Float = NDArray[np.float64]
_Codes = NDArray[np.signedinteger[Any]]

def level_products(
    codes: _Codes, columns: _Float, weights: _Float | None, X: _Float, y: _Float, diagonal: _Float, rhs: _Float
) -> None: ...
def right_products(codes: _Codes, columns: _Float, right: _Float, out: _Float) -> None: ...
def rows_by_level(codes: _Codes, n_levels: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...
def rows_by_pair(
    codes: _Codes,
    order: NDArray[np.int32],
    starts: NDArray[np.int64],
    indptr: NDArray[np.int64],
    second: NDArray[np.int32],
    rows: NDArray[np.int32] | None,
) -> None: ...
def count_pairs(indptr: NDArray[np.int64], second: NDArray[np.int32]) -> int: ...
def pair_products(
    indptr: NDArray[np.int64],
    second: NDArray[np.int32],
    rows: NDArray[np.int32] | None,
    left: _Float,
    right: _Float,
    weights: _Float | None,
    pair_first: NDArray[np.int32],
    pair_second: NDArray[np.int32],
    values: _Float,
) -> None: ...
