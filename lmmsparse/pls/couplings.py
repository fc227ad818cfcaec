"""Couplings of peeled levels to rows of the core, in compressed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Couplings:
    """Entries of L, or of another matrix, between the levels of one peeled factor and the core.

    Attributes
    ----------
    indptr : (q + 1,) array of int64
        First entry of each level ℓ.
    rows : (m,) array of int32
        Core row of each entry, increasing within a level.
    w : (m, K) array
        Values for the K columns of the level.
    """

    indptr: NDArray[np.int64]
    rows: NDArray[np.int32]
    w: Float
