import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Index = NDArray[np.int32]
Pointer = NDArray[np.int64]

def solve_forward(
    panels: Float, starts: Pointer, edges: Pointer, indptr: Pointer, below: Index, right: Float, work: Float
) -> None: ...
def solve_backward(
    panels: Float, starts: Pointer, edges: Pointer, indptr: Pointer, below: Index, right: Float, work: Float
) -> None: ...
