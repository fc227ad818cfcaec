"""Tables as R prints them: padding, line width, abbreviated names, coefficients, variance components."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.errors import ArgumentError
from lmmsparse.rprint.numbers import format_numbers, format_pvalues, round_decimals

Float = NDArray[np.float64]

#: R's ``getOption("width")``.
LINE_WIDTH = 80
#: Significant digits of a coefficient table; test statistics and p-values show at most one less.
COEFFICIENT_DIGITS = 4

_VARIANCE_COLUMNS = {"Variance": "vcov", "Std.Dev.": "sdcor"}
_ESTIMATE_COLUMNS = {"estimate": "Estimate", "std_error": "Std. Error", "df": "df"}
_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."))
_STARS_LEGEND = "Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1"


def text_width(text: str) -> int:
    """Columns that a text takes on a terminal: East Asian wide characters take two, accents none."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def pad(text: str, width: int, right: bool = False) -> str:
    """Fill a text with blanks up to `width`, in front of it when it is set to the right."""
    blanks = " " * (width - text_width(text))
    return blanks + text if right else text + blanks


def matrix_lines(
    rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[str]], right: bool = False
) -> list[str]:
    r"""Lay out a matrix of texts; columns that do not fit into a line follow in further blocks.

    Parameters
    ----------
    rows, columns : sequence of str
        Their names, which may be empty.
    cells : sequence of sequences of str
        One sequence for each row.
    right : bool
        Set cells and column names to the right.

    Returns
    -------
    list of str
        Lines without line ends.

    Examples
    --------
    >>> print("\n".join(matrix_lines(["x", "yy"], ["a"], [["1"], ["20"]], right=True)))
        a
    x   1
    yy 20
    """
    margin = max(map(text_width, rows), default=0)
    widths = [max(map(text_width, (name, *(row[j] for row in cells)))) for j, name in enumerate(columns)]
    lines: list[str] = []
    first = 0
    while first < len(widths):
        last, width = first + 1, margin + 1 + widths[first]
        while last < len(widths) and width + 1 + widths[last] < LINE_WIDTH:
            width += 1 + widths[last]
            last += 1
        for label, row in zip(("", *rows), (columns, *cells), strict=True):
            padded = [pad(row[j], widths[j], right) for j in range(first, last)]
            lines.append(" ".join([pad(label, margin), *padded]))
        first = last
    return lines


