"""Checks of a response before anything is fitted to it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.arguments import as_array, as_numbers
from lmmsparse.errors import ArgumentError, DataError
from lmmsparse.frame.model_frame import ModelFrame
from lmmsparse.frame.selection import check_same_index

Float = NDArray[np.float64]


# What the labels of a new response are compared with.
OF_THE_FIT = "the rows of the fit (m.frame.index)"


def check_response(y: Any, frame: ModelFrame) -> Float:
    """A new response for the rows of a fit, as float: a Series or a frame by label, all else by position."""
    n, values = len(frame.y), as_numbers(y)
    shape = _shape(y, values)
    if shape not in ((n,), (n, 1)):
        advice = ""
        if len(shape) == 1 and shape[0] > n:
            advice = (
                "; give it without those that the fit left out (m.frame.index has the labels of those that it kept)"
            )
        elif len(shape) == 2 and shape[0] == n:
            advice = "; refit_many takes one response a column"
        raise ArgumentError(f"the new response has shape {shape}, but the fit has {n} rows{advice}")
    check_same_index("the new response", y, frame.index, OF_THE_FIT)
    if values is None:
        raise ArgumentError(f"the new response is not numeric{_type(y)}")
    values = values.reshape(n)
    bad = ~np.isfinite(values)
    if bad.any():
        raise ArgumentError(
            f"the new response is missing or infinite in {int(bad.sum())} rows, first in row {int(bad.argmax())}"
        )
    check_varies(values if frame.offset is None else values - frame.offset, frame.formula.response)
    return values


def check_responses(Y: Any, frame: ModelFrame) -> Float:
    """New responses for the rows of a fit, one a column, as float: a frame by label, all else by position."""
    n, values = len(frame.y), as_numbers(Y)
    shape = _shape(Y, values)
    if len(shape) != 2 or shape[0] != n:
        raise ArgumentError(
            f"the new responses have shape {shape}, but must have {n} rows, one for each row of the fit, "
            "and a column for each response"
        )
    check_same_index("the matrix of new responses", Y, frame.index, OF_THE_FIT)
    if values is None:
        raise ArgumentError(f"the matrix of new responses is not numeric{_type(Y)}")
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


def _shape(given: Any, values: Float | None) -> tuple[int, ...]:
    """Of numbers, or of what NumPy makes of what is none."""
    if values is not None:
        return values.shape
    made = as_array(given)
    return () if made is None else made.shape


def _type(given: Any) -> str:
    made = as_array(given)
    return "" if made is None or made.dtype == object else f", but of type {made.dtype}"


def check_varies(response: Float, name: str) -> None:
    """Refuse a constant response."""
    if len(response) and np.ptp(response) == 0.0:
        raise DataError(
            f"the response {name!r}, less its offset if there is one, is constant ({response[0]:g}): "
            "there is nothing to model"
        )
