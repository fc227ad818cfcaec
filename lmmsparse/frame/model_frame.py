"""What a model frame is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.formula import Bar, Formula
from lmmsparse.frame.grouping import Grouping
from lmmsparse.frame.newdata import NewData


@dataclass(frozen=True)
class BarColumns:
    """The columns to the left of a bar, evaluated.

    Attributes
    ----------
    bar : Bar
    columns : (n, k) array
        A plain intercept is a read-only view of a single one.
    names : tuple of str
        ``"(Intercept)"``, ``"Days"``, ``"recipe[T.B]"``.
    """

    bar: Bar
    columns: NDArray[np.float64]
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ModelFrame:
    """Rows kept, and everything a fit needs of them.

    Attributes
    ----------
    formula : Formula
    y : (n,) array
        Response.
    X : (n, p) array
        Fixed-effect columns; those spanned by earlier ones are left out.
    fixed_names : tuple of str
        Names of the columns of X, ``"(Intercept)"`` first where there is one.
    dropped : tuple of str
        Names of the columns that were left out.
    aliased : (p, number of those) array
        Coefficients with which the columns of X give them.
    weights : (n,) array or None
        Prior weights, all positive.
    offset : (n,) array or None
        Sum of the argument and of the ``offset()`` terms.
    groupings : dict of str to Grouping
        One for each distinct grouping factor.
    bars : tuple of BarColumns
        In formula order.
    taken : (n,) array of int, or None
        Positions of the kept rows in the data; None for all rows in order.
    index : pandas.Index
        Labels of the kept rows.
    source_index : pandas.Index
        Labels of all rows in the data.
    na_action : str
        ``"omit"``, ``"exclude"`` or ``"fail"``.
    library : str
        Where the data came from: ``"pandas"``, ``"polars"``, ``"pyarrow"`` or ``"dict"``.
    spec : NewData
        Evaluates the formula on new rows.
    """

    formula: Formula
    y: NDArray[np.float64]
    X: NDArray[np.float64]
    fixed_names: tuple[str, ...]
    dropped: tuple[str, ...]
    aliased: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    offset: NDArray[np.float64] | None
    groupings: dict[str, Grouping]
    bars: tuple[BarColumns, ...]
    taken: NDArray[np.intp] | None
    index: pd.Index
    source_index: pd.Index
    na_action: str
    library: str
    spec: NewData

    @property
    def rows(self) -> NDArray[np.intp]:
        """Positions of the kept rows in the data, (n,)."""
        return np.arange(len(self.source_index)) if self.taken is None else self.taken

    @property
    def y_less_offset(self) -> NDArray[np.float64]:
        """What the fixed and random effects have to explain, y − offset, (n,)."""
        return self.y if self.offset is None else self.y - self.offset

    def pearson(self, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Residuals (n,) times √w, whose variances are equal."""
        return residuals if self.weights is None else residuals * np.sqrt(self.weights)

    def series(self, values: NDArray[np.float64], name: str) -> pd.Series:
        """Values of the kept rows by label; under ``"exclude"`` the other rows are there too, as NaN."""
        if self.na_action != "exclude" or self.taken is None:
            return pd.Series(values, index=self.index, name=name)
        padded = np.full(len(self.source_index), np.nan)
        padded[self.taken] = values
        return pd.Series(padded, index=self.source_index, name=name)
