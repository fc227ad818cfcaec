"""Values that no argument expects: of every type, shape, order and size, and objects whose own methods raise."""

from __future__ import annotations

import decimal
import fractions
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from scipy.sparse import csr_array

HUGE = 10**400  # too large for a float
UNPRINTABLE = 10**5000  # too long for repr


class HostileError(Exception):
    """What the methods of a hostile object raise: it must not be seen outside."""


def _refuse(*_: Any, **__: Any) -> Any:
    raise HostileError


def hostile(*methods: str, base: type = object, **members: Any) -> type:
    """A class of which these methods raise."""
    return type("Hostile", (base,), {**dict.fromkeys(methods, _refuse), **members})


def _objects() -> dict[str, Any]:
    everything = ("__bool__", "__len__", "__iter__", "__getitem__", "__eq__", "__float__", "__int__", "__index__")
    return {
        "object": object(),
        "hostile bool": hostile("__bool__")(),
        "hostile len": hostile("__len__")(),
        "negative len": hostile(__len__=lambda self: -1, __getitem__=lambda self, i: 1.0)(),
        "hostile iter": hostile("__iter__")(),
        "hostile array": hostile("__array__", __len__=lambda self: 48)(),
        "array of text": hostile(__array__=lambda self, *_, **__: "no array", __len__=lambda self: 48)(),
        "hostile repr": hostile("__repr__", "__str__", "__format__")(),
        "repr no text": hostile(__repr__=lambda self: 3)(),
        "hostile eq": hostile("__eq__", "__hash__")(),
        "hostile hash": hostile("__hash__")(),
        "hostile numbers": hostile("__float__", "__int__", "__index__", "__complex__")(),
        "hostile getattr": hostile("__getattr__")(),
        "any attribute": hostile(__getattr__=lambda self, name: self if name[:2] != "__" else _attribute(name))(),
        "hostile all": hostile(*everything, "__repr__", "__str__", "__hash__", "__array__")(),
        "hostile str": hostile("__eq__", "__hash__", "__repr__", base=str)("Days"),
        "hostile int": hostile("__eq__", "__lt__", "__gt__", "__int__", "__repr__", base=int)(3),
        "hostile float": hostile("__eq__", "__lt__", "__gt__", "__float__", "__repr__", base=float)(0.5),
        "hostile dict": hostile("__getitem__", "__iter__", "items", "keys", "get", base=dict)(a=1),
        "hostile list": hostile("__iter__", "__len__", "__getitem__", base=list)([1.0]),
        "int subclass": hostile(base=int)(3),
        "str subclass": hostile(base=str)("Days"),
        "class": int,
        "function": lambda *_: 1.0,
        "hostile function": _refuse,
        "module": np,
        "generator": (i for i in range(3)),
        "endless": itertools.count(),
        "ellipsis": ...,
        "slice": slice(0, 3),
    }


def _attribute(name: str) -> Any:
    raise AttributeError(name)


def _scalars() -> dict[str, Any]:
    floats = [0.5, 0.95, 1.0, 1.5, -0.5, np.nan, np.inf, -np.inf, 1e308, 5e-324, 1 - 1e-17, 1 - 1e-16]
    texts = [
        "",
        " ",
        "no",
        "False",
        "Days",
        "g",
        "x",
        "\ud800",
        "²",
        "a\0b",
        "\x1b[31m",
        "~",
        "~(1|g)",
        "(",
        "x" * 9999,
    ]
    others = [
        None,
        True,
        False,
        np.True_,
        0,
        1,
        -1,
        3,
        2**31,
        2**63,
        HUGE,
        -HUGE,
        UNPRINTABLE,
        1j,
        np.float32(0.9),
        np.int8(3),
        np.uint64(3),
        np.float64("nan"),
        np.complex128(1),
        np.longdouble(0.5),
        np.datetime64("2024-01-01"),
        np.timedelta64(1, "D"),
        np.str_("x"),
        np.bytes_(b"x"),
        fractions.Fraction(1, 2),
        decimal.Decimal("0.5"),
        decimal.Decimal("NaN"),
        decimal.Decimal("sNaN"),
        pd.NA,
        pd.NaT,
        pd.Timestamp("2024-01-01"),
        pd.Interval(0, 1),
        b"x",
        b"\xff",
        bytearray(b"x"),
        memoryview(b"x"),
        pa.scalar(1.0),
        pl.col("x"),
        range(3),
    ]
    return {f"{type(one).__name__} {i}": one for i, one in enumerate([*others, *floats, *texts])}


