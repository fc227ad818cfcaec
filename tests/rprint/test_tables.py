"""Every expected text here is what R 4.2 prints, but for wide characters and a factor called Residual."""

import math

import numpy as np
import pandas as pd
import pytest

from lmmsparse.errors import ArgumentError
from lmmsparse.rprint.tables import (
    abbreviate,
    coefficient_lines,
    correlation_lines,
    filled_lines,
    matrix_lines,
    text_width,
    varcorr_lines,
    vector_lines,
)

NAN, INF = math.nan, math.inf


def lines_of(text: str) -> list[str]:
    """The lines of an indented block; `|` marks ends where there are blanks."""
    return [line.strip("\n")[4:].removesuffix("|") for line in text.split("\n")[1:-1]]


# -- layout ------------------------------------------------------------------------------------------------


def test_matrix_to_the_left_and_to_the_right() -> None:
    cells = [["a", "1.0"], ["bb", "22"], ["", "3"]]
    assert matrix_lines(["x", "yyy", "z"], ["first", "s"], cells) == lines_of("""
        first s  |
    x   a     1.0|
    yyy bb    22 |
    z         3  |
    """)
    assert matrix_lines(["x", "yyy", "z"], ["first", "s"], cells, right=True) == lines_of("""
        first   s
    x       a 1.0
    yyy    bb  22
    z           3
    """)


def test_matrix_columns_that_do_not_fit_follow_in_a_block() -> None:
    columns = [f"column{i}" for i in range(1, 13)]
    cells = [[f"0.{i:03d}" for i in range(1 + k, 145, 12)] for k in range(2)]
    assert matrix_lines(["row1", "row2"], columns, cells, right=True) == lines_of("""
         column1 column2 column3 column4 column5 column6 column7 column8 column9
    row1   0.001   0.013   0.025   0.037   0.049   0.061   0.073   0.085   0.097
    row2   0.002   0.014   0.026   0.038   0.050   0.062   0.074   0.086   0.098
         column10 column11 column12
    row1    0.109    0.121    0.133
    row2    0.110    0.122    0.134
    """)


@pytest.mark.parametrize(("last", "blocks"), [(9, 1), (10, 2)])
def test_matrix_lines_are_shorter_than_80(last: int, blocks: int) -> None:
    columns = ["c" * 9] * 6 + ["c" * last]
    assert len(matrix_lines(["r" * 9], columns, [["1"] * 7])) == 2 * blocks


def test_matrix_column_wider_than_a_line_stands_alone() -> None:
    lines = matrix_lines(["y" * 90], ["a", "b"], [["1", "2"]])
    assert [len(line) for line in lines] == [92] * 4


def test_vector_repeats_names_in_each_block() -> None:
    names = [f"name{i}" for i in range(1, 9)]
    assert vector_lines(names, ["0.04548222"] * 8) == lines_of("""
         name1      name2      name3      name4      name5      name6      name7 |
    0.04548222 0.04548222 0.04548222 0.04548222 0.04548222 0.04548222 0.04548222 |
         name8 |
    0.04548222 |
    """)
    assert vector_lines(["(Intercept)", "Days"], ["251.41", " 10.47"], gap=2) == lines_of("""
    (Intercept)         Days  |
         251.41        10.47  |
    """)
    assert vector_lines([], []) == []


@pytest.mark.parametrize(("length", "count"), [(47, 1), (48, 2)])
def test_filled_lines_break_before_column_80(length: int, count: int) -> None:
    lines = filled_lines(["Number of obs: 180, groups: ", "g" * length + ", 1"])
    assert len(lines) == count
    assert lines[0].startswith("Number of obs: 180, groups:  ")


def test_wide_characters_take_two_columns() -> None:
    assert text_width("学校") == 4
    assert text_width("e\u0301") == 1
    assert matrix_lines(["学校", "a"], ["x"], [["1"], ["2"]]) == ["     x", "学校 1", "a    2"]


