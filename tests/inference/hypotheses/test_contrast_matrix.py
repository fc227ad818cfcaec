"""Contrasts by position and by name, those that are refused, and tests of a perfect fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lmmsparse import lmer
from lmmsparse.errors import ArgumentError, LmmWarning
from tests.inference.cases import SLEEP


def test_a_series_is_read_by_its_names(fit):
    m = fit("Reaction ~ Days + (1 | Subject)", "sleepstudy")
    want = m.contest({"(Intercept)": 1.0})["F"]
    assert_allclose(m.contest(pd.Series({"Days": 0.0, "(Intercept)": 1.0}))["F"], want)
    assert_allclose(m.contest(pd.Series({"(Intercept)": 1.0}))["F"], want)
    assert_allclose(m.contest(pd.Series([1.0, 0.0]))["F"], want)
    with pytest.raises(ArgumentError, match="no coefficient 'Dayz'; did you mean 'Days'"):
        m.contest(pd.Series({"Dayz": 1.0}))


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_frames_of_other_libraries_are_read_by_their_names(fit, library):
    module = pytest.importorskip(library)
    make = module.DataFrame if library == "polars" else module.table
    m = fit("Reaction ~ Days + (1 | Subject)", "sleepstudy")
    rows = {"Days": [0.0, 1.0], "(Intercept)": [1.0, 0.0]}
    table = m.contest(make(rows), joint=False)
    assert table["contrast"].to_list() == ["(Intercept)", "Days"]
    with pytest.raises(ArgumentError, match="no coefficient 'Dayz'"):
        m.contest(make({"Dayz": [1.0]}))


def test_a_perfect_fit_has_no_tests():
    g, x = np.repeat(list("abcdef"), 4), np.tile([1.0, 2.0, 3.0, 5.0], 6)
    data: dict[str, Any] = {"y": np.repeat([1.0, 5.0, 2.0, 8.0, 3.0, 9.0], 4) + 2.0 * x, "x": x, "g": g}
    with pytest.warns(LmmWarning):
        m = lmer("y ~ x + (1 | g)", data)
    for ddf in ("satterthwaite", "kenward-roger", None):
        assert m.contest([0, 1], ddf=ddf)[["DenDF", "F", "p_value"]].isna().all(axis=None)
        assert m.anova(ddf=ddf)[["DenDF", "F", "p_value"]].isna().all(axis=None)
        table = m.contest(np.eye(2), ddf=ddf, joint=False)
        assert_allclose(table["estimate"], m.fixef, rtol=1e-9)
        assert table[["std_error", "df", "statistic", "p_value"]].isna().all(axis=None)


def test_contrasts_by_name(fit):
    m = fit("angle ~ recipe * temp + (1 | recipe:replicate)", "cake")
    names = list(m.fixef.index)
    L = np.zeros((2, len(names)))
    L[0, names.index("recipe[T.B]")], L[0, names.index("recipe[T.C]")], L[1, names.index("temp")] = 1, -1, 2
    rows = [{"recipe[T.B]": 1, "recipe[T.C]": -1}, {"temp": 2}]
    want = m.contest(L, joint=False)
    assert want["contrast"].to_list() == ["recipe[T.B] - recipe[T.C]", "2 temp"]
    pd.testing.assert_frame_equal(m.contest(rows, joint=False), want)
    pd.testing.assert_frame_equal(m.contest(pd.DataFrame(L, columns=names), joint=False), want)
    pd.testing.assert_frame_equal(m.contest(rows[0], joint=False), want.iloc[:1])
    assert m.contest(rows)["NumDF"].to_list() == [2]
    joint, single = m.contest(rows[0]).iloc[0], want.iloc[0]
    np.testing.assert_allclose(joint["F"], single["statistic"] ** 2)
    np.testing.assert_allclose(joint["p_value"], single["p_value"])


@pytest.mark.parametrize(
    ("L", "message"),
    [
        ([1.0], r"shape \(1,\).*2 coefficients"),
        (np.ones((2, 3)), r"shape \(2, 3\)"),
        (np.ones((1, 1, 2)), "shape"),
        (np.zeros((0, 2)), "shape"),
        ([[0.0, 0.0]], "zero"),
        ([0.0, np.nan], "finite"),
        ("Days", "numbers.*name the coefficients"),
        (["a", "b"], "numbers"),
        ({"Dayz": 1}, "no coefficient 'Dayz'.*Days"),
        ({}, "empty"),
        ({"Days": [1, 2]}, "one number"),
        ({"Days": "x"}, "numbers"),
        (pd.DataFrame({"Hours": [1.0]}), "no coefficient 'Hours'"),
    ],
)
def test_bad_contrasts_are_refused(fit, L, message):
    with pytest.raises(ArgumentError, match=message):
        fit(SLEEP, "sleepstudy").contest(L)


def test_rows_have_the_names_that_are_given(fit):
    m = fit(SLEEP, "sleepstudy")
    rows = {"start": {"(Intercept)": 1}, "end": {"(Intercept)": 1, "Days": 9}}
    want = m.contest(list(rows.values()), joint=False)
    frame = pd.DataFrame(rows).T.fillna(0.0)
    for named in (rows, frame, {name: row for name, row in frame.iterrows()}):
        table = m.contest(named, joint=False)
        assert table["contrast"].to_list() == ["start", "end"]
        pd.testing.assert_frame_equal(table.drop(columns="contrast"), want.drop(columns="contrast"))


def test_rows_have_the_names_of_groups(fit):
    m = fit(SLEEP, "sleepstudy")
    X = pd.DataFrame([[1.0, 0.0], [1.0, 9.0]], columns=["(Intercept)", "Days"])
    for index, want in [
        (pd.Index([0, 9], name="day"), ["0", "9"]),
        (pd.MultiIndex.from_tuples([("a", 0), ("a", 9)]), ["a, 0", "a, 9"]),
        (pd.Index([3, 5]), ["(Intercept)", "(Intercept) + 9 Days"]),  # labels of rows, not names
    ]:
        assert m.contest(X.set_axis(index), joint=False)["contrast"].to_list() == want


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", None])
def test_intervals_of_coefficients_are_those_of_tidy(fit, ddf):
    m = fit(SLEEP, "sleepstudy")
    columns = ["estimate", "conf_low", "conf_high"]
    got = m.contest(np.eye(2), ddf=ddf, joint=False, level=0.9)[columns]
    pd.testing.assert_frame_equal(got, m.tidy(ddf=ddf, level=0.9)[columns])
    with pytest.raises(ArgumentError, match="contest: level"):
        m.contest(np.eye(2), level=90)
