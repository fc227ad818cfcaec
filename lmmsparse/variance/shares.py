"""Where the variance of the response comes from, and the shares that are made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import checked_flag
from lmmsparse.design.coordinates import WorkingDesign
from lmmsparse.fitted.model import FittedModel
from lmmsparse.frame.libraries import to_library
from lmmsparse.numerics.dense import row_chunks
from lmmsparse.numerics.orthonormal import gram
from lmmsparse.numerics.threads import single_threaded_blas

Float = NDArray[np.float64]


@dataclass(frozen=True)
class VarianceParts:
    """Parts of the variance of the response, in its squared units.

    Attributes
    ----------
    fixed : float
        Variance of Xβ̂ over the rows, with divisor n − 1; the offset is known and not part of it.
    random : dict of str to float
        By grouping factor: the mean over the rows of zᵀΣz, summed over the terms of the factor.
    residual : float
        σ̂² times the mean of 1/w over the rows.
    """

    fixed: float
    random: dict[str, float]
    residual: float

    @property
    def random_total(self) -> float:
        """Sum over all grouping factors."""
        return sum(self.random.values())

    @property
    def unexplained(self) -> float:
        """All but the fixed part."""
        return self.random_total + self.residual

    @property
    def total(self) -> float:
        """The sum of all parts."""
        return self.fixed + self.unexplained

    def __str__(self) -> str:
        rows = [("fixed", self.fixed), *self.random.items(), ("residual", self.residual)]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"  {name:<{width}}  {value:.6g}" for name, value in rows)


@dataclass(frozen=True)
class IntraclassCorrelation:
    """Share of the random effects in the variance, from `LinearMixedModel.icc`.

    Attributes
    ----------
    adjusted : float
        Of the variance that the fixed effects leave: random / (random + residual).
    unadjusted : float
        Of the whole variance: random / (fixed + random + residual).
    parts : VarianceParts
    """

    adjusted: float
    unadjusted: float
    parts: VarianceParts

    def __str__(self) -> str:
        head = f"Intraclass correlation: adjusted {self.adjusted:.4f}, unadjusted {self.unadjusted:.4f}"
        return f"{head}\nVariance:\n{self.parts}"


@dataclass(frozen=True)
class RSquared:
    """Share of the variance that the model explains, from `LinearMixedModel.r2`.

    Attributes
    ----------
    marginal : float
        By the fixed effects: fixed / (fixed + random + residual).
    conditional : float
        By fixed and random effects: (fixed + random) / (fixed + random + residual).
    parts : VarianceParts
    """

    marginal: float
    conditional: float
    parts: VarianceParts

    def __str__(self) -> str:
        head = f"R squared: marginal {self.marginal:.4f}, conditional {self.conditional:.4f}"
        return f"{head}\nVariance:\n{self.parts}"


def icc(model: FittedModel, by_group: bool = False) -> Any:
    """Intraclass correlation: the share of the random effects in the variance.

    Adjusted, it is random / (random + residual); unadjusted, random / (fixed + random + residual).  In a model
    with one random intercept and no weights the adjusted one is the correlation of two rows of a level.

    Parameters
    ----------
    by_group : bool
        The share of every grouping factor.

    Returns
    -------
    IntraclassCorrelation
        ``adjusted``, ``unadjusted`` and the ``parts`` of the variance.
    frame
        With ``by_group``: ``group, variance, adjusted, unadjusted``, one row a grouping factor, and one for the
        residual.  The adjusted shares sum to one.

    Raises
    ------
    ArgumentError
        ``by_group`` is neither True nor False.

    Notes
    -----
    The parts are those of `r2`.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("strength ~ 1 + (1 | batch / cask)", load_dataset("Pastes"))
    >>> round(m.icc().adjusted, 3)
    0.937
    >>> m.icc(by_group=True)[["group", "adjusted"]].round(3).to_numpy().tolist()
    [['cask:batch', 0.783], ['batch', 0.154], ['Residual', 0.063]]
    """
    each = checked_flag("icc", "by_group", by_group)
    parts = parts_of(model)
    if not each:
        random = parts.random_total
        return IntraclassCorrelation(share(random, parts.unexplained), share(random, parts.total), parts)
    rows = [
        (name, value, share(value, parts.unexplained), share(value, parts.total))
        for name, value in [*parts.random.items(), ("Residual", parts.residual)]
    ]
    columns = ["group", "variance", "adjusted", "unadjusted"]
    return to_library(pd.DataFrame(rows, columns=columns), model.frame.library)


def r2(model: FittedModel) -> RSquared:
    """Marginal and conditional R²: what fixed effects, and fixed and random effects, explain of the variance.

    Returns
    -------
    RSquared
        ``marginal``, ``conditional`` and the ``parts`` of the variance.

    Notes
    -----
    Nakagawa, Johnson and Schielzeth (2017), with the variance of random slopes of Johnson (2014).  The fixed part
    is the variance of Xβ̂ over the rows (divisor n − 1); the random part the mean over the rows of zᵀΣz, summed
    over the terms; the residual part σ̂² times the mean of 1/w, which does not depend on the unit of the weights.
    Every row counts once, whatever its weight.  An offset is known, nothing that the model explains, and left out.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> print(m.r2())
    R squared: marginal 0.2787, conditional 0.7992
    Variance:
      fixed     908.953
      Subject   1698.07
      residual  654.941
    """
    parts = parts_of(model)
    fixed, both = parts.fixed, parts.fixed + parts.random_total
    return RSquared(share(fixed, parts.total), share(both, parts.total), parts)


def parts_of(model: FittedModel) -> VarianceParts:
    """The parts of the variance that a model says of its response."""
    with single_threaded_blas():
        templates = model.estimates.point.templates
        frame = model.frame
        return variance_parts(
            frame.X, model.estimates.beta, model.objective.design, frame.weights, templates, model.sigma
        )


def share(part: float, whole: float) -> float:
    """Part over whole; NaN when there is nothing to share."""
    return part / whole if whole > 0 else float("nan")


def variance_parts(
    X: Float, beta: Float, design: WorkingDesign, weights: Float | None, templates: tuple[Float, ...], sigma: float
) -> VarianceParts:
    """Fixed, random and residual parts of the variance; every row counts once, whatever its weight.

    With C_g the working columns of a grouping factor and λ_g its working template, the random part of the factor is
    σ² tr(λ_gᵀ C_gᵀC_g λ_g)/n, which is Johnson's (2014) mean of zᵀΣz in coordinates where nothing cancels.

    Parameters
    ----------
    X : (n, p) array
    beta : (p,) array
    design : WorkingDesign
    weights : (n,) array or None
    templates : tuple of (K_g, K_g) arrays
        λ of every grouping factor in working coordinates.
    sigma : float
    """
    n = len(X)
    random = {
        block.group: sigma**2 * float(np.sum(lam * (gram(block.columns) @ lam))) / n
        for block, lam in zip(design.blocks, templates, strict=True)
    }
    inverse = 1.0 if weights is None else float(np.mean(1.0 / weights))
    return VarianceParts(_fixed_variance(X, beta), random, sigma**2 * inverse)


def _fixed_variance(X: Float, beta: Float) -> float:
    """Variance of Xβ, each column from its first value on, so that a large origin costs no digits."""
    n, p = X.shape
    if p == 0:
        return 0.0
    means = np.empty(n)
    for rows in row_chunks(n, p):
        means[rows] = (X[rows] - X[0]) @ beta
    return float(np.var(means, ddof=1))
