"""The same frame from every library, every storage, and with every kind of gap."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from lmmsparse.errors import DataError, FormulaError
from lmmsparse.formula import parse_formula
from lmmsparse.frame import ModelFrame, build_model_frame

N = 24
DATA: dict[str, list[Any]] = {
    "y": [0.5 * i * i - 3 * i for i in range(N)],
    "x": [i % 7 for i in range(N)],
    "f": ["c" if i % 3 == 0 else "a" if i % 3 == 1 else "b" for i in range(N)],
    "g": [f"s{i % 5}" for i in range(N)],
}


def frame_of(data: Any, text: str = "y ~ x + f + (x|g)", **arguments: Any) -> ModelFrame:
    return build_model_frame(parse_formula(text), data, **arguments)


def polars(data: dict[str, Any], **dtypes: Any) -> Any:
    pl = pytest.importorskip("polars")
    return pl.DataFrame({name: pl.Series(name, values, strict=False) for name, values in data.items()})


def pyarrow(data: dict[str, Any]) -> Any:
    return pytest.importorskip("pyarrow").table(data)


SOURCES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "pandas": pd.DataFrame,
    "polars": polars,
    "pyarrow": pyarrow,
    "dict": dict,
}


@pytest.mark.parametrize("library", SOURCES)
def test_every_library_gives_the_same_frame(library: str) -> None:
    frame = frame_of(SOURCES[library](DATA))
    assert frame.library == library
    np.testing.assert_array_equal(frame.y, DATA["y"])
    assert frame.fixed_names == ("(Intercept)", "x", "f[T.b]", "f[T.c]")
    np.testing.assert_array_equal(frame.X[:, 1], DATA["x"])
    np.testing.assert_array_equal(frame.X[:, 2], [value == "b" for value in DATA["f"]])
    assert frame.groupings["g"].levels.tolist() == ["s0", "s1", "s2", "s3", "s4"]
    np.testing.assert_array_equal(frame.groupings["g"].codes, np.arange(N) % 5)
    assert frame.groupings["g"].codes.dtype == np.int8
    assert isinstance(frame.index, pd.RangeIndex)


@pytest.mark.parametrize("library", SOURCES)
@pytest.mark.parametrize("name", ["y", "x", "f", "g"])
def test_a_gap_in_any_variable_drops_its_row(library: str, name: str) -> None:
    data = {key: [None if key == name and i in (2, 9) else value for i, value in enumerate(values)]
            for key, values in DATA.items()}  # fmt: skip
    frame = frame_of(SOURCES[library](data))
    kept = [i for i in range(N) if i not in (2, 9)]
    np.testing.assert_array_equal(frame.rows, kept)
    np.testing.assert_array_equal(frame.y, np.array(DATA["y"])[kept])
    np.testing.assert_array_equal(frame.X[:, 1], np.array(DATA["x"])[kept])
    np.testing.assert_array_equal(frame.groupings["g"].codes, np.array(kept) % 5)
    assert len(frame.source_index) == N


@pytest.mark.parametrize("gap", [None, float("nan"), pd.NA, pd.NaT])
def test_all_spellings_of_missing_are_missing(gap: Any) -> None:
    data = pd.DataFrame(DATA).astype({"x": object, "g": object})
    data.loc[3, "x"] = gap
    data.loc[4, "g"] = gap
    np.testing.assert_array_equal(frame_of(data).rows, [i for i in range(N) if i not in (3, 4)])


def test_polars_nan_and_null_are_both_missing() -> None:
    pl = pytest.importorskip("polars")
    data = pl.DataFrame(DATA).with_columns(pl.Series("x", [None, float("nan"), *range(2, N)], dtype=pl.Float64))
    np.testing.assert_array_equal(frame_of(data).rows, np.arange(2, N))


@pytest.mark.parametrize("kind", ["Enum", "Categorical"])
@pytest.mark.parametrize("gap", [False, True])
def test_polars_categoricals(kind: str, gap: bool) -> None:
    pl = pytest.importorskip("polars")
    values = [None if gap and i == 0 else value for i, value in enumerate(DATA["f"])]
    dtype = pl.Enum(["c", "unused", "b", "a"]) if kind == "Enum" else pl.Categorical
    data = pl.DataFrame(DATA).with_columns(pl.Series("f", values, dtype=dtype))
    frame = frame_of(data, "y ~ f + (1|g) + (1|f)")
    order = ["c", "b", "a"] if kind == "Enum" else sorted("abc")
    if kind == "Enum":
        assert frame.groupings["f"].levels.tolist() == order
    assert frame.fixed_names[1:] == tuple(f"f[T.{level}]" for level in frame.groupings["f"].levels[1:])
    labels = frame.groupings["f"].levels[frame.groupings["f"].codes]
    assert labels.tolist() == values[1 if gap else 0 :]
    np.testing.assert_array_equal(frame.X[:, 1], labels == frame.groupings["f"].levels[1])


def test_pyarrow_dictionary_keeps_its_order() -> None:
    pa = pytest.importorskip("pyarrow")
    codes = pa.array([["c", "b", "a"].index(value) for value in DATA["f"]], pa.int8())
    data = pa.table(DATA).set_column(2, "f", pa.DictionaryArray.from_arrays(codes, ["c", "b", "a"]))
    assert frame_of(data, "y ~ f + (1|g)").fixed_names == ("(Intercept)", "f[T.b]", "f[T.a]")


def pyarrow_backed(values: list[Any], dtype: str) -> pd.Series:
    pytest.importorskip("pyarrow")
    return pd.Series(pd.array(values, dtype=cast(Any, dtype)))


@pytest.mark.parametrize(
    "make",
    [
        lambda values: pd.Series(values, dtype="Int64"),
        lambda values: pd.Series(values, dtype="UInt8"),
        lambda values: pd.Series(values, dtype="Float32"),
        lambda values: pd.Series(values, dtype="int8"),
        lambda values: pd.Series(values, dtype="float32"),
        lambda values: pd.Series(values, dtype=object),
        lambda values: pd.Series([decimal.Decimal(value) for value in values]),
        lambda values: pd.Series([np.float64(value) for value in values], dtype=object),
        lambda values: pd.Series(pd.arrays.SparseArray(values)),
        lambda values: pyarrow_backed(values, "int16[pyarrow]"),
        lambda values: pyarrow_backed(values, "double[pyarrow]"),
    ],
)
def test_numbers_in_any_storage(make: Callable[[list[int]], pd.Series]) -> None:
    data = pd.DataFrame(DATA)
    data["x"] = make(DATA["x"])
    frame = frame_of(data, "y ~ x + (1|x)")
    assert frame.X.dtype == np.float64
    np.testing.assert_array_equal(frame.X[:, 1], DATA["x"])
    assert frame.groupings["x"].levels.tolist() == ["0", "1", "2", "3", "4", "5", "6"]
    response = frame_of(data, "x ~ (1|g)")
    assert response.y.dtype == np.float64
    np.testing.assert_array_equal(response.y, DATA["x"])


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_large_whole_numbers_with_gaps_stay_apart(library: str) -> None:
    base = 2**60
    ids: list[int | None] = [base + i % 6 for i in range(N)]
    ids[0] = None
    data: Any = dict(DATA) | {"id": pd.array(ids, dtype="Int64") if library == "pandas" else ids}
    frame = frame_of(SOURCES[library](data), "y ~ (1|id) + (1|factor(id))")
    for name in ("id", "factor(id)"):
        assert frame.groupings[name].levels.tolist() == [str(base + i) for i in range(6)]


def test_narrow_integers_do_not_overflow() -> None:
    data = pd.DataFrame(DATA).assign(x=np.array(DATA["x"], dtype=np.int8) + np.int8(100))
    frame = frame_of(data, "I(x*x) ~ I(x^9) + np.square(x) + (1|g)")
    exact = np.array(DATA["x"], dtype=float) + 100
    np.testing.assert_array_equal(frame.y, exact**2)
    np.testing.assert_allclose(frame.X[:, 1], exact**9)
    np.testing.assert_array_equal(frame.X[:, 2], exact**2)


def test_logical_values_are_counted_not_joined() -> None:
    data = pd.DataFrame(DATA).assign(p=[i % 2 == 0 for i in range(N)], q=[i % 3 == 0 for i in range(N)])
    frame = frame_of(data, "y ~ I(p + q) + I(-p) + (1|g)")
    np.testing.assert_array_equal(frame.X[:, 1], data.p.astype(int) + data.q.astype(int))
    np.testing.assert_array_equal(frame.X[:, 2], -data.p.astype(int))


def test_object_columns_of_text_and_of_logical_values() -> None:
    data = pd.DataFrame(DATA).astype({"f": object}).assign(p=pd.Series([True, None, False, True] * 6, dtype=object))
    frame = frame_of(data, "y ~ f + p + (1|g)")
    assert frame.fixed_names == ("(Intercept)", "f[T.b]", "f[T.c]", "p[T.True]")
    assert frame.rows.size == 18
    np.testing.assert_array_equal(frame.X[:, 3], [i % 4 != 2 for i in range(N) if i % 4 != 1])


def test_input_is_not_changed_and_not_shared() -> None:
    data = pd.DataFrame(DATA, index=pd.Index([f"row{i}" for i in range(N)])).astype({"x": float})
    weights = np.arange(1.0, N + 1)
    before = data.copy(deep=True)
    frame = frame_of(data, weights=weights)
    pd.testing.assert_frame_equal(data, before)
    assert frame.index.tolist() == [f"row{i}" for i in range(N)]
    assert frame.weights is not None
    for array in (frame.y, frame.X, frame.weights):
        array[:] = -1.0
    pd.testing.assert_frame_equal(data, before)
    assert weights[0] == 1.0


def test_only_columns_that_are_used_are_looked_at() -> None:
    data = pd.DataFrame(DATA).assign(bad=[[1]] * N)
    wide = pd.concat([data, data[["bad"]]], axis=1)
    assert frame_of(wide).y.size == N


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1, 2], "not list"),
        (np.ones((3, 3)), "not ndarray"),
        (None, "not NoneType"),
        ("text", "not str"),
        ({}, "no columns"),
        ({"y": [], "x": [], "g": []}, "no rows"),
        (pd.DataFrame({"y": [], "x": [], "g": []}), "no rows"),
        ({"y": [1.0, 2], "x": [1, 2, 3], "g": ["a", "b"]}, "'x' has 3 values, but column 'y' has 2"),
        ({"y": [1.0, 2], "x": 1, "g": ["a", "b"]}, "'x' of the data is a single value"),
        ({"y": [1.0, 2], "x": "ab", "g": ["a", "b"]}, "'x' of the data is a single value"),
        ({"y": [1.0, 2], "x": np.ones((2, 2)), "g": ["a", "b"]}, "'x' must be a one-dimensional"),
        (pd.DataFrame([[1.0, 2, 3, "a"]] * 4, columns=["y", "x", "x", "g"]), "2 columns named 'x'"),
    ],
)
def test_data_that_cannot_be_used(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        frame_of(data, "y ~ x + (1|g)")


def test_lazy_frames_are_to_be_collected() -> None:
    pl = pytest.importorskip("polars")
    with pytest.raises(DataError, match=r"collect\(\)"):
        frame_of(pl.LazyFrame(DATA))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1]] * N, "objects of type list"),
        ([1j] * N, "complex"),
        (pd.date_range("2020-01-01", periods=N), "convert it to a number"),
        (pd.timedelta_range("1D", periods=N), "convert it to a number"),
        ([datetime.date(2020, 1, 1 + i) for i in range(N)], "convert it to a number"),
    ],
)
def test_columns_that_are_no_numbers(values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        frame_of(pd.DataFrame(DATA).assign(x=values))
    assert "'x'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("y ~ xx + (1|g)", "no column 'xx'; did you mean 'x'", 4),
        ("y ~ x + (1|G)", "no column 'G'; did you mean 'g'", 11),
        ("Y ~ x + (1|g)", "no column 'Y'; did you mean 'y'", 0),
        ("y ~ log(zz) + (1|g)", "no column 'zz'.", 8),
        ("y ~ x + offset(zz) + (1|g)", "no column 'zz'.", 15),
        ("y ~ x + (zz|g)", "no column 'zz'.", 9),
        ("y ~ ln(x) + (1|g)", "no function 'ln'", 4),
    ],
)
def test_unknown_names_are_pointed_at(text: str, message: str, column: int) -> None:
    with pytest.raises(FormulaError) as caught:
        frame_of(pd.DataFrame(DATA), text)
    assert message in str(caught.value)
    assert str(caught.value).endswith(f"\n    {text}\n    {' ' * column}^")


def test_more_rows_than_32_bit_integers_count() -> None:
    many = np.broadcast_to(np.array(1.0), 2**31)  # one number that stands for all
    with pytest.raises(DataError, match=r"^The data have 2147483648 rows; there may be 2147483647"):
        frame_of({"y": many, "x": many, "f": many, "g": many})


def test_a_name_that_is_there_twice_is_no_matter_unless_the_formula_has_it() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    columns = [pyarrow.array(values) for values in (*DATA.values(), DATA["x"], DATA["x"])]
    doubled = pyarrow.table(columns, names=[*DATA, "u", "u"])
    assert frame_of(doubled).X.tolist() == frame_of(DATA).X.tolist()
    with pytest.raises(DataError, match="2 columns named 'u'"):
        frame_of(doubled, "y ~ u + (1 | g)")