def vector_lines(names: Sequence[str], texts: Sequence[str], gap: int = 1) -> list[str]:
    """Lay out a named vector of texts: names above values, all columns of one width.

    Parameters
    ----------
    names, texts : sequence of str
    gap : int
        Blanks after each column.

    Returns
    -------
    list of str

    Examples
    --------
    >>> vector_lines(["Min", "Max"], ["-1.5", " 2.0"])
    [' Min  Max ', '-1.5  2.0 ']
    """
    width = max(map(text_width, (*names, *texts)), default=0)
    per_line = max(1, LINE_WIDTH // (width + gap))
    lines = []
    for first in range(0, len(names), per_line):
        for row in (names, texts):
            lines.append("".join(pad(t, width, True) + " " * gap for t in row[first : first + per_line]))
    return lines


def filled_lines(items: Sequence[str], separator: str = " ") -> list[str]:
    """Put items beside each other, and each that does not fit any more into a line on the next."""
    lines = [items[0] + separator]
    for item in items[1:]:
        if text_width(lines[-1]) + text_width(item) + len(separator) > LINE_WIDTH:
            lines.append("")
        lines[-1] += item + separator
    return [*lines[:-1], lines[-1].removesuffix(separator)]


def abbreviate(names: Sequence[str], length: int) -> list[str]:
    """Shorten names to `length` characters, or to more where they would not differ.

    Lower-case vowels go first, then lower-case letters, then whatever is left, each from the end;
    the first character of a word is kept as long as possible.

    Parameters
    ----------
    names : sequence of str
    length : int
        Characters wanted.

    Returns
    -------
    list of str
        Different texts for different names.

    Examples
    --------
    >>> abbreviate(["(Intercept)", "temperature185", "temperature195"], 6)
    ['(Intr)', 'tmp185', 'tmp195']
    """
    stripped = [name.strip(" ") for name in names]
    short: dict[str, str] = {}
    pending = list(dict.fromkeys(stripped))
    while pending:
        short |= {name: _shortened(name, length) for name in pending}
        texts = list(short.values())
        clashing = {text for i, text in enumerate(texts) if text in texts[:i]}
        pending = [name for name, text in short.items() if text in clashing]
        length += 1
    return [short[name] for name in stripped]


def _shortened(name: str, length: int) -> str:
    passes: tuple[tuple[Callable[[str], bool], bool], ...] = (
        (_is_vowel, True),
        (_is_vowel, False),
        (str.islower, True),
        (str.islower, False),
        (_is_visible, False),
    )
    for is_removable, only_last in passes:
        excess = len(name) - name.count(" ") - length
        kept: list[str] = []  # from the end
        for i in range(len(name) - 1, -1, -1):
            is_last = not kept or kept[-1].isspace()
            removable = i > 0 and is_removable(name[i]) and not name[i - 1].isspace() and (is_last or not only_last)
            if excess > 0 and removable:
                excess -= name[i] != " "
            else:
                kept.append(name[i])
        name = "".join(reversed(kept))
    return name.replace(" ", "") if len(name) > length else name


def _is_vowel(letter: str) -> bool:
    return letter in "aeiou"


def _is_visible(letter: str) -> bool:
    return not letter.isspace()


def coefficient_lines(table: pd.DataFrame) -> list[str]:
    r"""Lay out a table of coefficients, with stars and their legend where there are p-values.

    Estimates, standard errors and degrees of freedom share their decimals.

    Parameters
    ----------
    table : DataFrame
        Columns ``estimate``, ``std_error``, ``statistic`` and, both or neither, ``df`` and ``p_value``;
        the index holds the names.

    Returns
    -------
    list of str

    Raises
    ------
    ArgumentError
        If a column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"estimate": [1527.5], "std_error": [19.38], "statistic": [78.8]}, ["(Intercept)"])
    >>> print("\n".join(coefficient_lines(table)))
                Estimate Std. Error t value
    (Intercept)  1527.50      19.38    78.8
    """
    missing = [name for name in ("estimate", "std_error", "statistic") if name not in table]
    if missing:
        raise ArgumentError(f"a table of coefficients needs the columns {missing}; it has {list(table.columns)}")
    estimates = [name for name in _ESTIMATE_COLUMNS if name in table]
    header = [*(_ESTIMATE_COLUMNS[name] for name in estimates), "t value"]
    statistic = table["statistic"].to_numpy(np.float64)
    columns = _estimate_texts(table[estimates].to_numpy(np.float64))
    columns.append(format_numbers(round_decimals(statistic, COEFFICIENT_DIGITS - 1), COEFFICIENT_DIGITS))
    legend: list[str] = []
    if "p_value" in table:
        pvalues = table["p_value"].to_numpy(np.float64)
        columns.append(format_pvalues(pvalues, COEFFICIENT_DIGITS - 1))
        header.append("Pr(>|t|)")
        stars = [_stars(p) for p in pvalues]
        if any(stars):
            columns.append([pad(mark, max(map(len, stars))) for mark in stars])
            header.append("")
            legend = ["---", _STARS_LEGEND]
    names = [str(name) for name in table.index]
    return matrix_lines(names, header, list(zip(*columns, strict=True)), right=True) + legend


def _estimate_texts(values: Float) -> list[list[str]]:
    """Columns of texts of an (p, c) array that share their decimals."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    smallest = math.floor(math.log10(float(sizes.min()))) if sizes.size else 0
    decimals = max(1, COEFFICIENT_DIGITS - 1 - smallest)
    texts = np.array(format_numbers(round_decimals(values, decimals), COEFFICIENT_DIGITS), dtype=object)
    texts = texts.reshape(values.shape)
    texts[np.isnan(values)] = "NaN"
    return [list(column) for column in texts.T]


def _stars(pvalue: float) -> str:
    return next((mark for limit, mark in _STARS if pvalue <= limit), "")


def correlation_lines(correlation: pd.DataFrame) -> list[str]:
    """Lay out the lower triangle of a correlation matrix, under abbreviated names.

    Parameters
    ----------
    correlation : (p, p) DataFrame
        The index holds the names; p is at least 2.

    Returns
    -------
    list of str
    """
    names = [str(name) for name in correlation.index]
    size = len(names)
    texts = format_numbers(round_decimals(correlation.to_numpy(np.float64), 3), min_decimals=3)
    cells = [[texts[i * size + j] if j < i else "" for j in range(size - 1)] for i in range(1, size)]
    return matrix_lines(abbreviate(names, 11)[1:], abbreviate(names, 6)[:-1], cells)


def varcorr_lines(
    table: pd.DataFrame, columns: tuple[str, ...] = ("Variance", "Std.Dev."), digits: int = 5
) -> list[str]:
    """Lay out variance components with the correlations of their terms.

    Parameters
    ----------
    table : DataFrame
        Columns ``grp``, ``var1``, ``var2``, ``vcov``, ``sdcor``; for each term its variances, then its
        correlations (rows with a ``var2``), under a label ``grp`` of its own; the residual variance last.
    columns : tuple of str
        What to show: ``"Variance"``, ``"Std.Dev."``, or both.
    digits : int, default 5
        Significant digits; correlations show two less as decimals, and two at least.

    Returns
    -------
    list of str

    Raises
    ------
    ArgumentError
        If a column has another name.
    """
    unknown = [name for name in columns if name not in _VARIANCE_COLUMNS]
    if unknown:
        raise ArgumentError(f"columns may be {list(_VARIANCE_COLUMNS)}, not {unknown}")
    labels, names, triangle = [], [], []
    for _, rows in table.groupby(_term_numbers(table)):
        own, pairs = rows[rows["var2"].isna()], rows[rows["var2"].notna()]
        # Every digit of a correlation matrix, its ones included, has the same place.
        rounded = round_decimals([1.0, *pairs["sdcor"]], max(2, digits - 2))
        texts = format_numbers(rounded, min_decimals=max(2, digits - 2))[1:]
        known = dict(zip(zip(pairs["var1"], pairs["var2"], strict=True), texts, strict=True))
        term = ["" if pd.isna(name) else str(name) for name in own["var1"]]
        labels += [str(own["grp"].iloc[0]), *[""] * (len(term) - 1)]
        names += term
        triangle += [[known.get((left, name), "") for left in term[:i]] for i, name in enumerate(term)]
    variances = table[table["var2"].isna()]
    numbers = [format_numbers(variances[_VARIANCE_COLUMNS[name]], digits) for name in columns]
    width = max(map(len, triangle), default=0)
    header = ["Groups", "Name", *columns, *["Corr", *[""] * width][:width]]
    leading = zip(labels, names, *numbers, strict=True)
    cells = [[*row, *pairs, *[""] * (width - len(pairs))] for row, pairs in zip(leading, triangle, strict=True)]
    return matrix_lines([""] * len(cells), header, cells)


def _term_numbers(table: pd.DataFrame) -> NDArray[np.intp]:
    """The term that each row belongs to: 1 for the first, counting on to the residual variance."""
    is_variance = table["var2"].isna().to_numpy()
    group = table["grp"].to_numpy()
    is_first = np.ones(len(table), dtype=bool)
    is_first[1:] = is_variance[1:] & ((group[1:] != group[:-1]) | ~is_variance[:-1])
    # A grouping factor may be called "Residual" as well.
    is_first[-1:] = True
    return np.cumsum(is_first)
