"""A packaged dataset as a frame of the caller's library."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import as_text, shown
from lmmsparse.datasets.catalogue import DATA, DatasetInfo, dataset_info
from lmmsparse.errors import ArgumentError, MissingDependencyError

if TYPE_CHECKING:
    import polars as pl


@overload
def load_dataset(name: str, library: Literal["pandas"] = "pandas") -> pd.DataFrame: ...
@overload
def load_dataset(name: str, library: Literal["polars"]) -> pl.DataFrame: ...
def load_dataset(name: str, library: Literal["pandas", "polars"] = "pandas") -> pd.DataFrame | pl.DataFrame:
    """Load a packaged dataset.

    Factors become categories in R's order of levels (pandas ``Categorical``, polars ``Enum``). R's ordered
    factors are ordered categories; in a formula they get treatment contrasts like any other, not the
    polynomial ones of R. Columns of whole numbers are integers.

    Parameters
    ----------
    name : str
        A name from `list_datasets`, in upper or lower case.
    library : {"pandas", "polars"}
        The library whose frame is returned.

    Returns
    -------
    pandas.DataFrame or polars.DataFrame
        A new frame at each call.

    Raises
    ------
    ArgumentError
        If there is no such dataset or library.
    MissingDependencyError
        If polars is asked for and not installed.

    Examples
    --------
    >>> from lmmsparse.datasets import load_dataset
    >>> load_dataset("sleepstudy").head(3)
       Reaction  Days Subject
    0  249.5600     0     308
    1  258.7047     1     308
    2  250.8006     2     308
    """
    info = dataset_info(name)
    wanted = as_text(library)
    if wanted == "pandas":
        return _pandas_frame(info)
    if wanted == "polars":
        return _polars_frame(info)
    raise ArgumentError(f"library must be 'pandas' or 'polars', not {shown(library)}")


def _read(info: DatasetInfo) -> dict[str, NDArray[Any]]:
    """Arrays of length `info.rows`: numbers as they are, factors as codes from 0."""
    # NumPy reads every decimal to the nearest double; pandas' default parser has not always done so.
    with (DATA / f"{info.name}.csv.gz").open("rb") as packed, gzip.open(packed, "rt") as text:
        table = np.loadtxt(text, delimiter=",", skiprows=1, ndmin=2)
    return {
        column.name: values if column.kind == "number" else values.astype(np.int64)
        for column, values in zip(info.columns, table.T.copy(), strict=True)
    }


def _pandas_frame(info: DatasetInfo) -> pd.DataFrame:
    frame = pd.DataFrame(_read(info))
    for column in info.columns:
        if column.levels:
            codes: Any = frame[column.name].to_numpy()  # older stubs of pandas know lists only
            levels = pd.Index(column.levels)
            frame[column.name] = pd.Categorical.from_codes(codes, levels, ordered=column.kind == "ordered")
    frame.attrs["name"] = info.name  # summaries print it as R prints the name of the data
    return frame


def _polars_frame(info: DatasetInfo) -> pl.DataFrame:
    try:
        import polars as pl
    except ImportError as error:
        raise MissingDependencyError("library='polars' needs polars: pip install polars") from error

    values = _read(info)
    series = []
    for column in info.columns:
        if column.levels:
            levels = pl.Series(column.name, column.levels, dtype=pl.Enum(column.levels))
            series.append(levels.gather(values[column.name]))
        else:
            series.append(pl.Series(column.name, values[column.name]))
    return pl.DataFrame(series)