# -- abbreviated names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "length", "expected"),
    [
        (
            ["(Intercept)", "temperature185", "recipeB", "I(Days^2)", "service1:dept10", "genderF", "lectage2"],
            6,
            ["(Intr)", "tmp185", "recipB", "I(D^2)", "sr1:10", "gendrF", "lectg2"],
        ),
        (
            ["measurement1", "measurement10", "measurement11"],
            11,
            ["measuremnt1", "measurmnt10", "measurmnt11"],
        ),
        (["aaaa1", "aaaa2"], 3, ["aa1", "aa2"]),
        (["ABCDEFGH", "ABCDEFGX"], 6, ["ABCDEFGH", "ABCDEFGX"]),
        (["recipe[T.B]", "recipe[T.C]"], 6, ["r[T.B]", "r[T.C]"]),
        (["poly(Days, 2)1", "poly(Days, 2)2"], 6, ["p(D,2)1", "p(D,2)2"]),
        (["longname name"], 6, ["lngnmn"]),
        (["same", "same"], 3, ["sam", "sam"]),
        ([], 6, []),
    ],
)
def test_abbreviate(names: list[str], length: int, expected: list[str]) -> None:
    assert abbreviate(names, length) == expected


# -- coefficients ------------------------------------------------------------------------------------------


def coefficients(*rows: list[float]) -> pd.DataFrame:
    columns = ["estimate", "std_error", "statistic"]
    if len(rows[0]) == 5:
        columns = ["estimate", "std_error", "df", "statistic", "p_value"]
    return pd.DataFrame(rows, columns=columns, index=list("abcd"[: len(rows)]), dtype=float)


def test_coefficients_of_different_sizes() -> None:
    assert coefficient_lines(coefficients([1e-9, 1, 1e-9], [1000, 2, 500])) == lines_of("""
      Estimate Std. Error t value
    a    1e-09      1e+00       0
    b    1e+03      2e+00     500
    """)
    assert coefficient_lines(coefficients([123456, 0.001, 1.23456e8])) == lines_of("""
       Estimate Std. Error   t value
    a 1.235e+05  1.000e-03 123456000
    """)


def test_coefficients_of_a_perfect_fit() -> None:
    assert coefficient_lines(coefficients([3, 2.255e-16, 1.33e16], [2, 3.872e-17, 5.165e16])) == lines_of("""
       Estimate Std. Error   t value
    a 3.000e+00  2.255e-16 1.330e+16
    b 2.000e+00  3.872e-17 5.165e+16
    """)
    assert coefficient_lines(coefficients([0, 0, NAN], [3, 0, INF])) == lines_of("""
      Estimate Std. Error t value
    a        0          0     NaN
    b        3          0     Inf
    """)


def test_coefficients_that_are_missing() -> None:
    assert coefficient_lines(coefficients([NAN, 4.984e-6, 4469, NAN, NAN])) == lines_of("""
      Estimate Std. Error        df t value Pr(>|t|)
    a      NaN  4.984e-06 4.469e+03     NaN      NaN
    """)


def test_stars_and_their_legend_appear_with_small_pvalues_only() -> None:
    assert coefficient_lines(coefficients([1.5, 0.5, 17, 3, 0.2], [1, 1, 17, 1, NAN])) == lines_of("""
      Estimate Std. Error   df t value Pr(>|t|)
    a      1.5        0.5 17.0       3      0.2
    b      1.0        1.0 17.0       1      NaN
    """)
    assert coefficient_lines(coefficients([1.5, 0.5, 17, 3, 0.02], [2, 0.5, 18, 4, 0.07])) == lines_of("""
      Estimate Std. Error   df t value Pr(>|t|)  |
    a      1.5        0.5 17.0       3     0.02 *|
    b      2.0        0.5 18.0       4     0.07 .|
    ---
    Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1
    """)


@pytest.mark.parametrize(("pvalue", "mark"), [(0.0, "***"), (0.001, "***"), (0.01, "**"), (0.05, "*"), (0.0999, ".")])
def test_limits_of_the_stars(pvalue: float, mark: str) -> None:
    assert coefficient_lines(coefficients([1.5, 0.5, 17, 3, pvalue]))[1].endswith(f" {mark}")


