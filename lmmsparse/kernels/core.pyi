import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Index = NDArray[np.int32]
Pointer = NDArray[np.int64]

def subtract_outer_products(matrix: Float, indptr: Pointer, rows: Index, w: Float, edges: Pointer) -> None: ...
def quadratic_forms(matrix: Float, indptr: Pointer, rows: Index, w: Float, edges: Pointer, out: Float) -> None: ...
def times_inverse(matrix: Float, indptr: Pointer, rows: Index, w: Float, out: Float) -> None: ...
