"""Principal components of the random effects of a grouping factor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

Float = NDArray[np.float64]


@dataclass(frozen=True)
class PrincipalComponents:
    """Principal components of one grouping factor.

    Attributes
    ----------
    std_dev : (K,) array
        Standard deviations over σ, decreasing.
    proportion : (K,) array
        Of the sum of the variances; NaN when all are zero.
    loadings : (K, K) array
        One column a component, of length one; its largest entry is positive.
    """

    std_dev: Float
    proportion: Float
    loadings: Float


def principal_components(templates: list[Float]) -> PrincipalComponents:
    """Singular values and left singular vectors of λ, the templates of all terms of the factor on the diagonal.

    Parameters
    ----------
    templates : list of (k_t, k_t) arrays
    """
    vectors, values, _ = np.linalg.svd(block_diag(*templates))
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(len(values))])
    total = float((values**2).sum())
    proportion = values**2 / total if total > 0 else np.full(len(values), np.nan)
    return PrincipalComponents(values, proportion, vectors * signs)