def _sequences(n: int) -> dict[str, Any]:
    numbers = np.linspace(1.0, 2.0, n) + 0.1 * np.arange(n) % 0.7
    nested: list[Any] = []
    nested.append(nested)
    plain: dict[str, Any] = {
        "list": numbers.tolist(),
        "tuple": tuple(numbers.tolist()),
        "list of text": ["a", "b"] * (n // 2),
        "list of bytes": [b"a", b"\xff"] * (n // 2),
        "list of None": [None] * n,
        "list of lists": [[1.0]] * n,
        "ragged": [[1.0], [1.0, 2.0]] * (n // 2),
        "list with itself": nested,
        "list of dicts": [{}] * n,
        "list of huge": [HUGE] * n,
        "list of hostile": [hostile("__float__", "__repr__", "__str__", "__eq__", "__hash__")() for _ in range(n)],
        "list with None": [None],
        "list with 2**63": [2**63] * n,
        "empty list": [],
        "empty tuple": (),
        "empty dict": {},
        "empty set": set(),
        "set": {1, 2},
        "frozenset": frozenset({"x"}),
        "dict": {"x": 1.0},
        "dict of None": {None: None},
        "dict of huge": {"x": HUGE},
        "dict of hostile": {hostile("__repr__", "__str__")(): hostile("__repr__", "__str__")()},
        "dict of lists": {"x": [1.0, 2.0], "g": [0, 1], "y": [0.0, 1.0]},
        "dict of scalars": {"x": 1.0, "g": 1, "y": 0.0},
        "dict of hostile columns": {"y": _objects()["hostile array"], "x": _objects()["hostile all"], "g": numbers},
        "one name": ["x"],
        "names": ["x", "(Intercept)"],
        "iterator": iter(numbers.tolist()),
        "map": map(float, numbers.tolist()),
        "zip": zip(numbers, numbers, strict=True),
    }
    arrays: dict[str, Any] = {
        "0-d": np.array(0.5),
        "0-d object": np.array(None),
        "0-d text": np.array("x"),
        "no values": np.empty(0),
        "0 x 2": np.empty((0, 2)),
        "array": numbers,
        "one less": numbers[1:],
        "one value": numbers[:1],
        "column": numbers[:, None],
        "row": numbers[None],
        "matrix": np.column_stack([numbers, numbers**2]),
        "2 x 2": np.eye(2),
        "3-d": numbers.reshape(2, 2, -1),
        "nan": np.full(n, np.nan),
        "one nan": np.where(np.arange(n) == 2, np.nan, numbers),
        "inf": np.full(n, np.inf),
        "huge floats": np.full(n, 1e308) * np.where(np.arange(n) % 2, 1.0, -1.0),
        "tiny floats": 5e-324 * np.arange(n),
        "negative": -numbers,
        "zeros": np.zeros(n),
        "bool": np.arange(n) % 3 > 0,
        "int8": np.arange(n).astype(np.int8),
        "uint64": np.arange(n).astype(np.uint64) + 2**63,
        "float16": numbers.astype(np.float16),
        "longdouble": numbers.astype(np.longdouble),
        "complex": numbers * 1j,
        "big-endian": numbers.astype(">f8"),
        "big-endian int": np.arange(n).astype(">i4") % 5,
        "big-endian text": (np.arange(n) % 5).astype(">U3"),
        "bytes array": (np.arange(n) % 5).astype("S3"),
        "void": numbers.view("V8"),
        "records": np.zeros(n, dtype=[("a", float), ("b", int)]),
        "datetimes": np.arange(n).astype("datetime64[D]"),
        "timedeltas": np.arange(n).astype("timedelta64[D]"),
        "NaT": np.full(n, "NaT", dtype="datetime64[D]"),
        "objects": numbers.astype(object),
        "object None": np.full(n, None),
        "object huge": np.full(n, HUGE, dtype=object),
        "object mixed": np.array([1.0, "a", None, b"\xff", (), {}] * (n // 6), dtype=object),
        "masked": np.ma.array(numbers, mask=np.arange(n) == 2),
        "all masked": np.ma.masked_all(n),
        "np.matrix": np.asmatrix(numbers),
        "read-only": _locked(numbers),
        "strided": np.repeat(numbers, 2)[::2],
        "reversed": numbers[::-1],
        "fortran": np.asfortranarray(np.column_stack([numbers, numbers])),
        "sparse": csr_array(np.eye(2)),
    }
    return plain | arrays


def _locked(values: Any) -> Any:
    out = values.copy()
    out.flags.writeable = False
    return out


def _frames(n: int) -> dict[str, Any]:
    numbers, codes = np.linspace(1.0, 2.0, n), np.arange(n) % 6
    mixed = np.random.default_rng(0).permutation(n)
    frame = pd.DataFrame({"y": numbers + np.sin(np.arange(n)), "x": numbers[::-1] ** 2, "g": codes})
    series = frame["y"]
    doubled = frame.set_axis(["x", "x", "g"], axis=1)
    pairs = pd.MultiIndex.from_arrays([codes, np.arange(n)])
    return {
        "Series": series,
        "Series, other order": series.iloc[mixed],
        "Series, other labels": series.set_axis(np.arange(n) + 5),
        "Series, one label": series.set_axis([0] * n),
        "Series, MultiIndex": series.set_axis(pairs),
        "Series, text": series.astype(str),
        "Series, string": series.astype("string"),
        "Series, category": pd.Series(codes).astype("category"),
        "Series, Int64": pd.Series(codes).astype("Int64").mask(pd.Series(codes) == 1),
        "Series, boolean": pd.Series(codes > 2).astype("boolean").mask(pd.Series(codes) == 1),
        "Series, sparse": pd.Series(pd.arrays.SparseArray(numbers)),
        "Series, arrow": series.astype("float64[pyarrow]"),
        "Series, empty": pd.Series([], dtype=float),
        "Series by name": pd.Series({"x": 1.0}),
        "Index": pd.Index(numbers),
        "MultiIndex": pairs,
        "Categorical": pd.Categorical(codes),
        "frame": frame,
        "frame, other order": frame.iloc[mixed],
        "frame, empty": frame.iloc[:0],
        "frame, no columns": frame[[]],
        "frame, one column": frame[["y"]],
        "frame, one column, other order": frame[["y"]].iloc[mixed],
        "frame, doubled names": doubled,
        "frame, numbers as names": frame.set_axis([0, 1, 2], axis=1),
        "frame of objects": frame.astype(object),
        "frame of missing": frame * np.nan,
        "frame, MultiIndex": frame.set_axis(pairs),
        "groupby": frame.groupby("g"),
        "pl.Series": pl.Series("y", numbers),
        "pl.Series, null": pl.Series("y", [None] * n),
        "pl.Series, text": pl.Series("y", ["a"] * n),
        "pl.Series, list": pl.Series("y", [[1.0]] * n),
        "pl.Series, struct": pl.Series("y", [{"a": 1}] * n),
        "pl.Series, decimal": pl.Series("y", [decimal.Decimal("0.5")] * n),
        "pl.Series, Int128": pl.Series("y", codes).cast(pl.Int128),
        "pl.Series, object": pl.Series("y", [object()] * n, dtype=pl.Object),
        "pl.DataFrame": pl.DataFrame(frame.to_dict("list")),
        "pl.DataFrame, empty": pl.DataFrame(),
        "pl.LazyFrame": pl.DataFrame(frame.to_dict("list")).lazy(),
        "pa.array": pa.array(numbers),
        "pa.array, null": pa.nulls(n),
        "pa.array, list": pa.array([[1.0]] * n),
        "pa.array, binary": pa.array([b"\xff"] * n),
        "pa.chunked": pa.chunked_array([numbers[:9], numbers[9:]]),
        "pa.table": pa.table(frame.to_dict("list")),
        "pa.table, doubled names": pa.table([pa.array(numbers)] * 4, names=["y", "x", "g", "g"]),
    }


def values(n: int) -> dict[str, Callable[[], Any]]:
    """By name, what makes each: iterators, which are used up, anew at every call.

    Parameters
    ----------
    n : int
        Rows of the fit, a multiple of 12.
    """
    kinds: list[Callable[[], Mapping[str, Any]]] = [_objects, _scalars, lambda: _sequences(n), lambda: _frames(n)]

    def made(kind: Callable[[], Mapping[str, Any]], name: str, value: Any) -> Callable[[], Any]:
        return (lambda: kind()[name]) if issubclass(type(value), Iterator) else lambda: value

    return {name: made(kind, name, value) for kind in kinds for name, value in kind().items()}
