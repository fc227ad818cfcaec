"""Tests of fixed effects where standard deviations or units are far apart, and where joint tests depend on their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lmmsparse import lmer


def one_way(sd: float, groups: int = 10, rows: int = 5) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    x = np.tile(np.arange(float(rows)), groups)
    y = np.repeat(sd * rng.normal(size=groups), rows) + rng.normal(size=groups * rows)
    return {"y": y, "x": x, "g": np.repeat([f"g{i}" for i in range(groups)], rows)}


@pytest.mark.parametrize("sd", [1e2, 1e3, 1e5])
def test_kenward_roger_with_a_large_standard_deviation(sd):
    # the intercept's variance is that of a mean of 10 groups, whatever the rows within them tell
    df = lmer("y ~ x + (1 | g)", one_way(sd)).df_fixed("kenward-roger")
    assert_allclose(df, [9.0, 39.0], rtol=1e-3)
