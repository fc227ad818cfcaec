"""Contrast matrices from what a user writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import as_dict, as_list, as_numbers, as_text, has, name_of, shown, unknown_name
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
        shape = rows.shape
        if rows.ndim == 1:
            rows = rows[None, :]
        if rows.ndim != 2 or rows.shape[1] != len(names) or not len(rows):
            raise ArgumentError(
                f"contest: L has shape {shape}, but must have one column for each of the {len(names)} "
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
    if isinstance(L, Mapping):
        named = _row(L)
        if named and all(isinstance(row, (Mapping, pd.Series)) for row in named.values()):
            return [_row(row) for row in named.values()], tuple(name_of(name) for name in named)
        return named, ()
    if isinstance(L, pd.DataFrame):
        if L.index.nlevels > 1:
            return L, tuple(", ".join(name_of(part) for part in label) for label in L.index)
        if L.index.name is not None or all(isinstance(label, str) for label in L.index):
            return L, tuple(name_of(label) for label in L.index)
    return L, ()


def _from_names(L: Any, names: Sequence[str]) -> Float | None:
    """Rows given by names of coefficients; None when L is not of that form."""
    given: list[dict[Any, Any]]
    if isinstance(L, pd.DataFrame):
        _check_names(L.columns)
        given = [dict(row) for _, row in L.iterrows()]
    elif isinstance(L, pd.Series) and all(isinstance(name, str) for name in L.index):
        given = [_row(L)]
    elif has(L, "to_dicts"):  # of polars
        given = list(L.to_dicts())
    elif has(L, "to_pylist", "column_names"):  # of pyarrow
        _check_names(pd.Index(L.column_names))
        given = list(L.to_pylist())
    elif isinstance(L, Mapping):
        given = [_row(L)]
    else:
        rows = as_list(L) if isinstance(L, (list, tuple)) else []
        if not rows or not all(isinstance(row, Mapping) for row in rows):
            return None
        given = [_row(row) for row in rows]
    if not given or not all(len(row) for row in given):
        raise ArgumentError("contest: L is empty; name the coefficients that it combines")
    out = np.zeros((len(given), len(names)))
    for i, row in enumerate(given):
        for name, value in row.items():
            word = as_text(name)
            if word is None or word not in names:
                raise unknown_name("contest", "coefficient", name, names)
            number = _numbers(value)
            if number.ndim:
                raise ArgumentError(
                    f"contest: the factor of {shown(word)} has shape {number.shape}, but must be one number; "
                    "give several rows as a list of dicts, or as a dict of them with their names"
                )
            out[i, list(names).index(word)] = number
    return out


def _row(row: Any) -> dict[Any, Any]:
    """A row by names of coefficients."""
    if isinstance(row, pd.Series):
        _check_names(row.index)
        return dict(row)
    found = as_dict(row)
    if found is None:
        raise ArgumentError(f"contest: a row of L cannot be read, got {shown(row)}")
    return found


def _check_names(names: pd.Index) -> None:
    """Of two columns of one name, a row would have the last."""
    if not names.is_unique:
        raise ArgumentError(f"contest: L names {shown(names[names.duplicated()][0])} twice")


def _numbers(values: Any) -> Float:
    found = as_numbers(values)
    if found is None:
        raise ArgumentError(
            f"contest: L must hold numbers, or name the coefficients, such as {{'x': 1, 'z': -1}}; got {shown(values)}"
        )
    return found


def _label(row: Float, names: Sequence[str]) -> str:
    """A row as it would be written: ``"recipe[T.B] - recipe[T.C]"``."""
    text = ""
    for value, name in zip(row, names, strict=True):
        if value:
            sign = " - " if value < 0 else " + "
            factor = "" if abs(value) == 1.0 else f"{abs(value):g} "
            text += (sign if text else sign.strip(" +")) + factor + name
    return text
