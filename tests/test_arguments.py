"""What callers may give, read once."""

from __future__ import annotations

import decimal
import fractions
import itertools
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lmmsparse import arguments
from lmmsparse.errors import ArgumentError
from tests.acceptance.hostile import HUGE, UNPRINTABLE, hostile


@pytest.mark.parametrize("value", [1, np.int8(1), True, np.uint64(2**63), 1.0, "1", None, np.timedelta64(1, "D")])
def test_whole_numbers(value: Any) -> None:
    found = arguments.as_whole(value)
    expected = int(value) if type(value) in (int, np.int8, np.uint64) else None
    assert found == expected and type(found) in (int, type(None))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        (np.float32(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (HUGE, np.inf),
        (-HUGE, -np.inf),
        (hostile("__float__", base=float)(0.5), 0.5),
        (hostile("__int__", "__index__", base=int)(3), 3.0),
        (True, None),
        (np.True_, None),
        (1j, None),
        (np.complex128(1), None),
        ("1", None),
        (np.array(1.0), None),
        (np.timedelta64(1), None),
    ],
)
def test_real_numbers(value: Any, expected: float | None) -> None:
    found = arguments.as_real(value)
    assert found == expected and type(found) in (float, type(None))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 2.5, None], [1.0, 2.5, np.nan]),
        (np.ma.array([1, 2], mask=[True, False]), [np.nan, 2.0]),
        (np.array([1.0, 2.0]).astype(">f8"), [1.0, 2.0]),
        (np.array([[1, 2]], dtype=np.int8), [[1.0, 2.0]]),
        (np.asmatrix([1.0, 2.0]), [[1.0, 2.0]]),
        ([HUGE, -HUGE], [np.inf, -np.inf]),
        ([decimal.Decimal("0.5"), fractions.Fraction(1, 4), True, pd.NA], [0.5, 0.25, 1.0, np.nan]),
        (pd.Series([1, None], dtype="Int64"), [1.0, np.nan]),
        (pd.Series([True, False]), [1.0, 0.0]),
        (pl.Series([1, None]), [1.0, np.nan]),
        (pa.array([1.0, None]), [1.0, np.nan]),
        (3, 3.0),
        ([], []),
        (["1", "2"], None),
        (np.array(["1"], dtype=object), None),
        ([b"1"], None),
        (np.array(["2024-01-01"], dtype="datetime64[D]"), None),
        (np.array([1, 2], dtype="timedelta64[D]"), None),
        ([1j], None),
        ([pd.Timestamp("2024-01-01")], None),
        (pd.Categorical([1, 2]), None),
        (pd.Series([1, 2], dtype="category"), None),
        ([[1.0], [1.0, 2.0]], None),
        ([decimal.Decimal("sNaN")], None),
        ({1.0}, None),
        ({"x": 1.0}, None),
        (hostile("__array__", __len__=lambda self: 2)(), None),
    ],
)
@pytest.mark.parametrize("copy", [True, False])
def test_arrays_of_numbers(value: Any, expected: Any, copy: bool) -> None:
    found = arguments.as_numbers(value, copy=copy)
    if expected is None:
        assert found is None
    else:
        assert found is not None and found.dtype == np.float64 and found.dtype.isnative
        np.testing.assert_array_equal(found, expected, strict=np.ndim(expected) == found.ndim == 0)


def test_numbers_are_a_copy_unless_it_is_not_asked_for() -> None:
    given = np.arange(3.0)
    assert not np.shares_memory(arguments.as_numbers(given), given)
    assert not np.shares_memory(arguments.as_numbers(pd.Series(given, copy=False)), given)
    assert arguments.as_numbers(given, copy=False) is given


def test_text_is_plain() -> None:
    found = arguments.as_text(hostile("__eq__", "__hash__", base=str)("x"))
    assert type(found) is str and found == "x"
    assert type(arguments.as_text(np.str_("x"))) is str
    assert arguments.as_text(b"x") is arguments.as_text(1) is None


def test_members() -> None:
    assert arguments.as_list("ab") == ["ab"] and arguments.as_list(b"ab") == [b"ab"] and arguments.as_list(3) == [3]
    assert arguments.as_list(name for name in "ab") == ["a", "b"]
    assert len(arguments.as_list(itertools.count())) == arguments.MOST_MEMBERS
    strange = hostile("__iter__", base=list)()
    assert arguments.as_list(strange) == [strange]
    assert arguments.as_dict({"a": 1}) == {"a": 1}
    assert arguments.as_dict([1]) is arguments.as_dict(hostile("__iter__", "keys", base=dict)(a=1)) is None


def test_lengths_and_names() -> None:
    assert arguments.length_of([1, 2]) == 2
    for none in ("ab", 3, np.array(3.0), hostile("__len__")(), hostile(__len__=lambda self: -1)()):
        assert arguments.length_of(none) is None
    assert arguments.name_of("a") == "a" and arguments.name_of(3) == "3"
    assert arguments.name_of(hostile("__str__", "__repr__")()) == "<Hostile>"


def test_a_message_shows_any_value() -> None:
    assert arguments.shown("a") == "'a'"
    assert arguments.shown(UNPRINTABLE) == "<int>"
    assert arguments.shown(hostile("__repr__")()) == "<Hostile>"
    assert arguments.shown(hostile(__repr__=lambda self: 3)()) == "<Hostile>"
    assert len(arguments.shown("x" * 10_000)) == arguments.LONGEST
    assert arguments.shown("\x1b[31m") == "'\\x1b[31m'"


def test_counts() -> None:
    assert arguments.checked_count("f", "n", np.int64(2)) == 2
    assert arguments.checked_count("f", "n", 0, least=0) == 0
    with pytest.raises(ArgumentError, match=r"^f: n must be a positive integer, got True$"):
        arguments.checked_count("f", "n", True)
    with pytest.raises(ArgumentError, match=r"^f: n must be a whole number, 0 or more, got -1$"):
        arguments.checked_count("f", "n", -1, least=0)
    with pytest.raises(ArgumentError, match=r"^f: n must be below 2\*\*31, got 1000"):
        arguments.checked_count("f", "n", HUGE)


@pytest.mark.parametrize("level", [0, 1, -0.5, 1.5, np.nan, np.inf, HUGE, True, "0.95", 1 - 1e-16, 1e-320, 0.95 + 0j])
def test_levels_that_are_none(level: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^f: level must be a number between 0 and 1"):
        arguments.checked_level("f", level)


def test_flags_words_and_objects() -> None:
    assert arguments.checked_flag("", "REML", np.True_) is True
    with pytest.raises(ArgumentError, match=r"^REML must be True or False, got 1$"):
        arguments.checked_flag("", "REML", 1)
    assert arguments.checked_choice("f", "kind", np.str_("a"), ("a", "b")) == "a"
    with pytest.raises(ArgumentError, match=r"^f: kind must be one of a, b, got b'a'$"):
        arguments.checked_choice("f", "kind", b"a", ("a", "b"))
    assert arguments.checked_object("f", "x", 3, int, "a number") == 3
    with pytest.raises(ArgumentError, match=r"^f: x must be a number, got 'a'$"):
        arguments.checked_object("f", "x", "a", int, "a number")
