import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Index = NDArray[np.int32]
Pointer = NDArray[np.int64]

def locate(
    starts: Pointer,
    edges: Pointer,
    indptr: Pointer,
    below: Index,
    owner: Index,
    rows: Pointer,
    columns: Pointer,
    places: Pointer,
) -> None: ...
def subtract_outer_products(
    panels: Float,
    starts: Pointer,
    edges: Pointer,
    indptr: Pointer,
    below: Index,
    owner: Index,
    leaf_ptr: Pointer,
    rows: Index,
    w: Float,
    begin: int,
    end: int,
) -> None: ...
def quadratic_forms(
    panels: Float,
    starts: Pointer,
    edges: Pointer,
    indptr: Pointer,
    below: Index,
    owner: Index,
    leaf_ptr: Pointer,
    rows: Index,
    w: Float,
    out: Float,
) -> None: ...
def times_inverse(
    panels: Float,
    starts: Pointer,
    edges: Pointer,
    indptr: Pointer,
    below: Index,
    owner: Index,
    leaf_ptr: Pointer,
    rows: Index,
    w: Float,
    out: Float,
) -> None: ...