def test_long_coefficient_names_push_columns_into_a_second_block() -> None:
    table = coefficients([1.5, 0.5, 3.0]).rename(index={"a": "x" * 54})
    lines = coefficient_lines(table)
    assert [line.split()[-1] for line in lines] == ["Error", "0.5", "value", "3"]


def test_table_without_standard_errors_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"\['std_error'\]"):
        coefficient_lines(coefficients([1, 2, 3]).drop(columns="std_error"))


def test_correlations_of_fixed_effects_share_decimals_and_width() -> None:
    values = [[1, 0.13349, -0.4], [0.13349, 1, NAN], [-0.4, NAN, 1]]
    names = ["(Intercept)", "gcsecnt", "genderF"]
    assert correlation_lines(pd.DataFrame(values, index=names, columns=names)) == lines_of("""
            (Intr) gcscnt|
    gcsecnt  0.133       |
    genderF -0.400    NaN|
    """)


# -- variance components -----------------------------------------------------------------------------------


def components(*rows: tuple[str, str | None, str | None, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["grp", "var1", "var2", "vcov", "sdcor"])


@pytest.fixture
def three_columns() -> pd.DataFrame:
    return components(
        ("g", "(Intercept)", None, 2.25, 1.5),
        ("g", "x", None, 0.04, 0.2),
        ("g", "z", None, 0, 0),
        ("g", "(Intercept)", "x", 0.15, 0.5),
        ("g", "(Intercept)", "z", 0, NAN),
        ("g", "x", "z", 0, -0.123456),
        ("h", "(Intercept)", None, 10000, 100),
        ("Residual", None, None, 144, 12),
    )


def test_standard_deviations_alone(three_columns: pd.DataFrame) -> None:
    assert varcorr_lines(three_columns, ("Std.Dev.",)) == lines_of("""
     Groups   Name        Std.Dev. Corr         |
     g        (Intercept)   1.5                 |
              x             0.2     0.500       |
              z             0.0       NaN -0.123|
     h        (Intercept) 100.0                 |
     Residual              12.0                 |
    """)


def test_variances_and_standard_deviations(three_columns: pd.DataFrame) -> None:
    assert varcorr_lines(three_columns, digits=4) == lines_of("""
     Groups   Name        Variance Std.Dev. Corr       |
     g        (Intercept)     2.25   1.5               |
              x               0.04   0.2     0.50      |
              z               0.00   0.0      NaN -0.12|
     h        (Intercept) 10000.00 100.0               |
     Residual               144.00  12.0               |
    """)


def test_variances_alone(three_columns: pd.DataFrame) -> None:
    assert varcorr_lines(three_columns, ("Variance",))[:3] == lines_of("""
     Groups   Name        Variance Corr         |
     g        (Intercept)     2.25              |
              x               0.04  0.500       |
    """)


def test_table_is_left_as_it_was(three_columns: pd.DataFrame) -> None:
    before = three_columns.copy()
    varcorr_lines(three_columns)
    pd.testing.assert_frame_equal(three_columns, before)


def test_scalar_terms_have_no_column_of_correlations() -> None:
    table = components(("batch", "(Intercept)", None, 0, 0), ("Residual", None, None, 13.81, np.sqrt(13.81)))
    assert varcorr_lines(table, digits=4) == lines_of("""
     Groups   Name        Variance Std.Dev.|
     batch    (Intercept)  0.00    0.000   |
     Residual             13.81    3.716   |
    """)


def test_a_factor_may_be_called_residual() -> None:
    table = components(("Residual", "(Intercept)", None, 4, 2), ("g", "x", None, 9, 3), ("Residual", None, None, 16, 4))
    assert varcorr_lines(table) == lines_of("""
     Groups   Name        Variance Std.Dev.|
     Residual (Intercept)  4       2       |
     g        x            9       3       |
     Residual             16       4       |
    """)


def test_unknown_column_is_refused(three_columns: pd.DataFrame) -> None:
    with pytest.raises(ArgumentError, match="SD"):
        varcorr_lines(three_columns, ("SD",))
