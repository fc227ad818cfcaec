import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Index = NDArray[np.int32]

def evaluate(
    A: Float,
    B: Float,
    rest: Float,
    factor: Index,
    sizes: Index,
    b_leaf: Float,
    b_rest: Float,
    yy: Float,
    response: Index,
    lam: Float,
    templates: Float,
    owner: Index,
    row: Index,
    column: Index,
    degrees: float,
    reml: bool,
    smallest_share: float,
    smallest_pivot: float,
    smallest_remainder: float,
    scalars: Float,
    effects: Float,
    fixed: Float,
    leaf_sums: Float,
    rest_sums: Float,
    information: Float,
    failed: Index,
) -> None: ...
