"""The columns of a model, from the library's packaged data or generated: the one place that asks the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.columns import Column, Columns, Factor
from benchmarks.designs import sleep_responses
from benchmarks.models import Model

if TYPE_CHECKING:
    import pandas as pd


def load(model: Model) -> dict[str, Column]:
    """The columns that the formula names."""
    if model.design is not None:
        generated = model.design()
        return {name: generated[name] for name in model.columns}
    from lmmsparse import load_dataset

    frame = load_dataset(str(model.dataset))
    return {name: _column(frame[name]) for name in model.columns}


def _column(series: pd.Series[Any]) -> Column:
    if series.dtype.kind in "iuf":
        return series.to_numpy(dtype=float if series.dtype.kind == "f" else np.int32)
    categorical = series.astype("category").cat
    codes = np.asarray(categorical.codes, dtype=np.int32)
    return Factor(codes, tuple(str(level) for level in categorical.categories))


def sizes(model: Model, columns: Columns) -> tuple[int, int]:
    """Rows n and random effects q of a model."""
    n = q = 0
    for bar in model.bars:
        codes = np.zeros(1, dtype=np.int64)
        for name in bar.factors:
            column = columns[name]
            values = column.codes if isinstance(column, Factor) else column
            codes = codes * (int(values.max()) + 1) + values
        n = len(codes)
        q += len(np.unique(codes)) * (2 if bar.slope else 1)
    return n, q


def responses(model: Model, columns: Columns) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Responses (n, refits) for a model that is refitted."""
    days, subject = columns["Days"], columns["Subject"]
    assert isinstance(subject, Factor) and not isinstance(days, Factor)
    return sleep_responses(days.astype(float), subject.codes, model.refits)
