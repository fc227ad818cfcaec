"""The result of `influence`: estimates without sets of rows, and what the sets do to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.errors import ArgumentError
from lmmsparse.estimation.table import EstimateTable
from lmmsparse.frame.libraries import to_library
from lmmsparse.numerics.readonly import locked

Float = NDArray[np.float64]


@dataclass(frozen=True, repr=False, eq=False)
class Influence:
    """Estimates without each of m sets of rows, from `LinearMixedModel.influence`.

    Attributes
    ----------
    group : str
        What was left out in turn: ``"row"`` for single rows, the name of a grouping factor, or ``"label"``.
    refit : bool
        θ was estimated again without each set; otherwise it was held at its estimate.
    labels : pandas.Index
        Of the m sets.
    n_deleted : (m,) array
        Rows of each set.
    estimates : EstimateTable
        Estimates without each set; criteria are not computed.
    failed : (m,) array of bool
        No estimates could be had.
    failures : dict
        Label of a set → why it has no estimates.
    names, theta_names : tuple of str
    estimate : (p,) array
        Fixed effects of all rows.
    library : str
        Of the frames.
    measures : tuple of three (m,) arrays
        Cook's distance, mdffits and covratio.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.influence("Subject").to_frame().iloc[:2, :4].round(3)
         n_deleted  cooks_distance  mdffits  covratio
    308         10           0.092    0.100     0.858
    309         10           0.149    0.137     1.175
    """

    group: str
    refit: bool
    labels: pd.Index
    n_deleted: NDArray[np.intp]
    estimates: EstimateTable
    failed: NDArray[np.bool_]
    failures: dict[Any, str]
    names: tuple[str, ...]
    theta_names: tuple[str, ...]
    estimate: Float
    library: str
    measures: tuple[Float, Float, Float]

    def __post_init__(self) -> None:
        """Frames and measures are made of what is shown."""
        locked((self, self.estimates))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def beta(self) -> Float:
        """Fixed effects without each set, (m, p); NaN where the rows that are left do not determine one."""
        return self.estimates.beta

    @property
    def std_error(self) -> Float:
        """Their standard errors, (m, p)."""
        return self.estimates.std_error

    @property
    def sigma(self) -> Float:
        """Residual standard deviation without each set, (m,)."""
        return self.estimates.sigma

    @property
    def theta(self) -> Float:
        """θ without each set, (m, n_theta); θ̂ where it was held."""
        return self.estimates.theta

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Which searches ended with their certificate, (m,): all of them where θ was held."""
        return self.estimates.converged

    def __repr__(self) -> str:
        how = "theta estimated again" if self.refit else "theta held"
        failed = f", {int(self.failed.sum())} without estimates" if self.failed.any() else ""
        return f"<Influence of {len(self)} sets of rows by {self.group!r}, {how}{failed}>"

    @property
    def cooks_distance(self) -> pd.Series:
        """(β̂ − β̂_S)ᵀ C⁻¹ (β̂ − β̂_S)/p with the covariance matrix C of β̂, by label, (m,)."""
        return self._series(0, "cooks_distance")

    @property
    def mdffits(self) -> pd.Series:
        """As `cooks_distance`, but with the covariance matrix of β̂_S, by label, (m,)."""
        return self._series(1, "mdffits")

    @property
    def covratio(self) -> pd.Series:
        """|cov(β̂_S)| / |cov(β̂)| by label, (m,): above 1 where the set makes the estimates more precise."""
        return self._series(2, "covratio")

    @property
    def dfbeta(self) -> Any:
        """β̂_S − β̂, (m, p): a frame with one row a set and one column a coefficient."""
        return self._frame(self.beta - self.estimate)

    @property
    def dfbetas(self) -> Any:
        """β̂_S − β̂ over the standard error of β̂_S, (m, p): a frame as `dfbeta`."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._frame((self.beta - self.estimate) / self.std_error)

    def to_frame(self) -> Any:
        """One row a set: its size, the measures of influence, and the estimates without it."""
        columns: dict[str, Any] = {"n_deleted": self.n_deleted}
        if self.names:
            names = ("cooks_distance", "mdffits", "covratio")
            columns |= dict(zip(names, self.measures, strict=True))
        frame = pd.DataFrame(columns | {"sigma": self.sigma}, index=self.labels)
        beta = pd.DataFrame(self.beta, index=frame.index, columns=list(self.names))
        theta = pd.DataFrame(self.theta, index=frame.index, columns=list(self.theta_names))
        return to_library(pd.concat([frame, beta, theta], axis=1), self.library, self.group)

    def _series(self, which: int, name: str) -> pd.Series:
        if not self.names:
            raise ArgumentError(f"{name}: the model has no fixed effects that could move")
        return pd.Series(self.measures[which], index=self.labels, name=name)

    def _frame(self, values: Float) -> Any:
        frame = pd.DataFrame(values, index=self.labels, columns=list(self.names))
        return to_library(frame, self.library, self.group)
