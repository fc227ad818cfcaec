"""The edge to the data libraries: pandas, polars, pyarrow and dicts of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lmmsparse.arguments import as_dict, length_of, name_of
from lmmsparse.errors import DataError, MissingDependencyError
from lmmsparse.frame.columns import Column, column_of

MOST_ROWS = 2**31 - 1
ACCEPTED = "a pandas, polars or pyarrow frame, or a dict of arrays"


@dataclass(frozen=True)
class Table:
    """A data source of which single columns are read.

    Attributes
    ----------
    native : object
        What the user gave.
    places : dict of str to list
        Column names, each with the positions or keys under which it is found; more than one is ambiguous.
    n_rows : int
    index : pandas.Index
        Row labels: of a pandas frame, of the Series in a dict, else 0, 1, ….
    library : str
        ``"pandas"``, ``"polars"``, ``"pyarrow"`` or ``"dict"``.
    """

    native: Any
    places: dict[str, list[Any]]
    n_rows: int
    index: pd.Index
    library: str

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self.places)

    def column(self, name: str) -> Column:
        """Read one column, which must exist.

        Raises
        ------
        DataError
            Two columns have this name, or its values are of no use.
        """
        places = self.places[name]
        if len(places) > 1:
            raise DataError(f"The data have {len(places)} columns named {name!r}; rename all but one.")
        if self.library == "dict":
            return column_of(name, self.native[places[0]])
        if self.library == "pandas":
            return column_of(name, _pandas_column(self.native, name, places[0]))
        if self.library == "pyarrow":
            return column_of(name, self.native.column(places[0]))
        return column_of(name, self.native.get_column(name))


def open_table(data: Any, allow_empty: bool = False) -> Table:
    """Recognise the data's library.

    Parameters
    ----------
    data : frame, dict of arrays or Table
    allow_empty : bool
        A table without rows will do.

    Raises
    ------
    DataError
        It is no frame, a lazy one, a dict with columns of different lengths, or has no rows or too many.
    """
    if isinstance(data, Table):
        return data
    table = _open(data)
    if table.n_rows > MOST_ROWS:
        raise DataError(f"The data have {table.n_rows} rows; there may be {MOST_ROWS}, which 32-bit integers count.")
    if table.n_rows == 0 and not allow_empty:
        raise DataError("The data have no rows.")
    return table


def _open(data: Any) -> Table:
    if isinstance(data, pd.DataFrame):
        return Table(data, _places(data.columns), len(data), data.index, "pandas")
    if isinstance(data, Mapping):
        return _open_dict(data)
    import narwhals as nw  # pandas frames and dicts do without it

    try:
        frame = nw.from_native(data)
    except TypeError:
        raise DataError(f"data must be {ACCEPTED}, not {type(data).__name__}.") from None
    except nw.exceptions.DuplicateError:  # of pyarrow alone, which allows it: an error if the formula has the name
        return Table(data, _places(data.column_names), data.num_rows, pd.RangeIndex(data.num_rows), "pyarrow")
    if isinstance(frame, nw.LazyFrame):
        raise DataError(f"data is a lazy {type(data).__name__}; collect() it first.")
    if not isinstance(frame, nw.DataFrame):
        raise DataError(f"data must be {ACCEPTED}, not {type(data).__name__}.")
    if frame.implementation.is_pyarrow():
        return Table(data, _places(data.column_names), data.num_rows, pd.RangeIndex(data.num_rows), "pyarrow")
    if frame.implementation.is_polars():
        return Table(data, _places(data.columns), data.height, pd.RangeIndex(data.height), "polars")
    return _open(frame.to_pandas())


def _pandas_column(frame: pd.DataFrame, name: str, place: int) -> pd.Series:
    """The column at a place; by its name where that is the label, which is quicker."""
    labels = frame.columns
    if labels.nlevels == 1 and labels[place] == name:
        return frame[name]
    return frame.iloc[:, place]


def _places(names: Any) -> dict[str, list[Any]]:
    places: dict[str, list[Any]] = {}
    for i, name in enumerate(names):
        places.setdefault(name_of(name), []).append(i)
    return places


def _open_dict(data: Mapping[Any, Any]) -> Table:
    columns = as_dict(data)
    if columns is None:
        raise DataError(
            f"The columns of the data, of type {type(data).__name__}, cannot be read; give a dict of arrays."
        )
    lengths: dict[str, int] = {}
    for key, values in columns.items():
        count = length_of(values)
        if count is None:
            raise DataError(f"Column {name_of(key)!r} of the data is a single value; give one value for each row.")
        lengths[name_of(key)] = count
    if not lengths:
        raise DataError("The data have no columns.")
    first, n_rows = next(iter(lengths.items()))
    indexed = [(name_of(key), values.index) for key, values in columns.items() if isinstance(values, pd.Series)]
    for name, index in indexed[1:]:
        if not index.equals(indexed[0][1]):
            raise DataError(
                f"Columns {indexed[0][0]!r} and {name!r} are Series with different indexes; make a DataFrame of them, "
                "or give arrays to have them taken by position (to_numpy())."
            )
    for name, length in lengths.items():
        if length != n_rows:
            raise DataError(f"Column {name!r} has {length} values, but column {first!r} has {n_rows}.")
    places: dict[str, list[Any]] = {}
    for key in columns:
        places.setdefault(name_of(key), []).append(key)
    return Table(columns, places, n_rows, indexed[0][1] if indexed else pd.RangeIndex(n_rows), "dict")


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
    for name, values in labels + [(str(name), _plain_values(frame.iloc[:, j])) for j, name in enumerate(frame.columns)]:
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


def _plain_values(column: pd.Series) -> Any:
    return column.to_numpy() if column.dtype.kind in "fiub" else column.to_list()
