"""Frames in the library that the caller's data came in."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lmmsparse.errors import MissingDependencyError


def to_library(frame: pd.DataFrame, library: str, index_name: str | None = None) -> Any:
    """A pandas frame as pandas, polars or pyarrow.

    Parameters
    ----------
    frame : pandas.DataFrame
    library : {"pandas", "polars", "pyarrow", "dict"}
    index_name : str, optional
        Name of the column that takes the index where the library has none; left out by default.
    """
    if library not in ("polars", "pyarrow"):
        return frame
    labels = [] if index_name is None else [(index_name, [str(v) for v in frame.index])]
    columns: dict[str, Any] = {}
    for name, values in labels + [(str(name), _values(frame.iloc[:, j])) for j, name in enumerate(frame.columns)]:
        count, unique = 1, name
        while unique in columns:  # pandas allows a name twice, the others do not
            unique, count = f"{name}.{count}", count + 1
        columns[unique] = values
    try:
        if library == "polars":
            import polars

            return polars.DataFrame(columns)
        import pyarrow

        return pyarrow.table(columns)
    except ImportError as error:  # the data came from there, so it can only have been removed since
        raise MissingDependencyError(f"{library} is not installed any more") from error


def _values(column: pd.Series) -> Any:
    return column.to_numpy() if column.dtype.kind in "fiub" else column.to_list()
