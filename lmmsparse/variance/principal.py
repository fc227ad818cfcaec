"""Principal components of the random effects of a grouping factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import block_diag

from lmmsparse.fitted.effects import terms_by_group
from lmmsparse.fitted.model import FittedModel
from lmmsparse.frame.libraries import to_library

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


def re_pca(model: FittedModel) -> dict[str, Any]:
    """Principal components of the random effects of every grouping factor, as lme4's ``rePCA``.

    They depend on the units of the columns: compare standard deviations of columns on one scale only.

    Returns
    -------
    dict of str to frame
        ``component, std_dev, proportion, cumulative`` and the loadings, one column an effect.  ``std_dev`` is in
        units of σ̂; the largest loading of a component is positive; proportions are NaN when all variances are
        zero.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.re_pca()["Subject"].iloc[:, :4].round(3)
      component  std_dev  proportion  cumulative
    0       PC1    0.967       0.946       0.946
    1       PC2    0.231       0.054       1.000
    """
    out = {}
    for group, members in terms_by_group(model.terms).items():
        found = principal_components([model.estimates.templates[t] for t in members])
        table = pd.DataFrame({"component": [f"PC{i + 1}" for i in range(len(found.std_dev))]})
        table["std_dev"], table["proportion"] = found.std_dev, found.proportion
        table["cumulative"] = np.cumsum(found.proportion)
        names = [name for t in members for name in model.terms[t].names]
        loadings = pd.DataFrame(found.loadings.T, columns=names)
        out[group] = to_library(pd.concat([table, loadings], axis=1), model.frame.library)
    return out


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
