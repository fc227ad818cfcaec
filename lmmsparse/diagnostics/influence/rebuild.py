"""The model on the rows that are left: its equations and its estimates formed anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.sums import cross_products
from lmmsparse.design.coordinates import WorkingDesign, taken_rows
from lmmsparse.diagnostics.influence.downdate import Equations
from lmmsparse.numerics.orthonormal import gram
from lmmsparse.numerics.rank import independent_columns
from lmmsparse.pls.direct import fixed_equations

Float = NDArray[np.float64]
Index = NDArray[np.intp]


def remaining_equations(known: Equations, rows: Index, memory_limit: float) -> Float:
    """[X r]ᵀV⁻¹[X r] of the rows that are left, (p + 1, p + 1), from their own cross-products.

    Parameters
    ----------
    rows : (k,) array
        Rows that are left.
    memory_limit : float
        Bytes that a factorization may take.
    """
    left = taken_rows(known.design, rows)
    weights = None if known.weights is None else known.weights[rows]
    products = cross_products(left, known.residual[rows], weights)
    return fixed_equations(products, tuple(block.group for block in left.blocks), known.templates, memory_limit)


def lost_directions(design: WorkingDesign, weights: Float | None, rows: Index) -> tuple[Float, Float]:
    """Orthonormal directions of β (in working coordinates) that some rows determine, and that they do not.

    Returns
    -------
    kept, lost : (p, rank) and (p, p - rank) arrays
    """
    X, p = design.X[rows], design.X.shape[1]
    weights = None if weights is None else weights[rows]
    rank = len(independent_columns(X, weights)) if len(rows) else 0
    if rank == p:
        return np.eye(p), np.zeros((p, 0))
    vectors = np.linalg.eigh(gram(X, weights))[1] if len(rows) else np.eye(p)
    return vectors[:, p - rank :], vectors[:, : p - rank]
