"""One column of data, brought to one of five kinds whatever library and storage it came from."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import shown
from lmmsparse.errors import DataError, LmmError, LmmWarning

Mask = NDArray[np.bool_]
WIDEST = {"b": np.bool_, "i": np.int64, "u": np.uint64}


@dataclass(frozen=True)
class Column:
    """Values of one variable.

    Attributes
    ----------
    values : (n,) array
        A NumPy array of numbers or logical values; a pandas array otherwise.  What stands in the rows of ``missing``
        means nothing.
    kind : str
        ``"number"``, ``"logical"``, ``"factor"`` (a pandas Categorical), ``"text"`` (which may be a Categorical, too,
        with its categories in order) or ``"time"``.
    missing : (n,) array of bool, or None
        None when nothing is missing.
    """

    values: Any
    kind: str
    missing: Mask | None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.intp] | None) -> Column:
        """The column at some rows; None stands for all."""
        if rows is None:
            return self
        missing = None if self.missing is None else self.missing[rows]
        if missing is not None and not missing.any():
            missing = None
        return Column(self.values.take(rows), self.kind, missing)

    @property
    def series(self) -> pd.Series:
        """The values as expressions and formulaic are to see them."""
        if self.kind == "text" and isinstance(self.values, pd.Categorical):
            return pd.Series(self.values.categories.astype("str").take(self.values.codes))
        return pd.Series(read_only(self.values), copy=False)


def read_only(values: Any) -> Any:
    """A view of an array that cannot be written to: the data are the user's."""
    if isinstance(values, np.ndarray):
        values = values.view()
        values.flags.writeable = False
    return values


def column_of(name: str, values: Any) -> Column:
    """Bring an array or series of any library to a `Column`.

    Parameters
    ----------
    name : str
        For messages.
    values : array-like of length n
        NumPy array, list, pandas, polars or pyarrow series.

    Raises
    ------
    DataError
        The values have more than one dimension, or are of a kind that a model cannot use.
    """
    try:
        column = _read(name, values)
    except LmmError:
        raise
    except Exception as error:  # whatever the library that made the values, or their own methods, raise
        raise DataError(f"{name!r}, of type {type(values).__name__}, cannot be read: {shown(error)}") from error
    if np.ndim(column.values) != 1:
        raise DataError(f"{name!r} must be a one-dimensional array with one value for each row.")
    return column


def _read(name: str, values: Any) -> Column:
    module = type(values).__module__.partition(".")[0]
    if module == "polars" and not hasattr(values, "to_numpy"):
        raise DataError(
            f"{name!r} is a polars {type(values).__name__}, not values; give the name of a column, or the column that "
            "data.select(...).to_series() makes of it."
        )
    if module == "polars":
        return _from_polars(name, values)
    if module == "pyarrow":
        return _from_series(name, _from_pyarrow(values))
    if isinstance(values, pd.Series):
        return _from_series(name, values)
    if np.isscalar(values) or values is None or np.ndim(cast(Any, values)) != 1:
        raise DataError(f"{name!r} must be a one-dimensional array with one value for each row.")
    if isinstance(values, np.ndarray) and values.dtype.kind in "biufO" and not isinstance(values, np.ma.MaskedArray):
        return _from_array(name, values, None)
    return _from_series(name, pd.Series(values, copy=False))


def _from_series(name: str, values: pd.Series) -> Column:
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biufO":
        return _from_array(name, values.to_numpy(), None)
    return _from_extension(name, values.array)


def _from_polars(name: str, values: Any) -> Column:
    """Works without pyarrow, which `polars.Series.to_pandas` would need."""
    missing = cast(Mask, values.is_null().to_numpy()) if values.null_count() else None
    dtype = type(values.dtype).__name__
    if dtype in ("Struct", "List", "Array", "Object", "Binary", "Int128", "UInt128"):
        raise DataError(f"Column {name!r} is a polars {dtype}, which a model cannot use; cast it to numbers or text.")
    if dtype in ("Enum", "Categorical", "String"):
        return _from_polars_text(values, dtype, missing)
    if missing is not None and dtype.startswith(("Int", "UInt", "Boolean")):
        values = values.fill_null(False if dtype == "Boolean" else 0)
    array = values.to_numpy()
    if array.dtype.kind in "biufO":
        return _from_array(name, array, missing)
    return _from_series(name, pd.Series(array, copy=False))


def _from_polars_text(values: Any, dtype: str, missing: Mask | None) -> Column:
    """Codes instead of Python strings; a polars categorical carries no list of levels, its sort order stands in."""
    levels = values.dtype.categories if dtype == "Enum" else values.drop_nulls().unique().sort()
    if dtype == "String":
        values = values.cast(import_module("polars").Enum(levels))
    codes = values.to_physical().fill_null(0).to_numpy().astype(np.int32)
    if dtype == "Categorical":
        codes = _positions(codes, levels.to_physical().to_numpy())
    if missing is not None:
        codes = np.where(missing, -1, codes)
    coded = pd.Categorical.from_codes(codes, categories=pd.Index(levels.to_list()))
    return Column(coded, "text" if dtype == "String" else "factor", missing)


def _positions(physical: NDArray[np.int64], levels: NDArray[Any]) -> NDArray[np.int64]:
    if levels.size == 0:
        return np.full(physical.shape, -1, dtype=np.int64)
    order = np.argsort(levels)
    place = np.minimum(np.searchsorted(levels[order], physical), levels.size - 1)
    return order[place]


def _from_pyarrow(values: Any) -> pd.Series:
    exact = values.null_count and str(values.type).startswith(("int", "uint", "bool"))
    series = values.to_pandas(types_mapper=pd.ArrowDtype) if exact else values.to_pandas()
    return cast(pd.Series, series).rename(None)


