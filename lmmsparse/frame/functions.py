"""Functions that a formula can call, with R's meaning where Python's differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from formulaic.materializers.types import FactorValues
from formulaic.transforms import TRANSFORMS, ContrastsRegistry
from formulaic.transforms.contrasts import C
from formulaic.utils.stateful_transforms import stateful_transform

from lmmsparse.errors import DataError
from lmmsparse.formula import CONTRASTS

FROM_FORMULAIC = ("bs", "cr", "cc", "cs", "I")


def log(x: Any, base: float | None = None) -> Any:
    """Natural logarithm, or that to a base, as R's ``log(x, base)``."""
    return np.log(x) if base is None else np.log(x) / np.log(base)


def factor(x: Any, levels: Iterable[Any] | None = None) -> pd.Series:
    """The values as a categorical without unused levels; values outside of ``levels`` are missing."""
    series = x if isinstance(x, pd.Series) else pd.Series(x)
    if series.dtype.kind == "f":
        series = _whole_numbers(series)
    if levels is not None:
        wanted = pd.Index(list(levels))
        codes = wanted.get_indexer(pd.Index(series))
        series = pd.Series(pd.Categorical.from_codes(codes, categories=wanted), index=series.index)
    return series.astype("category").cat.remove_unused_categories()


def _whole_numbers(series: pd.Series) -> pd.Series:
    """Floats that are whole numbers become integers, so that levels read 175 and not 175.0."""
    present = series.dropna()
    if len(present) < len(series) or not (np.mod(present, 1) == 0).all() or not (present.abs() < 2**53).all():
        return series
    return series.astype(np.int64)


def categorical(x: Any, contrasts: Any = None, *, levels: Iterable[Any] | None = None) -> Any:
    """Mark as categorical, with contrasts; values outside of ``levels`` are missing.

    formulaic's own would give those a row of zeros.
    """
    return C(factor(x, levels), contrasts=contrasts)


@stateful_transform  # type: ignore[untyped-decorator]
def scale(x: Any, center: Any = True, scale: Any = True, _state: dict[str, Any] | None = None) -> Any:
    """Subtract the mean and divide by the standard deviation, or use what is given.

    As in R, missing values are ignored, and without centring the divisor is the root mean square.
    """
    state = {} if _state is None else _state
    values = np.asarray(x, dtype=np.float64)
    if "center" not in state:
        state["center"] = _learned(center, lambda: np.nanmean(values, axis=0), 0.0)
    values = values - state["center"]
    if "scale" not in state:
        if scale is True and center is True and len(values) and np.any(np.nanmax(x, axis=0) == np.nanmin(x, axis=0)):
            raise DataError("scale() of a constant divides by zero: its variable is constant, leave the term out")
        spread = np.sqrt(np.nansum(values**2, axis=0) / (np.count_nonzero(~np.isnan(values), axis=0) - 1))
        state["scale"] = _learned(scale, lambda: spread, 1.0)
        if np.any(np.asarray(state["scale"]) == 0) or not np.all(np.isfinite(state["scale"])):
            raise DataError("scale() of a constant divides by zero: its variable is constant, leave the term out")
    return values / state["scale"]


def _learned(wish: Any, learn: Callable[[], Any], neutral: float) -> Any:
    if isinstance(wish, bool | np.bool_):
        return learn() if wish else neutral
    return np.asarray(wish, dtype=np.float64)


@stateful_transform  # type: ignore[untyped-decorator]
def center(x: Any, _state: dict[str, Any] | None = None) -> Any:
    """Subtract the mean."""
    return scale(x, scale=False, _state=_state)


def as_numeric(x: Any) -> Any:
    """The values as floating-point numbers."""
    dtype = getattr(x, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype) or (dtype is not None and dtype.kind not in "biuf"):
        raise DataError("as.numeric() of a categorical or text column has two meanings; convert it in the data.")
    return x.astype(np.float64) if dtype is not None else float(x)


def as_double(x: Any) -> Any:
    """Operand of an arithmetic operation as R would see it.

    Integers become floating-point, so that nothing overflows, and logical values numbers, so that their sum
    counts.
    """
    dtype = getattr(x, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf" and dtype != np.float64:
        return x.astype(np.float64)
    return float(x) if isinstance(x, bool | int) else x


@stateful_transform  # type: ignore[untyped-decorator]
def poly(x: Any, degree: int = 1, raw: bool = False, _state: dict[str, Any] | None = None) -> Any:
    """Polynomials, orthogonal over the data of the fit or raw; the columns are called 1, 2, ... as in R."""
    if degree < 1:
        raise DataError("the degree of poly() must be 1 or more")
    state = {} if _state is None else _state
    values = np.asarray(x, dtype=np.float64)
    if raw:
        powers = np.column_stack([values**k for k in range(1, degree + 1)])
        return FactorValues(powers, column_names=tuple(str(k) for k in range(1, degree + 1)))
    if not state:
        distinct = np.unique(values[~np.isnan(values)]).size
        if distinct <= degree:
            raise DataError(
                f"poly() of degree {degree} needs {degree + 1} distinct values or more; its variable has {distinct} in "
                "the rows that are used: lower the degree, or leave the term out"
            )
    return TRANSFORMS["poly"](values, degree, _state=state)


FUNCTIONS: dict[str, Any] = {
    "log": log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "exp": np.exp,
    "expm1": np.expm1,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "floor": np.floor,
    "round": np.round,
    "factor": factor,
    "as_factor": factor,
    "as_numeric": as_numeric,
    "C": categorical,
    "scale": scale,
    "center": center,
    "poly": poly,
    **{name: TRANSFORMS[name] for name in FROM_FORMULAIC},
}


def custom(contrasts: Any, names: Any = None) -> Any:
    """Contrasts by their matrix, (levels, columns), and the names of its columns."""
    try:
        matrix = np.array(contrasts, dtype=np.float64)
        written = any(isinstance(value, str) for value in np.ravel(np.array(contrasts, dtype=object)))
    except (TypeError, ValueError, OverflowError):
        matrix, written = np.zeros(0), True
    if written or matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise DataError("custom contrasts are a matrix of numbers, one row a level and one column a coefficient")
    texts = None if names is None else [str(name) for name in names]
    if texts is not None and (len(texts) != matrix.shape[1] or len(set(texts)) < len(texts)):
        raise DataError(f"custom contrasts need {matrix.shape[1]} different names, one a column; got {texts}")
    return ContrastsRegistry.custom(matrix, names=texts)


CODINGS = {name: getattr(ContrastsRegistry, name) for name in CONTRASTS} | {"custom": custom}
