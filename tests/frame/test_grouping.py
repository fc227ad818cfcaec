"""Grouping factors: order and labels of levels, interactions, new rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmsparse.errors import ArgumentError, GroupingError, NewDataError
from lmmsparse.formula import parse_formula
from lmmsparse.frame import ModelFrame, build_model_frame
from lmmsparse.frame.columns import column_of
from lmmsparse.frame.grouping import encode, group, match


def frame_of(data: dict[str, Any], text: str) -> ModelFrame:
    return build_model_frame(parse_formula(text), data)


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([10, 9, 2, 10], ["2", "9", "10"]),
        ([-3, 5, 0, 5], ["-3", "0", "5"]),
        ([10**12, 7, 7, 10**12], ["7", "1000000000000"]),
        (np.array([2**63 + 5, 2**63, 2**63, 2**63], dtype=np.uint64), [str(2**63), str(2**63 + 5)]),
        (np.array([127, -128, 0, 0], dtype=np.int8), ["-128", "0", "127"]),
        ([2.5, 1.0, -0.0, 0.0], ["0", "1", "2.5"]),
        (["10", "9", "b", "B"], ["10", "9", "B", "b"]),
        (["é", "z", "Z", "e"], ["Z", "e", "z", "é"]),
        ([True, False, True, True], ["False", "True"]),
        ([True, True, True, True], ["True"]),
        (pd.Categorical(["b", "a", "b", "a"], categories=["c", "b", "a"]), ["b", "a"]),
        (pd.Categorical([2.0, 1.0, 1.0, 2.0], categories=[2.0, 1.0]), ["2", "1"]),
        (pd.to_datetime(["2021-01-02", "2020-01-01", "2020-01-01", "2021-01-02"]), ["2020-01-01", "2021-01-02"]),
        (pd.PeriodIndex(["2021-02", "2020-01", "2020-01", "2021-02"], freq="M"), ["2020-01", "2021-02"]),
        (pd.cut([1, 5, 1, 5], [0, 2, 4, 6]), ["(0, 2]", "(4, 6]"]),
        ([1, "1b", 2, "a"], ["1", "1b", "2", "a"]),
    ],
)
def test_order_and_labels_of_levels(values: Any, levels: list[str]) -> None:
    column = column_of("g", values)
    codes, found = encode("g", column)
    assert found.index.tolist() == levels
    assert codes.dtype == np.int8
    assert codes.min() >= 0 and codes.max() < len(levels)
    assert len(np.unique(codes)) == len(levels)
    again = pd.Series(values).groupby(codes).nunique()
    assert (again == 1).all()


def test_levels_that_read_alike_are_refused() -> None:
    values = pd.Categorical([1, "1", 1, "1"], categories=[1, "1"])
    with pytest.raises(GroupingError, match="two different levels that both read '1'"):
        encode("g", column_of("g", values))


def test_interaction_varies_slowest_in_its_first_factor_and_has_observed_levels_only() -> None:
    data = {"y": np.arange(8.0), "a": list("AABBAABB"), "b": [2, 10, 2, 2, 2, 10, 2, 2]}
    frame = frame_of(data, "y ~ (1|b/a)")
    assert frame.groupings["a:b"].levels.tolist() == ["A:2", "A:10", "B:2"]
    np.testing.assert_array_equal(frame.groupings["a:b"].codes, [0, 1, 2, 2, 0, 1, 2, 2])
    assert list(frame.groupings) == ["a:b", "b"]


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.sampled_from("xyz:"), st.booleans()), min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(-4, 4), st.sampled_from("wxyz:"), st.booleans()), max_size=10),
)
def test_codes_and_levels_round_trip(rows: list[tuple[int, str, bool]], new: list[tuple[int, str, bool]]) -> None:
    names = ("i", "s", "b")
    columns = {name: column_of(name, [row[j] for row in rows]) for j, name in enumerate(names)}
    grouping, level_map = group(names, {name: encode(name, columns[name]) for name in names}, "i:s:b")
    seen = sorted(set(rows))
    assert grouping.levels.tolist() == [":".join(map(str, row)) for row in seen]
    assert [seen[code] for code in grouping.codes] == rows
    if new:
        fresh = {name: column_of(name, [row[j] for row in new]) for j, name in enumerate(names)}
        matched = match(level_map, fresh, len(new))
        assert matched.tolist() == [seen.index(row) if row in seen else -1 for row in new]


def test_sparse_codes_of_a_wide_interaction() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.integers(0, 10**6, 2000), rng.integers(0, 10**6, 2000)
    columns = {"a": column_of("a", left), "b": column_of("b", right), "c": column_of("c", left[::-1].copy())}
    encoded = {name: encode(name, column) for name, column in columns.items()}
    grouping, level_map = group(("a", "b", "c"), encoded, "a:b:c")
    expected = [f"{a}:{b}:{c}" for a, b, c in zip(left, right, left[::-1], strict=True)]
    assert grouping.levels[grouping.codes].tolist() == expected
    np.testing.assert_array_equal(match(level_map, columns, 2000), grouping.codes)


DATA = {
    "y": np.arange(12.0),
    "g": [1, 2, 3] * 4,
    "h": list("aabb") * 3,
    "x": np.linspace(1, 12, 12),
}


def test_codes_of_new_rows() -> None:
    spec = frame_of(DATA, "y ~ (1|g/h) + (1|np.floor(x/4)) + (1|factor(g))").spec
    new = {"g": [3, 1, 9, 2], "h": ["b", "zz", "a", "a"], "x": [4.5, 100.0, np.nan, 0.5]}
    np.testing.assert_array_equal(spec.codes(new, "g"), [2, 0, -1, 1])
    np.testing.assert_array_equal(spec.codes(new, "h:g"), [5, -1, -1, 1])
    np.testing.assert_array_equal(spec.codes(new, "np.floor(x/4)"), [1, -1, -1, 0])
    np.testing.assert_array_equal(spec.codes(new, "factor(g)"), [2, 0, -1, 1])


@pytest.mark.parametrize(
    "values",
    [
        [3, 1, 9],
        [3.0, 1.0, 9.0],
        ["3", "1", "9"],
        pd.Categorical([3, 1, 9], categories=[9, 3, 1]),
        pd.array([3, 1, 9], dtype="Int8"),
    ],
)
def test_new_levels_are_matched_by_what_they_read(values: Any) -> None:
    spec = frame_of(DATA, "y ~ (1|g)").spec
    np.testing.assert_array_equal(spec.codes(pd.DataFrame({"g": values}), "g"), [2, 0, -1])


def test_missing_values_have_no_level() -> None:
    spec = frame_of(DATA, "y ~ (1|g) + (1|h)").spec
    np.testing.assert_array_equal(spec.codes({"g": [None, 2]}, "g"), [-1, 1])
    np.testing.assert_array_equal(spec.codes({"h": [None, None]}, "h"), [-1, -1])


def test_only_the_grouping_columns_are_needed() -> None:
    spec = frame_of(DATA, "y ~ x + (x|g)").spec
    assert spec.codes({"g": [2]}, "g").tolist() == [1]
    with pytest.raises(NewDataError, match="lacks the column 'g'"):
        spec.codes({"x": [2]}, "g")
    with pytest.raises(ArgumentError, match="no grouping factor 'G'; did you mean 'g'"):
        spec.codes({"g": [2]}, "G")


def test_checks_in_order_and_in_words_of_lme4() -> None:
    data = {"y": np.arange(8.0), "x": np.arange(8) % 3, "one": [1] * 8, "each": range(8), "half": [0, 1, 2, 3] * 2}
    with pytest.raises(GroupingError, match=r"grouping factors must have > 1 sampled level: 'one'"):
        frame_of(data, "y ~ (1|each) + (1|one)")
    message = r"number of levels of each grouping factor must be < number of observations: 'each' has 8"
    with pytest.raises(GroupingError, match=message):
        frame_of(data, "y ~ (x|half) + (1|each)")
    message = r"number of observations \(=8\) <= number of random effects \(=8\) for term \(x \| half\)"
    with pytest.raises(GroupingError, match=message):
        frame_of(data, "y ~ (x|half)")
    assert frame_of(data, "y ~ (x||half)").bars[0].columns.shape == (8, 2)
