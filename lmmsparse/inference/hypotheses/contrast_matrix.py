"""Contrast matrices from what a user writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import unknown_name
from lmmsparse.errors import ArgumentError

Float = NDArray[np.float64]


def contrast_rows(L: Any, names: Sequence[str]) -> tuple[Float, tuple[str, ...]]:
    """The matrix (m, p) of a hypothesis Lβ = 0, and a label for each of its rows.

    Parameters
    ----------
    L : array, dict, sequence of dicts, dict of dicts or Series, Series or frame
        See `Testing.contest`.
    names : sequence of p str
        Names of the coefficients.

    Raises
    ------
    ArgumentError
        Wrong shape, unknown name, or values that are no numbers.
    """
    L, given = _own_labels(L)
    rows = _from_names(L, names)
    if rows is None:
        rows = _numbers(L)
        if rows.ndim == 1:
            rows = rows[None, :]
        if rows.ndim != 2 or rows.shape[1] != len(names) or not len(rows):
            raise ArgumentError(
                f"contest: L has shape {np.shape(L)}, but must have one column for each of the {len(names)} "
                f"coefficients: {', '.join(names)}"
            )
    if not np.isfinite(rows).all():
        raise ArgumentError("contest: L must be finite")
    empty = ~rows.any(axis=1)
    if empty.any():
        raise ArgumentError(f"contest: row {int(empty.argmax())} of L is zero, which tests nothing")
    return rows, tuple(given or (_label(row, names) for row in rows))


def _own_labels(L: Any) -> tuple[Any, tuple[str, ...]]:
    """The rows without the names that a dict of rows or the index of a frame gives them, and these names, if any."""
    if isinstance(L, Mapping) and L and all(isinstance(row, (Mapping, pd.Series)) for row in L.values()):
        return [dict(row) for row in L.values()], tuple(str(name) for name in L)
    if isinstance(L, pd.DataFrame):
        if L.index.nlevels > 1:
            return L, tuple(", ".join(str(part) for part in label) for label in L.index)
        if L.index.name is not None or all(isinstance(label, str) for label in L.index):
            return L, tuple(str(label) for label in L.index)
    return L, ()


def _from_names(L: Any, names: Sequence[str]) -> Float | None:
    """Rows given by names of coefficients; None when L is not of that form."""
    given: list[Mapping[Any, Any]]
    if isinstance(L, pd.DataFrame):
        given = [dict(row) for _, row in L.iterrows()]
    elif isinstance(L, pd.Series) and all(isinstance(name, str) for name in L.index):
        given = [dict(L)]
    elif hasattr(L, "to_dicts") or (hasattr(L, "to_pylist") and hasattr(L, "column_names")):
        given = list(L.to_dicts() if hasattr(L, "to_dicts") else L.to_pylist())  # of polars or pyarrow
    elif isinstance(L, Mapping):
        given = [L]
    elif isinstance(L, (list, tuple)) and L and all(isinstance(row, Mapping) for row in L):
        given = list(L)
    else:
        return None
    if not given or not all(given):
        raise ArgumentError("contest: L is empty; name the coefficients that it combines")
    rows = np.zeros((len(given), len(names)))
    for i, row in enumerate(given):
        for name, value in row.items():
            if name not in names:
                raise unknown_name("contest", "coefficient", name, names)
            number = _numbers(value)
            if number.ndim:
                raise ArgumentError(
                    f"contest: the factor of {name!r} has shape {number.shape}, but must be one number; "
                    "give several rows as a list of dicts, or as a dict of them with their names"
                )
            rows[i, list(names).index(name)] = number
    return rows


def _numbers(values: Any) -> Float:
    try:
        return np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"contest: L must hold numbers, or name the coefficients, such as {{'x': 1, 'z': -1}}; got {values!r}"
        ) from error


def _label(row: Float, names: Sequence[str]) -> str:
    """A row as it would be written: ``"recipe[T.B] - recipe[T.C]"``."""
    text = ""
    for value, name in zip(row, names, strict=True):
        if value:
            sign = " - " if value < 0 else " + "
            factor = "" if abs(value) == 1.0 else f"{abs(value):g} "
            text += (sign if text else sign.strip(" +")) + factor + name
    return text
