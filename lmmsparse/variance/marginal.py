"""The model's covariance matrix of the observations of one level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import as_text, as_whole, check_memory, near_miss, shown, unknown_name
from lmmsparse.design.coordinates import WorkingDesign
from lmmsparse.design.terms import RandomTerm
from lmmsparse.errors import ArgumentError
from lmmsparse.fitted.model import FittedModel
from lmmsparse.frame.grouping import labels_of
from lmmsparse.numerics.threads import single_threaded_blas

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# Bytes an entry of the matrix at the worst moment: covariance, correlation, and what one of them is made of.
BYTES_AN_ENTRY = 32
# Rows that are printed, and levels that are searched for a name like the one that was asked for.
SHOWN = 12
SEARCHED = 10_000


@dataclass(frozen=True, eq=False)
class MarginalCovariance:
    """Covariance matrix V_i of the observations of one level, from `LinearMixedModel.marginal_cov`.

    Attributes
    ----------
    group, level : str
    covariance : (n_i, n_i) pandas.DataFrame
        By the row labels of the data, in squared units of the response.
    """

    group: str
    level: str
    covariance: pd.DataFrame

    @cached_property
    def std_dev(self) -> pd.Series:
        """Marginal standard deviations, (n_i,)."""
        values = np.sqrt(np.diag(self.covariance.to_numpy()))
        return pd.Series(values, index=self.covariance.index, name="std_dev")

    @cached_property
    def correlation(self) -> pd.DataFrame:
        """Correlation matrix, (n_i, n_i); NaN where a standard deviation is zero."""
        sd = self.std_dev.to_numpy()
        inverse = np.divide(1.0, sd, out=np.full(len(sd), np.nan), where=sd > 0)
        values = self.covariance.to_numpy() * inverse[:, None]
        values *= inverse
        values[np.diag_indices(len(sd))] = np.where(sd > 0, 1.0, np.nan)
        return pd.DataFrame(values, index=self.covariance.index, columns=self.covariance.columns)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Float:
        """The covariance matrix, for ``np.asarray``."""
        values = np.asarray(self.covariance.to_numpy(), dtype=dtype)
        return values.copy() if copy else values

    def __str__(self) -> str:
        n = len(self.covariance)
        shown = self.correlation.iloc[:SHOWN, :SHOWN].round(3)
        shown.insert(0, "std_dev", self.std_dev.iloc[:SHOWN].round(3), allow_duplicates=True)
        head = f"Marginal standard deviations and correlations of the {n} rows of {self.group} {self.level}"
        more = f"\n... and {n - SHOWN} rows more" if n > SHOWN else ""
        return f"{head}:\n{shown.to_string()}{more}"

    __repr__ = __str__


def marginal_cov(model: FittedModel, level: Any, group: str | None = None) -> MarginalCovariance:
    """The model's covariance matrix V_i of the rows of one level, random effects integrated out.

    V_i = Σ_t Z_t Σ_t Z_tᵀ + σ̂² W⁻¹ on these rows, over all terms of the model: rows that share a level of another
    grouping factor are correlated through that as well.

    Parameters
    ----------
    level : str or value
        Level of the grouping factor; that of an interaction ``b:a`` reads ``"x:y"``, as in `ranef`.
    group : str, optional
        Name of the grouping factor; not needed when there is one only.

    Returns
    -------
    MarginalCovariance
        ``covariance`` and ``correlation``, (n_i, n_i) pandas frames by the row labels of the data; printed, the
        standard deviations and correlations.

    Raises
    ------
    ArgumentError
        There is no such level or grouping factor, or several factors and none is named.
    MemoryLimitError
        The level has so many rows that the matrix would not fit into memory.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.marginal_cov("308").correlation.iloc[:3, :3].round(3).to_numpy().tolist()
    [[1.0, 0.48, 0.466], [0.48, 1.0, 0.514], [0.466, 0.514, 1.0]]
    """
    name, label, rows = rows_of_level(model.terms, level, group)
    with single_threaded_blas():
        V = marginal_covariance(
            model.objective.design,
            model.frame.weights,
            model.estimates.point.templates,
            model.sigma,
            rows,
            model.control.memory_bytes,
        )
    index = model.frame.index[rows]
    return MarginalCovariance(name, label, pd.DataFrame(V, index=index, columns=index))


def rows_of_level(terms: Sequence[RandomTerm], level: Any, group: str | None) -> tuple[str, str, Index]:
    """Grouping factor, label and rows of a level.

    Raises
    ------
    ArgumentError
        The factor has to be named, or there is no such factor or level.
    """
    groups = list(dict.fromkeys(term.group for term in terms))
    if group is None:
        if len(groups) > 1:
            raise ArgumentError(
                f"marginal_cov: the model has {len(groups)} grouping factors; say group= one of {', '.join(groups)}"
            )
        group = groups[0]
    name = as_text(group)
    if name is None or name not in groups:
        raise unknown_name("marginal_cov", "grouping factor", group, groups)
    term = next(term for term in terms if term.group == name)
    label = _label(level)
    found = np.flatnonzero(term.levels.to_numpy(dtype=object) == label)
    if len(found) > 1:
        raise ArgumentError(f"marginal_cov: {group} has {len(found)} levels that read {shown(label)}")
    if len(found) == 0:
        near = near_miss(label, term.levels[:SEARCHED])
        hint = "" if near is None else f"; did you mean {near!r}?"
        first = ", ".join(repr(name) for name in term.levels[:3])
        raise ArgumentError(
            f"marginal_cov: {group} has no level {shown(label)} among its {term.n_levels} levels "
            f"({first}{', ...' if term.n_levels > 3 else ''}){hint}"
        )
    return name, label, np.flatnonzero(term.codes == found[0])


def _label(level: Any) -> str:
    """A level's label, from the label or from the value in the data."""
    word = as_text(level)
    if word is not None:
        return word
    plain = level if as_whole(level) is None else as_whole(level)
    try:
        return labels_of([plain])[0] if np.isscalar(plain) or isinstance(plain, pd.Timestamp) else str(plain)
    except Exception as error:  # whatever a user's __str__ raises, an integer of thousands of digits
        raise ArgumentError(f"marginal_cov: level must be a level's label, got {shown(level)}") from error


def marginal_covariance(
    design: WorkingDesign,
    weights: Float | None,
    templates: tuple[Float, ...],
    sigma: float,
    rows: Index,
    limit: float,
) -> Float:
    """V = σ²[W⁻¹ + Σ_g (C_g λ_g)(C_g λ_g)ᵀ ∘ (same level of g)] of some rows, (m, m).

    Parameters
    ----------
    design : WorkingDesign
    weights : (n,) array or None
    templates : tuple of (K_g, K_g) arrays
        λ of every grouping factor in working coordinates.
    sigma : float
    rows : (m,) array of int
    limit : float
        Bytes that may be taken.

    Raises
    ------
    MemoryLimitError
        The matrix is too large; the message states the bytes.
    """
    m = len(rows)
    matrices = f"the covariance and correlation matrices of {m} rows"
    check_memory("marginal_cov", matrices, BYTES_AN_ENTRY * m**2, limit)
    V = np.zeros((m, m))
    for block, lam in zip(design.blocks, templates, strict=True):
        effects = sigma * (block.columns[rows] @ lam)
        codes = block.codes[rows]
        product = effects @ effects.T
        if (codes != codes[0]).any():
            product *= codes[:, None] == codes
        V += product
    V[np.diag_indices(m)] += sigma**2 * (1.0 if weights is None else 1.0 / weights[rows])
    return V
