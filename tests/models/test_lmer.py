"""What `lmer` refuses between the model frame and the search."""

from __future__ import annotations

import numpy as np
import pytest

from lmmsparse import lmer
from lmmsparse.errors import DataError, MemoryLimitError


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ 1 + (x | g)", "y ~ 1 + (0 + x | g)"])
@pytest.mark.parametrize("unit", [1e-308, 1e306])
@pytest.mark.filterwarnings("error")
def test_a_column_beyond_numbers_is_named(formula: str, unit: float) -> None:
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=40), "x": unit * rng.uniform(1, 5, size=40), "g": np.arange(40) % 5}
    with pytest.raises(DataError, match="column 'x' is beyond"):
        lmer(formula, data)


def test_terms_beyond_memory_are_refused_before_rows_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmmsparse.objective.linear.cross_products", None)
    rng = np.random.default_rng(1)
    data = {f"x{i}": rng.normal(size=80) for i in range(60)} | {"y": rng.normal(size=80), "g": np.arange(80) % 5}
    with pytest.raises(MemoryLimitError, match="a factor of 5 levels has 61 columns"):
        lmer("y ~ 1 + (. || g)", data, control={"memory_limit": 1e6})
