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
    columns: dict[str, Any] = {} if index_name is None else {index_name: [str(v) for v in frame.index]}
    columns |= {
        str(name): frame[name].to_list() if frame[name].dtype.kind not in "fiub" else frame[name].to_numpy()
        for name in frame.columns
    }
    try:
        if library == "polars":
            import polars

            return polars.DataFrame(columns)
        import pyarrow

        return pyarrow.table(columns)
    except ImportError as error:  # the data came from there, so it can only have been removed since
        raise MissingDependencyError(f"{library} is not installed any more") from error
