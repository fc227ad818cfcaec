"""Estimates of one model from many fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from lmmsparse.estimation.certificate import OptInfo
from lmmsparse.estimation.estimates import Estimates

if TYPE_CHECKING:
    from typing_extensions import Self

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, repr=False, eq=False)
class EstimateTable:
    """Estimates of m fits: arrays with one row a fit, NaN where there is none.

    Attributes
    ----------
    theta : (m, n_theta) array
    beta : (m, p) array
    std_error : (m, p) array
        Standard errors of the fixed effects.
    sigma : (m,) array
    criterion : (m,) array
        REML criterion or −2 log-likelihood.
    converged : (m,) array of bool
    singular : (m,) array of bool
        A covariance matrix is singular.
    evaluations : (m,) array of int
    """

    theta: Float
    beta: Float
    std_error: Float
    sigma: Float
    criterion: Float
    converged: Mask
    singular: Mask
    evaluations: NDArray[np.int64]

    # what a row is of, for printing
    rows_are: ClassVar[str] = "fits"

    @classmethod
    def unfitted(cls, count: int, p: int, n_theta: int) -> Self:
        """Room for so many fits."""
        theta, beta, std_error = (np.full((count, width), np.nan) for width in (n_theta, p, p))
        sigma, criterion = np.full(count, np.nan), np.full(count, np.nan)
        converged, singular = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        return cls(theta, beta, std_error, sigma, criterion, converged, singular, np.zeros(count, dtype=np.int64))

    @classmethod
    def joined(cls, tables: Sequence[EstimateTable]) -> Self:
        """Several tables as one, one below the other."""
        return cls(*(np.concatenate([getattr(one, field.name) for one in tables]) for field in fields(EstimateTable)))

    def write(self, place: int, estimates: Estimates, info: OptInfo) -> None:
        """Fill a row; for who makes the table, before anybody else sees it."""
        self.theta[place], self.beta[place], self.sigma[place] = estimates.theta, estimates.beta, estimates.sigma
        self.std_error[place] = estimates.std_error
        self.criterion[place], self.singular[place] = estimates.criterion, estimates.singular
        self.converged[place] = info.converged
        self.evaluations[place] += info.evaluations

    def __len__(self) -> int:
        return len(self.sigma)

    def __repr__(self) -> str:
        bad = f"{(~self.converged).sum()} not converged, {self.singular.sum()} singular"
        names = ", ".join(field.name for field in fields(EstimateTable))
        return f"<{type(self).__name__} of {len(self)} {self.rows_are}, {bad}: {names}>"
