"""Every expected text and number here is what R 4.2 gives."""

import math
import warnings

import numpy as np
import pytest

from lmmsparse.rprint.numbers import format_numbers, format_pvalues, round_decimals, zap_small

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("values", "digits", "expected"),
    [
        ([1527.5, 19.38], 4, ["1527.50", "  19.38"]),
        ([1e5, 1e-5], 4, ["1e+05", "1e-05"]),
        ([1e-5, 123456], 4, ["1.000e-05", "1.235e+05"]),
        ([123456789], 4, ["123456789"]),
        ([100000], 7, ["1e+05"]),
        ([123456], 7, ["123456"]),
        ([1234567.8], 7, ["1234568"]),
        ([247.0], 7, ["247"]),
        ([0.1 + 0.2], 15, ["0.3"]),
        ([0.99996, 1], 4, ["1", "1"]),
        ([2.5], 1, ["2"]),
        ([-0.0], 7, ["0"]),
        ([0, 3.716], 4, ["0.000", "3.716"]),
    ],
)
def test_common_digits(values: list[float], digits: int, expected: list[str]) -> None:
    assert format_numbers(values, digits) == expected


def test_fixed_notation_shows_digits_that_scientific_rounds_away() -> None:
    assert format_numbers([9996], digits=3) == ["9996"]


def test_least_decimals_hold_in_fixed_notation_only() -> None:
    assert format_numbers([2.0], min_decimals=2) == ["2.00"]
    assert format_numbers([1e-20], min_decimals=2) == ["1e-20"]


def test_numbers_that_are_not_finite_are_padded() -> None:
    assert format_numbers([1e-10, NAN, INF, -INF], 4) == ["1e-10", "  NaN", "  Inf", " -Inf"]
    assert format_numbers([-1, NAN, INF], 3) == [" -1", "NaN", "Inf"]
    assert format_numbers([NAN, NAN]) == ["NaN", "NaN"]
    assert format_numbers([]) == []


def test_three_digit_exponents() -> None:
    assert format_numbers([1e100, -1], 2) == [" 1e+100", " -1e+00"]


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [
        (0.15, 1, 0.1),
        (0.25, 1, 0.2),
        (0.35, 1, 0.3),
        (2.5, 0, 2.0),
        (-2.5, 0, -2.0),
        (0.285, 2, 0.28),
        (1.005, 2, 1.0),
        (2.675, 2, 2.67),
        (5.015, 2, 5.02),
        (1e-20, 3, 0.0),
        (123456.789, 2, 123456.79),
    ],
)
def test_rounding(value: float, decimals: int, expected: float) -> None:
    # 0.28 is 0.28000000000000003 for R as well: it divides, where a parser would not.
    assert round_decimals(value, decimals) == pytest.approx(expected, rel=1e-15, abs=0)


def test_rounding_keeps_what_cannot_be_rounded() -> None:
    values = [NAN, INF, -INF, 1e300, 123456.789012345]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(round_decimals(values, 12), values)


def test_rounding_leaves_no_negative_zero() -> None:
    assert not np.signbit(round_decimals([-0.001, -0.0], 1)).any()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-3.9536123, -0.46341, 0.02311234, 5.17931], [-3.9536, -0.4634, 0.0231, 5.1793]),
        ([0.06292, 2.97959], [0.06292, 2.97959]),
        ([1e-20, 1], [0, 1]),
        ([123456.7, 0.01], [123457, 0]),
        ([0, 0], [0, 0]),
        ([NAN, 1e-20, 1], [NAN, 0, 1]),
        ([NAN, NAN], [NAN, NAN]),
        ([], []),
    ],
)
def test_zap_small(values: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(zap_small(values, 5), expected, rtol=1e-14)


def test_zap_small_takes_its_scale_from_finite_numbers() -> None:
    np.testing.assert_array_equal(zap_small([INF, 1.23456789, 1e-9], 5), [INF, 1.23457, 0])


@pytest.mark.parametrize(
    ("values", "digits", "expected"),
    [
        ([0.55, 0.0393, 3.26e-6, 0], 3, ["0.5500", "0.0393", "3.26e-06", "< 2e-16"]),
        ([0], 3, ["<2e-16"]),
        ([0, 0.5], 3, ["<2e-16", "0.5"]),
        ([0, 0.5, 3e-12], 3, ["<2e-16", "0.5", "3e-12"]),
        ([1e-17, 1e-4, 9.9e-5], 3, ["< 2e-16", "1e-04", "9.9e-05"]),
        ([0, 0.123456, 0.5], 5, ["< 2e-16", "0.12346", "0.50000"]),
        ([1, 1], 3, ["1", "1"]),
        ([NAN, 0.5], 3, ["NaN", "0.5"]),
        ([NAN], 3, ["NaN"]),
        ([], 3, []),
    ],
)
def test_pvalues(values: list[float], digits: int, expected: list[str]) -> None:
    assert format_pvalues(values, digits) == expected
