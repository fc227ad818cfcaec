import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Index = NDArray[np.int32]
Pointer = NDArray[np.int64]

def factor_fronts(
    panels: Float,
    starts: Pointer,
    edges: Pointer,
    indptr: Pointer,
    relative: Index,
    last_child: Index,
    previous: Index,
    stack: Float,
) -> int: ...
def invert_fronts(
    panels: Float,
    starts: Pointer,
    edges: Pointer,
    indptr: Pointer,
    relative: Index,
    last_child: Index,
    previous: Index,
    stack: Float,
    side: Float,
) -> int: ...
