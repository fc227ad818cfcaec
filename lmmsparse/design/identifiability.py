"""Which covariance parameters a design cannot tell apart, whatever the response."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance import Covariance
from lmmsparse.design.coordinates import WorkingDesign
from lmmsparse.design.terms import RandomTerm
from lmmsparse.numerics.orthonormal import gram

Float = NDArray[np.float64]


def redundant_terms(design: WorkingDesign, terms: Sequence[RandomTerm], weights: Float | None) -> tuple[int, ...]:
    """Terms of one grouping factor whose covariance parameters cannot be told apart; empty when there are none.

    In an orthonormal basis of all columns of the factor, the entries (a, b) of the covariances of its terms multiply
    the matrices v_a v_bᵀ + v_b v_aᵀ; the parameters are identified only when what each moves is linearly independent.
    """
    for block in design.blocks:
        if len(block.terms) == 1:
            continue
        values, vectors = np.linalg.eigh(gram(block.columns, weights))
        used = values > 1e-10 * values[-1]
        coefficients = vectors[:, used] * np.sqrt(values[used])  # one row a column of the block
        kernels: list[Float] = []
        start = 0
        for t in block.terms:
            structure = terms[t].structure
            kernels += term_kernels(structure, coefficients[start : start + structure.size])
            start += structure.size
        stacked = np.array(kernels)
        stacked /= np.maximum(np.linalg.norm(stacked, axis=1, keepdims=True), np.finfo(float).tiny)
        if np.linalg.matrix_rank(stacked, tol=1e-6) < len(stacked):
            return block.terms
    return ()


def term_kernels(structure: Covariance, rows: Float) -> list[Float]:
    """Derivatives of CΣCᵀ with respect to the parameters, each as a vector, where all standard deviations are one.

    Parameters
    ----------
    structure : Covariance
    rows : (k, r) array
        The columns of the term in an orthonormal basis.
    """
    a, b = structure.support
    outer = rows[a][:, :, None] * rows[b][:, None, :]
    both = (outer + outer.transpose(0, 2, 1)).reshape(len(a), -1)
    slopes = structure.jacobian(structure.start()) * np.where(a == b, 0.5, 1.0)[:, None]
    return list(slopes.T @ both)
