"""Subset, zero weights and missing values, in this order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lmmsparse.errors import ArgumentError, DataError
from lmmsparse.formula import parse_formula
from lmmsparse.frame import ModelFrame, build_model_frame

N = 20
DATA = pd.DataFrame(
    {
        "y": np.arange(N) ** 2.0,
        "x": np.arange(N) % 7 + 0.5,
        "g": np.arange(N) % 4,
        "w": np.arange(N) / 2,
        "big": np.arange(N) > 9,
        "weights": np.where(np.arange(N) == 19, np.nan, 1.0),
    }
)


def frame_of(text: str = "y ~ x + (1|g)", data: Any = DATA, **arguments: Any) -> ModelFrame:
    return build_model_frame(parse_formula(text), data, **arguments)


@pytest.mark.parametrize(
    "subset",
    [
        DATA.big.to_numpy(),
        DATA.big,
        DATA.big.tolist(),
        DATA.big.astype("boolean"),
        pd.Series([None if i == 3 else i > 9 for i in range(N)], dtype=object),
        "big",
        np.arange(10, 20),
        list(range(10, 20)),
        pd.Series(range(10, 20), index=range(50, 60)),
    ],
)
def test_subset(subset: Any) -> None:
    frame = frame_of(subset=subset)
    np.testing.assert_array_equal(frame.rows, np.arange(10, 20))
    np.testing.assert_array_equal(frame.y, DATA.y[10:])
    assert frame.index.tolist() == list(range(10, 20))


def test_positions_keep_their_order_and_may_repeat() -> None:
    rows = [4, 3, 2, 1, 0, 4, 8, 9]
    frame = frame_of(subset=rows)
    np.testing.assert_array_equal(frame.y, DATA.y[rows])
    np.testing.assert_array_equal(frame.groupings["g"].codes, DATA.g[rows])


@pytest.mark.parametrize(
    ("subset", "message"),
    [
        ([True, False], "subset has 2 values, but the data have 20 rows"),
        (DATA.big.astype(int), "one 0 or 1 for each row"),
        ([0, 20], "position 20"),
        ([-1, 2], "position -1"),
        ([0.5, 1.5], "whole-number positions"),
        (["a", "b"], "whole-number positions"),
        ("x", "column 'x', which is not logical"),
        ("bog", "no such column; did you mean 'big'"),
        ([], "None of the 20 rows is left: subset keeps 0 of 20 rows"),
        (np.zeros(N, dtype=bool), "subset keeps 0"),
    ],
)
def test_subsets_that_cannot_be_used(subset: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        frame_of(subset=subset)


@pytest.mark.parametrize("weights", ["w", DATA.w, DATA.w.to_numpy(), DATA.w.tolist()])
def test_rows_of_weight_zero_are_left_out(weights: Any) -> None:
    frame = frame_of(weights=weights)
    np.testing.assert_array_equal(frame.rows, np.arange(1, N))
    assert frame.weights is not None
    np.testing.assert_array_equal(frame.weights, DATA.w[1:])


def test_transforms_learn_without_the_rows_of_weight_zero() -> None:
    frame = frame_of("y ~ scale(x) + (1|g)", weights=DATA.big.astype(float))
    np.testing.assert_allclose(frame.X[:, 1].mean(), 0, atol=1e-14)


def test_a_missing_weight_or_offset_drops_its_row() -> None:
    weights, offset = DATA.w + 1, DATA.x.copy()
    weights[3], offset[5] = np.nan, np.nan
    frame = frame_of(weights=weights, offset=offset)
    np.testing.assert_array_equal(frame.rows, [i for i in range(N) if i not in (3, 5)])


def test_a_column_may_have_the_name_of_an_argument() -> None:
    frame = frame_of("y ~ x + I(weights + 0*x) + (1|g)".replace("I(weights + 0*x)", "offset(weights)"), weights="w")
    np.testing.assert_array_equal(frame.rows, np.arange(1, N - 1))


def test_weights_of_rows_outside_of_the_subset_do_not_matter() -> None:
    weights = np.where(DATA.big, 2.0, -1.0)
    frame = frame_of(weights=weights, subset="big")
    np.testing.assert_array_equal(frame.weights, np.full(10, 2.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": -DATA.x}, "must not be negative; row 0 has -0.5"),
        ({"weights": [1, 2]}, "weights has 2 values, but the data have 20 rows"),
        ({"weights": ["a"] * N}, "weights must be numbers"),
        ({"weights": 2.0}, "'weights' must be a one-dimensional array"),
        ({"weights": np.ones((N, 1))}, "'weights' must be a one-dimensional array"),
        ({"weights": "ww"}, "weights names 'ww'; the data have no such column; did you mean 'w'"),
        ({"weights": np.where(DATA.big, np.inf, 1)}, "'weights' is infinite, first in row 10"),
        ({"weights": np.zeros(N)}, "None of the 20 rows is left: weights are zero in 20 rows"),
        ({"offset": [1, 2]}, "offset has 2 values, but the data have 20 rows"),
        ({"offset": np.where(DATA.big, np.inf, 1)}, "'offset' is infinite, first in row 10"),
        ({"offset": "g2"}, "offset names 'g2'"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        frame_of(**arguments)


def test_offsets_add_up() -> None:
    frame = frame_of("y ~ x + offset(2*x) + offset(log(w + 1)) + (1|g)", offset="w")
    np.testing.assert_allclose(frame.offset, 2 * DATA.x + np.log(DATA.w + 1) + DATA.w)
    np.testing.assert_allclose(frame.spec.offset(DATA), 2 * DATA.x + np.log(DATA.w + 1))
    assert frame_of().offset is None
    np.testing.assert_array_equal(frame_of(offset=DATA.x).offset, DATA.x)


@pytest.mark.parametrize("na_action", ["omit", "exclude", "na.omit", "na.exclude"])
def test_missing_rows_are_dropped(na_action: str) -> None:
    frame = frame_of(data=DATA.assign(x=DATA.x.where(DATA.g != 1)), na_action=na_action)
    np.testing.assert_array_equal(frame.rows, np.flatnonzero(DATA.g != 1))
    assert frame.na_action == na_action.removeprefix("na.")


def test_fail_names_columns_and_counts() -> None:
    data = DATA.assign(x=DATA.x.where(DATA.g != 1), y=DATA.y.where(DATA.g != 2))
    with pytest.raises(DataError, match=r"'y' is missing in 5 rows; 'x' is missing in 5 rows"):
        frame_of(data=data, na_action="fail")
    kept = frame_of(data=data, na_action="fail", subset=np.flatnonzero((DATA.g != 1) & (DATA.g != 2)))
    assert kept.rows.size == 10


def test_unknown_na_action() -> None:
    with pytest.raises(ArgumentError, match="'omit', 'exclude', 'fail', not 'drop'"):
        frame_of(na_action="drop")


def test_nothing_left_says_why() -> None:
    data = DATA.assign(x=np.where(DATA.big, np.nan, 1.0), y=np.where(DATA.big, 1.0, np.nan))
    message = (
        "None of the 20 rows is left: subset keeps 18 of 20 rows; weights are zero in 1 row;"
        " 'y' is missing in 9 rows; 'x' is missing in 8 rows."
    )
    with pytest.raises(DataError) as caught:
        frame_of(data=data, subset=np.arange(1, 19), weights=np.where(np.arange(N) == 18, 0.0, 1.0))
    assert str(caught.value) == message
