"""What an adapter does, and what all of them need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.columns import Columns, Factor, rows
from benchmarks.models import Model


class Unsupported(Exception):
    """The program cannot fit this model; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """What a program says of its fit.

    Attributes
    ----------
    criterion : float
        REML criterion or −2 log-likelihood, with all the constants that lme4 counts.
    kind : {"REML", "ML"}
    evaluations : int or None
        Of the objective, in the search that won; None when the program does not tell.
    evaluations_all : int or None
        In all searches.
    note : str
    """

    criterion: float
    kind: str
    evaluations: int | None = None
    note: str = ""
    evaluations_all: int | None = None


class Adapter(ABC):
    """One program in its own process.

    Attributes
    ----------
    packages : tuple of str
        Distributions whose versions are recorded, the program's first.
    """

    packages: tuple[str, ...]

    @abstractmethod
    def prepare(self, model: Model, columns: Columns) -> Any:
        """Bring the data into the form that the program takes; the clock does not run."""

    @abstractmethod
    def fit(self, model: Model, data: Any) -> Any:
        """Fit the model; the clock runs."""

    @abstractmethod
    def outcome(self, fitted: Any) -> Outcome:
        """Read the fit."""

    def criterion_ml(self, fitted: Any) -> float | None:
        """−2 log-likelihood of the same model by ML, for a program that is a reference; the clock does not run."""
        return None

    def refits(self, model: Model, data: Any, responses: NDArray[np.float64]) -> Callable[[], list[float]]:
        """Prepare fits of the columns of `responses` to one design; the function that is returned is timed.

        It returns the criteria.
        """
        raise Unsupported("has no function that fits another response to the same design")

    def versions(self) -> str:
        """Versions of the packages, the program's first."""
        return ", ".join(f"{name} {metadata.version(name)}" for name in self.packages)


def pandas_frame(columns: Columns) -> Any:
    """Columns as a pandas frame: integers of eight bytes, factors as categories."""
    import pandas as pd

    return pd.DataFrame({name: _series(column) for name, column in columns.items()}, copy=False)


def _series(column: Any) -> Any:
    import pandas as pd

    if isinstance(column, Factor):
        return pd.Categorical.from_codes(column.codes, categories=pd.Index(column.levels))
    return column if column.dtype.kind == "f" else column.astype(np.int64)


def combined(columns: Columns, factors: tuple[str, ...]) -> NDArray[np.int64]:
    """Codes from 0 of the combinations of factors that occur."""
    codes = np.zeros(1, dtype=np.int64)
    for name in factors:
        column = columns[name]
        values = column.codes if isinstance(column, Factor) else column
        codes = codes * (int(values.max()) + 1) + values
    return np.unique(codes, return_inverse=True)[1].ravel()


def fixed_matrix(model: Model, columns: Columns) -> NDArray[np.float64]:
    """Fixed-effect matrix (n, p): an intercept, numbers as they are, and treatment contrasts of factors."""
    parts = [np.ones((rows(columns), 1))]
    for name in model.fixed:
        column = columns[name]
        if isinstance(column, Factor):
            parts.append((column.codes[:, None] == np.arange(1, len(column.levels))).astype(float))
        else:
            parts.append(column.astype(float)[:, None])
    return np.hstack(parts)
