"""Numbers as R writes them: rounding, common digits of a vector, p-values."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]

#: R's ``getOption("digits")``.
DEFAULT_DIGITS = 7
#: Significant decimal digits that every double has.
_DOUBLE_DIGITS = 15
#: Their power of ten is still a double.
_MOST_DECIMALS = 308
#: p-values below it are shown as "<2e-16".
_SMALLEST_PVALUE = float(np.finfo(np.float64).eps)


def round_decimals(values: ArrayLike, decimals: int) -> Float:
    """Round to a number of decimals as R's ``round`` does.

    Of the two neighbours with that many decimals the nearer one is taken, in double precision; of equally
    near ones the even one. (`numpy.round` scales first, and so rounds 0.15 to 0.2 where R gives 0.1.)

    Parameters
    ----------
    values : array_like
        Numbers; NaN and infinities stay as they are.
    decimals : int
        Decimals to keep; zero or more.

    Returns
    -------
    array
        The rounded numbers, without negative zeros.

    Examples
    --------
    >>> round_decimals([0.15, 2.5, -0.001], 1)
    array([0.1, 2.5, 0. ])
    """
    x = np.abs(np.asarray(values, dtype=np.float64))
    scale = 10.0 ** min(decimals, _MOST_DECIMALS)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scaled = np.floor(x * scale)
        below, above = scaled / scale, np.ceil(x * scale) / scale
        up, down = above - x, x - below
        rounded = np.where((down < up) | ((down == up) & (scaled % 2 == 0)), below, above)
        # A double holds no more digits than these; rounding would only disturb the last one.
        is_exact = ~np.isfinite(x) | (decimals + (np.floor(np.log2(x)) + 0.5) * math.log10(2) > _DOUBLE_DIGITS)
    return np.copysign(np.where(is_exact, x, rounded), values) + 0.0


def zap_small(values: ArrayLike, digits: int) -> Float:
    """Round all numbers to the decimals that `digits` significant digits of the largest one have.

    Parameters
    ----------
    values : array_like
        Numbers; NaN and infinities stay as they are.
    digits : int
        Significant digits of the largest finite number.

    Returns
    -------
    array
    """
    x = np.asarray(values, dtype=np.float64)
    largest = float(np.max(np.abs(x[np.isfinite(x)]), initial=0.0))
    decimals = max(0, math.floor(digits - math.log10(largest) + 0.5)) if largest > 0 else digits
    return round_decimals(x, decimals)


def format_numbers(values: ArrayLike, digits: int = DEFAULT_DIGITS, min_decimals: int = 0) -> list[str]:
    """Write numbers with common decimals, padded to a common width.

    The decimals are the fewest with which every number shows at least `digits` significant digits,
    trailing zeros not counted. Scientific notation is used when it is shorter.

    Parameters
    ----------
    values : array_like
        Numbers; the result is in row-major order.
    digits : int, default 7
        Significant digits, from 1 to 15.
    min_decimals : int, default 0
        Decimals shown at least, in fixed notation.

    Returns
    -------
    list of str
        One text for each number, all of one width.

    Examples
    --------
    >>> format_numbers([612.1, 35.07, 654.94], digits=4)
    ['612.10', ' 35.07', '654.94']
    >>> format_numbers([1e-10, 2.5e-12], digits=4)
    ['1.0e-10', '2.5e-12']
    """
    # Adding zero removes the sign of a negative zero.
    numbers = [float(v) + 0.0 for v in np.ravel(np.asarray(values, dtype=np.float64))]
    finite = [v for v in numbers if math.isfinite(v)]
    style, width = _common_style(finite, digits, min_decimals)
    texts = [format(v, style) if math.isfinite(v) else _non_finite(v) for v in numbers]
    width = max(width, *map(len, texts)) if texts else 0
    return [text.rjust(width) for text in texts]


def format_pvalues(values: Iterable[float], digits: int) -> list[str]:
    """Write p-values: small ones in scientific notation, the smallest as an upper limit.

    Parameters
    ----------
    values : iterable of float
        p-values, NaN where there is none.
    digits : int
        Significant digits.

    Returns
    -------
    list of str
        Texts of different widths.

    Examples
    --------
    >>> format_pvalues([0.55, 0.0393, 3.26e-6, 0.0], digits=3)
    ['0.5500', '0.0393', '3.26e-06', '< 2e-16']
    """
    numbers = [float(v) for v in values]
    visible = [v for v in numbers if v >= _SMALLEST_PVALUE]
    fixed = [v for v in visible if v >= (1e-4 if digits > 1 else 1e-3)]
    small = [v for v in visible if v not in fixed]
    texts = dict(zip(fixed, format_numbers(fixed, digits), strict=True))
    texts |= dict(zip(small, format_numbers(small, digits), strict=True))
    limit = _limit_text(digits, max(map(len, texts.values()), default=None))
    return ["NaN" if math.isnan(v) else texts.get(v, limit) for v in numbers]


def _limit_text(digits: int, width: int | None) -> str:
    """What is written for a p-value of zero beside others that are `width` wide."""
    digits = max(1, digits - 2)
    if width is not None and digits > 1 and digits + 6 > width:
        digits = max(1, width - 7)
    is_tight = digits == 1 and (width is None or width <= 6)
    return ("<" if is_tight else "< ") + format_numbers([_SMALLEST_PVALUE], digits)[0]


def _common_style(numbers: list[float], digits: int, min_decimals: int) -> tuple[str, int]:
    """The format specification that shows all (finite) numbers with enough digits, and R's width for it."""
    decimals = left = significant = exponent_width = 0
    is_negative = any(v < 0 for v in numbers)
    for v in numbers:
        kept, exponent = _significant(abs(v), digits)
        # Rounding to few digits may add one (9996 is 1e+04); fixed notation shows 9996 all the same.
        widens = exponent > 0 and abs(v) < 10.0**exponent
        left = max(left, (v < 0) + max(1, exponent + 1 - widens))
        decimals = max(decimals, kept - exponent - 1)
        significant = max(significant, kept)
        exponent_width = max(exponent_width, 2 if abs(exponent) < 100 else 3)
    fixed_width = left + decimals + (decimals > 0)
    scientific_width = is_negative + significant + (significant > 1) + 2 + exponent_width
    if fixed_width <= scientific_width:
        return f".{max(decimals, min_decimals)}f", 0
    return f".{significant - 1}e", scientific_width


def _significant(magnitude: float, digits: int) -> tuple[int, int]:
    """How many of the first `digits` digits are left without trailing zeros, and the decimal exponent."""
    mantissa, exponent = f"{magnitude:.{digits - 1}e}".split("e")
    kept = mantissa.replace(".", "").rstrip("0")
    return max(1, len(kept)), int(exponent)


def _non_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Inf" if value > 0 else "-Inf"