def _from_array(name: str, values: NDArray[Any], missing: Mask | None) -> Column:
    kind = values.dtype.kind
    if kind == "f":
        numbers = values.astype(np.float64, copy=False)
        gaps = numbers.size > 0 and np.isnan(numbers.min())
        return Column(numbers, "number", np.isnan(numbers) if gaps else None)
    if kind == "O":
        return _from_objects(name, pd.Series(values, copy=False))
    return Column(values, "logical" if kind == "b" else "number", missing)


def _from_extension(name: str, values: Any) -> Column:
    """From a pandas array."""
    dtype = values.dtype
    if isinstance(dtype, pd.SparseDtype):
        return _from_series(name, pd.Series(np.asarray(values), copy=False))
    if str(dtype).startswith("dictionary"):  # pandas' pyarrow-backed categorical
        values = pd.Series(values).astype("category").array
        dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return Column(values, "factor", _any(values.codes < 0))
    if pd.api.types.is_string_dtype(dtype):
        return Column(values, "text", _any(values.isna()))
    if isinstance(dtype, pd.PeriodDtype) or dtype.kind in "mM":
        return Column(values, "time", _any(values.isna()))
    if isinstance(dtype, pd.IntervalDtype):
        return _from_series(name, pd.Series(values).astype("category"))
    if dtype.kind in "biu":
        plain = getattr(dtype, "numpy_dtype", WIDEST[dtype.kind])
        return _from_array(name, values.to_numpy(dtype=plain, na_value=0), _any(values.isna()))
    if dtype.kind == "f":
        return _from_array(name, values.to_numpy(dtype=np.float64, na_value=np.nan), None)
    if dtype.kind == "O":
        return _from_objects(name, pd.Series(values).astype(object))
    raise DataError(f"Column {name!r} is of type {dtype}, which a model cannot use; convert it to numbers or text.")


def _from_objects(name: str, values: pd.Series) -> Column:
    gaps = values.isna().to_numpy()
    missing = _any(gaps)
    inferred = pd.api.types.infer_dtype(values[~gaps])
    if inferred == "boolean":
        return Column(np.where(gaps, False, values).astype(bool), "logical", missing)
    if inferred in ("datetime", "datetime64", "date"):
        return Column(pd.to_datetime(values).array, "time", missing)
    if inferred in ("timedelta", "timedelta64", "period", "time", "interval"):
        return _from_series(name, values.astype("category"))
    if inferred == "string":
        return Column(values.to_numpy(), "text", missing)
    if inferred in ("mixed-integer", "bytes"):
        return _texts(values, gaps)
    if inferred == "integer":
        whole = np.where(gaps, 0, values)
        if all(abs(number) < 2**63 for number in whole):
            return Column(whole.astype(np.int64), "number", missing)
        numbers = whole.astype(np.float64)
        if len(set(numbers.tolist())) < len(set(whole.tolist())):
            raise DataError(
                f"Column {name!r} has whole numbers beyond 2**63, not all of which floating-point numbers can tell "
                "apart; make them text if they are labels, or floats if they are measurements."
            )
        return Column(numbers, "number", missing)
    if inferred != "complex" and not any(isinstance(value, str) for value in values):
        try:
            numbers = np.where(gaps, np.nan, values).astype(np.float64)
        except (TypeError, ValueError) as error:
            raise _unusable(name, values, gaps) from error
        return Column(numbers, "number", _any(np.isnan(numbers)))
    if inferred == "mixed":
        return _texts(values, gaps)
    raise _unusable(name, values, gaps)


def _texts(values: pd.Series, gaps: Mask) -> Column:
    texts = [None if gap else _text(value) for gap, value in zip(gaps, values, strict=True)]
    return Column(pd.Series(texts).array, "text", _any(gaps))


def _text(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def _unusable(name: str, values: pd.Series, gaps: Mask) -> DataError:
    first = values.iloc[int(np.flatnonzero(~gaps)[0])]
    return DataError(
        f"Column {name!r} holds objects of type {type(first).__name__}, which a model cannot use;"
        " convert it to numbers or text."
    )


def _any(mask: NDArray[Any]) -> Mask | None:
    return cast(Mask, mask) if mask.any() else None


# So many different numbers are no labels of a factor that has other labels too.
MANY_NUMBERS = 10


def warn_of_numbers_as_text(name: str, column: Column, labels: pd.Index) -> None:
    """Warn of a text column that is numbers but perhaps for a few cells, which a model takes as a factor.

    Whole numbers alone may be names.

    Warns
    -----
    LmmWarning
        Names the column, and the first cell that is no number with its row.
    """
    if column.kind != "text":
        return
    codes, levels = pd.factorize(np.asarray(column.values, dtype=object))
    numbers = pd.to_numeric(pd.Series(levels, dtype=object), errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    numeric = ~np.isnan(numbers)
    others = int((~numeric).sum())
    if numeric.sum() < MANY_NUMBERS or others > 0.1 * len(levels) or (not others and (numbers % 1.0 == 0.0).all()):
        return
    which = "all of its values are numbers"
    if others:
        place = int(np.argmax(~numeric[codes]))
        cell = f"{str(levels[codes[place]])!r} in row {labels[place]!r}"
        which = f"nearly {which}; the first that is none is {cell}"
    warnings.warn(
        f"column {name!r} is text, and becomes a factor of {len(levels)} levels, but {which}: convert it, "
        f"pandas.to_numeric(data[{name!r}], errors='coerce'), or write factor({name}) if levels are meant",
        LmmWarning,
        stacklevel=2,
    )
