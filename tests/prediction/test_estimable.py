"""Means that the fit cannot tell."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lmmsparse import lmer
from lmmsparse.errors import EstimabilityWarning, LmmWarning


def quietly(formula: str, data: pd.DataFrame) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        return lmer(formula, data)


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng, n = np.random.default_rng(8), 160
    frame = pd.DataFrame(
        {
            "f": rng.choice(list("abc"), n),
            "k": rng.choice(list("uvw"), n),
            "g": rng.integers(0, 10, n),
            "x": rng.normal(size=n),
        }
    )
    frame = frame[~((frame.f == "c") & (frame.k == "w"))].reset_index(drop=True)
    return frame.assign(y=rng.normal(size=len(frame)) + rng.normal(size=10)[frame.g], x2=2 * frame.x)


@pytest.mark.parametrize("base", ["a", "b", "c"])
def test_an_empty_cell_has_no_mean_whatever_the_coding(data: pd.DataFrame, base: str) -> None:
    m = quietly(f"y ~ C(f, contr.treatment(base='{base}')) * k + (1 | g)", data)
    grid = pd.DataFrame([(a, b) for a in "abc" for b in "uvw"], columns=["f", "k"])
    with pytest.warns(EstimabilityWarning, match="1 of 9 rows, which are NaN: 8"):
        found = m.predict(grid, re_form=0, interval="confidence")
    assert found.iloc[8].isna().all() and found.iloc[:8].notna().all().all()
    with pytest.warns(EstimabilityWarning):
        assert m.model_matrix_of(grid).isna().any(axis=1).to_list() == [False] * 8 + [True]


def test_a_row_that_breaks_an_alias(data: pd.DataFrame) -> None:
    m = quietly("y ~ x + x2 + (1 | g)", data)
    with pytest.warns(EstimabilityWarning, match="1 of 2 rows"):
        found = m.predict({"x": [0.0, 1.0], "x2": [100.0, 2.0]}, re_form=0)
    assert np.isnan(found.iloc[0]) and np.isfinite(found.iloc[1])


def test_rows_of_the_fit_raise_no_alarm(data: pd.DataFrame) -> None:
    for formula in ("y ~ f * k + (1 | g)", "y ~ x + x2 + (1 | g)", "y ~ poly(x, 2) + x + (1 | g)"):
        m = quietly(formula, data)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_allclose(m.predict(data), m.fitted, atol=1e-8)
