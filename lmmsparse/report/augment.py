"""Rows of the fit with what the model says of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.errors import DataError, LmmError
from lmmsparse.fitted.means import predict_rows
from lmmsparse.fitted.model import FittedModel
from lmmsparse.formula import expression_names
from lmmsparse.frame import ModelFrame, Table, open_table
from lmmsparse.frame.evaluate import evaluate
from lmmsparse.frame.libraries import to_library
from lmmsparse.frame.selection import check_same_index
from lmmsparse.frame.variables import prepared

Float = NDArray[np.float64]

# Responses that differ by less than this share are one, computed twice.
SAME = 1e-9


def augment(model: FittedModel, data: Any = None) -> Any:
    """The rows of the fit with what the model says of each.

    Parameters
    ----------
    data : frame or dict of arrays, optional
        The data of the fit, to have all their columns; by default the response, the columns of X and the grouping
        factors.

    Returns
    -------
    frame
        One row a row of the fit, with the columns ``fitted``, ``resid``, ``fixed`` (the mean without random
        effects), ``random`` (their sum), ``scaled_resid`` (over its standard deviation) and, where the model has
        them, ``weight`` and ``offset``.  A name that the data have already gets a dot in front: ``.fixed``.

    Raises
    ------
    DataError
        The data have another number of rows than those of the fit, another index, or another response.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> sleep = load_dataset("sleepstudy")
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> m.augment(sleep)[["Subject", "Reaction", "fitted", "fixed"]].head(2).round(1)
      Subject  Reaction  fitted  fixed
    0     308     249.6   253.7  251.4
    1     308     258.7   273.3  261.9
    """
    library = model.frame.library
    rows = to_library(model_rows(model), library) if data is None else kept_rows(data, model.frame)
    return with_columns(rows, row_values(model))


def row_values(model: FittedModel) -> dict[str, Float]:
    """What the model says of every row: mean, its parts, residuals, and the weight and offset where there are any."""
    frame, estimates = model.frame, model.estimates
    fitted = predict_rows(frame, model.terms, estimates.beta, estimates.b)
    fixed = predict_rows(frame, model.terms, estimates.beta, estimates.b, re_form=0)
    resid = frame.y - fitted
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = frame.pearson(resid) / model.sigma
    values = {"fitted": fitted, "resid": resid, "fixed": fixed, "random": fitted - fixed, "scaled_resid": scaled}
    if frame.weights is not None:
        values["weight"] = frame.weights.copy()
    if frame.offset is not None:
        values["offset"] = frame.offset.copy()
    return values


def model_rows(model: FittedModel) -> pd.DataFrame:
    """The rows as the model holds them: response, columns of X but the intercept, and grouping factors."""
    frame = model.frame
    columns: dict[str, Any] = {frame.formula.response: frame.y.copy()}
    for j, name in enumerate(frame.fixed_names):
        if name != "(Intercept)":
            columns.setdefault(name, frame.X[:, j].copy())
    for term in model.terms:
        columns.setdefault(term.group, term.levels.take(term.codes).to_numpy())
    return pd.DataFrame(columns, index=frame.index)


def kept_rows(data: Any, frame: ModelFrame) -> Any:
    """The rows of the data that the fit has kept, in the library of the data.

    Raises
    ------
    DataError
        The data have another number of rows than those that were fitted, or another response.
    """
    table = open_table(data)
    if table.n_rows != len(frame.source_index):
        raise DataError(
            f"augment: data have {table.n_rows} rows, but the model was fitted to data with "
            f"{len(frame.source_index)}; give the same data"
        )
    check_same_index("augment: data", data, frame.source_index, "the data of the fit")
    _check_response(table, frame)
    if isinstance(data, Mapping):
        data = pd.DataFrame({name: np.asarray(values) for name, values in data.items()}, index=table.index)
    if isinstance(data, pd.DataFrame):
        return data.iloc[frame.rows]
    return data[frame.rows] if table.library == "polars" else data.take(frame.rows)


def _check_response(table: Table, frame: ModelFrame) -> None:
    """That the rows are in the order of the fit, as far as the columns of the response tell."""
    expression, rows = frame.formula.response, np.asarray(frame.rows)
    names = expression_names(expression).values
    if any(len(table.places.get(name, ())) != 1 for name in names):
        return
    values = {name: prepared(table.column(name).take(rows), text_as_factor=False) for name in names}
    try:
        given = np.asarray(evaluate(expression, values, len(rows), {}).values, dtype=float)
    except (LmmError, TypeError, ValueError) as error:
        raise DataError(f"augment: the response {expression!r} cannot be had from these data: {error}") from error
    different = ~np.isclose(given, frame.y, rtol=SAME, atol=0.0)
    if different.any():
        place = int(np.flatnonzero(different)[0])
        raise DataError(
            f"augment: {expression!r} is {given[place]} in row {rows[place]} of the data, but was {frame.y[place]} in "
            "the fit; give the same data, with the rows in the same order"
        )


def with_columns(data: Any, values: Mapping[str, Float]) -> Any:
    """A frame with further columns; one whose name is taken gets a dot in front."""
    taken = {str(name) for name in (data.column_names if hasattr(data, "column_names") else data.columns)}
    named: dict[str, Float] = {}
    for name, column in values.items():
        while name in taken:
            name = f".{name}"
        named[name] = column
    if isinstance(data, pd.DataFrame):
        return pd.concat([data, pd.DataFrame(named, index=data.index)], axis=1)
    if hasattr(data, "append_column"):
        for name, column in named.items():
            data = data.append_column(name, [column])
        return data
    return data.with_columns(**{name: to_library(pd.DataFrame({name: c}), "polars")[name] for name, c in named.items()})
