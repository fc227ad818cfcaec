"""Checks of a response before anything is fitted to it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import ArgumentError, DataError
from lmmsparse.frame import ModelFrame

Float = NDArray[np.float64]


def check_response(y: Any, frame: ModelFrame) -> Float:
    """A new response for the rows of a fit, as float."""
    n = len(frame.y)
    masked = np.ma.getmaskarray(y) if isinstance(y, np.ma.MaskedArray) else None
    array = np.asarray(y)
    if array.shape == (n, 1):
        array = array[:, 0]
    if array.shape != (n,):
        raise ArgumentError(f"the new response has shape {array.shape}, but the fit has {n} rows")
    if array.dtype.kind not in "biufO":
        raise ArgumentError(f"the new response is not numeric, but of type {array.dtype}")
    try:
        values = np.array(array, dtype=float)
    except (TypeError, ValueError) as error:
        raise ArgumentError("the new response is not numeric") from error
    if masked is not None:
        values[masked.ravel()] = np.nan
    bad = ~np.isfinite(values)
    if bad.any():
        raise ArgumentError(
            f"the new response is missing or infinite in {int(bad.sum())} rows, first in row {int(bad.argmax())}"
        )
    check_varies(values if frame.offset is None else values - frame.offset, frame.formula.response)
    return values


def check_varies(response: Float, name: str) -> None:
    """Refuse a constant response."""
    if len(response) and np.ptp(response) == 0.0:
        raise DataError(
            f"the response {name!r}, less its offset if there is one, is constant ({response[0]:g}): "
            "there is nothing to model"
        )
