import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Index = NDArray[np.int32]
Pointer = NDArray[np.int64]

def both_triangles(indptr: Pointer, rows: Index, starts: Pointer, neighbours: Index) -> None: ...
def elimination_tree(indptr: Pointer, indices: Index, order: Index, place: Index, parent: Index) -> None: ...
def postorder(parent: Index, weight: Pointer, order: Index) -> None: ...
def column_counts(
    indptr: Pointer, indices: Index, order: Index, place: Index, parent: Index, sizes: Index, counts: Pointer
) -> None: ...
def relaxed_supernodes(
    parent: Index, counts: Pointer, sizes: Index, widths: Float, shares: Float, edges: Index
) -> int: ...
def supernode_rows(
    indptr: Pointer,
    indices: Index,
    order: Index,
    place: Index,
    owner: Index,
    parent: Index,
    first_row: Pointer,
    cursor: Pointer,
    rows: Index,
) -> None: ...
def child_lists(parent: Index, last_child: Index, previous: Index) -> None: ...
def relative_rows(
    starts: Pointer, indptr: Pointer, rows: Index, last_child: Index, previous: Index, relative: Index
) -> int: ...
