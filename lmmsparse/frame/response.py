"""Checks of a response before anything is fitted to it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import ArgumentError, DataError
from lmmsparse.frame.model_frame import ModelFrame

Float = NDArray[np.float64]


def check_response(y: Any, frame: ModelFrame) -> Float:
    """A new response for the rows of a fit, as float."""
    n = len(frame.y)
    shape = np.shape(y)
    if shape == (n, 1):
        y = y[:, 0] if isinstance(y, np.ma.MaskedArray) else np.asarray(y)[:, 0]
    elif shape != (n,):
        advice = ""
        if len(shape) == 1 and shape[0] > n:
            advice = (
                "; give it without those that the fit left out (m.frame.index has the labels of those that it kept)"
            )
        elif len(shape) == 2 and shape[0] == n:
            advice = "; refit_many takes one response a column"
        raise ArgumentError(f"the new response has shape {shape}, but the fit has {n} rows{advice}")
    values = _numbers(y, "the new response")
    bad = ~np.isfinite(values)
    if bad.any():
        raise ArgumentError(
            f"the new response is missing or infinite in {int(bad.sum())} rows, first in row {int(bad.argmax())}"
        )
    check_varies(values if frame.offset is None else values - frame.offset, frame.formula.response)
    return values


def check_responses(Y: Any, frame: ModelFrame) -> Float:
    """New responses for the rows of a fit, one a column, as float."""
    n, shape = len(frame.y), np.shape(Y)
    if len(shape) != 2 or shape[0] != n:
        raise ArgumentError(
            f"the new responses have shape {shape}, but must have {n} rows, one for each row of the fit, "
            "and a column for each response"
        )
    values = _numbers(Y, "the matrix of new responses")
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ArgumentError(f"new response {column} is missing or infinite, first in row {row}")
    less = values if frame.offset is None else values - frame.offset[:, None]
    constant = np.flatnonzero(np.ptp(less, axis=0) == 0.0) if n else np.zeros(0)
    if constant.size:
        raise DataError(
            f"new response {constant[0]}, less the offset if there is one, is constant: there is nothing to model"
        )
    return values


def _numbers(values: Any, what: str) -> Float:
    """Numbers as float; what is masked is NaN."""
    array = np.asarray(values)
    if array.dtype.kind not in "biufO":
        raise ArgumentError(f"{what} is not numeric, but of type {array.dtype}")
    try:
        numbers = np.array(array, dtype=float)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{what} is not numeric") from error
    if isinstance(values, np.ma.MaskedArray):
        numbers[np.ma.getmaskarray(values)] = np.nan
    return numbers


def check_varies(response: Float, name: str) -> None:
    """Refuse a constant response."""
    if len(response) and np.ptp(response) == 0.0:
        raise DataError(
            f"the response {name!r}, less its offset if there is one, is constant ({response[0]:g}): "
            "there is nothing to model"
        )
