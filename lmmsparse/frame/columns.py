"""One column of data, brought to one of five kinds whatever library and storage it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.errors import DataError

Mask = NDArray[np.bool_]
WIDEST = {"b": np.bool_, "i": np.int64, "u": np.uint64}


@dataclass(frozen=True)
class Column:
    """Values of one variable.

    Attributes
    ----------
    values : (n,) pandas.Series
        With a RangeIndex.  What stands in the rows of ``missing`` means nothing.
    kind : str
        ``"number"``, ``"logical"``, ``"factor"`` (a pandas categorical), ``"text"`` or ``"time"``.
    missing : (n,) array of bool, or None
        None when nothing is missing.
    """

    values: pd.Series
    kind: str
    missing: Mask | None

    def take(self, rows: NDArray[np.intp] | None) -> Column:
        """The column at some rows; None stands for all."""
        if rows is None:
            return self
        missing = None if self.missing is None else self.missing[rows]
        return Column(self.values.take(rows).reset_index(drop=True), self.kind, missing)


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
    module = type(values).__module__.partition(".")[0]
    if module == "polars":
        return _from_pandas(name, *_from_polars(values))
    if module == "pyarrow":
        return _from_pandas(name, _from_pyarrow(values), None)
    if np.isscalar(values) or values is None or np.ndim(cast(Any, values)) != 1:
        raise DataError(f"{name!r} must be a one-dimensional array with one value for each row.")
    return _from_pandas(name, _as_series(values), None)


def _as_series(values: Any) -> pd.Series:
    if isinstance(values, pd.Series):
        return values.reset_index(drop=True)
    return pd.Series(values, copy=False)


def _from_polars(values: Any) -> tuple[pd.Series, Mask | None]:
    """Works without pyarrow, which `polars.Series.to_pandas` would need."""
    missing = cast(Mask, values.is_null().to_numpy()) if values.null_count() else None
    dtype = type(values.dtype).__name__
    if dtype in ("Enum", "Categorical"):
        # A polars categorical carries no list of levels; its own sort order stands in for it.
        levels = values.dtype.categories if dtype == "Enum" else values.drop_nulls().unique().sort()
        physical = values.to_physical().fill_null(0).to_numpy().astype(np.int64)
        codes = physical if dtype == "Enum" else _positions(physical, levels.to_physical().to_numpy())
        if missing is not None:
            codes = np.where(missing, -1, codes)
        return pd.Series(pd.Categorical.from_codes(codes, categories=pd.Index(levels.to_list()))), missing
    if missing is not None and dtype.startswith(("Int", "UInt", "Boolean")):
        values = values.fill_null(False if dtype == "Boolean" else 0)
    return pd.Series(values.to_numpy(), copy=False), missing


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


def _from_pandas(name: str, values: pd.Series, missing: Mask | None) -> Column:
    if isinstance(values.dtype, pd.SparseDtype):
        values = pd.Series(np.asarray(values), copy=False)
    dtype = values.dtype
    if str(dtype).startswith("dictionary"):  # pandas' pyarrow-backed categorical
        values = values.astype("category")
        dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return Column(values, "factor", _any(values.cat.codes.to_numpy() < 0))
    if pd.api.types.is_string_dtype(dtype) and not pd.api.types.is_object_dtype(dtype):
        return Column(values, "text", _any(values.isna().to_numpy()))
    if isinstance(dtype, pd.PeriodDtype) or dtype.kind in "mM":
        return Column(values, "time", _any(values.isna().to_numpy()))
    if isinstance(dtype, pd.IntervalDtype):
        return _from_pandas(name, values.astype("category"), None)
    if dtype.kind in "biu":
        if not isinstance(dtype, np.dtype):
            missing = _any(values.isna().to_numpy())
            plain = getattr(dtype, "numpy_dtype", WIDEST[dtype.kind])
            values = pd.Series(values.to_numpy(dtype=plain, na_value=0), copy=False)
        return Column(values, "logical" if dtype.kind == "b" else "number", missing)
    if dtype.kind == "f":
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return Column(pd.Series(numbers, copy=False), "number", _any(np.isnan(numbers)))
    if dtype.kind == "O":
        return _from_objects(name, values)
    raise DataError(f"Column {name!r} is of type {dtype}, which a model cannot use; convert it to numbers or text.")


def _from_objects(name: str, values: pd.Series) -> Column:
    values = values.astype(object)
    gaps = values.isna().to_numpy()
    missing = _any(gaps)
    inferred = pd.api.types.infer_dtype(values[~gaps])
    if inferred == "boolean":
        return Column(pd.Series(np.where(gaps, False, values).astype(bool)), "logical", missing)
    if inferred in ("datetime", "datetime64", "date"):
        return Column(pd.to_datetime(values), "time", missing)
    if inferred in ("timedelta", "timedelta64", "period", "time", "interval"):
        return _from_pandas(name, values.astype("category"), None)
    if inferred in ("string", "mixed-integer", "bytes"):
        return Column(
            pd.Series([None if gap else _text(v) for gap, v in zip(gaps, values, strict=True)]),
            "text",
            missing,
        )
    if inferred == "integer":
        whole = np.where(gaps, 0, values)
        small = all(abs(number) < 2**63 for number in whole)
        return Column(pd.Series(whole.astype(np.int64 if small else np.float64)), "number", missing)
    if inferred != "complex" and not any(isinstance(value, str) for value in values):
        try:
            numbers = np.where(gaps, np.nan, values).astype(np.float64)
        except (TypeError, ValueError) as error:
            raise _unusable(name, values, gaps) from error
        return Column(pd.Series(numbers), "number", _any(np.isnan(numbers)))
    if inferred == "mixed":
        return Column(
            pd.Series([None if gap else _text(v) for gap, v in zip(gaps, values, strict=True)]),
            "text",
            missing,
        )
    raise _unusable(name, values, gaps)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _unusable(name: str, values: pd.Series, gaps: Mask) -> DataError:
    first = values[int(np.flatnonzero(~gaps)[0])]
    return DataError(
        f"Column {name!r} holds objects of type {type(first).__name__}, which a model cannot use;"
        " convert it to numbers or text."
    )


def _any(mask: NDArray[Any]) -> Mask | None:
    return cast(Mask, mask) if mask.any() else None
