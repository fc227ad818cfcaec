"""What `lmer` refuses between the model frame and the search."""

from __future__ import annotations

import numpy as np
import pytest

from lmmsparse import lmer
from lmmsparse.errors import DataError


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ 1 + (x | g)", "y ~ 1 + (0 + x | g)"])
@pytest.mark.parametrize("unit", [1e-308, 1e306])
@pytest.mark.filterwarnings("error")
def test_a_column_beyond_numbers_is_named(formula: str, unit: float) -> None:
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=40), "x": unit * rng.uniform(1, 5, size=40), "g": np.arange(40) % 5}
    with pytest.raises(DataError, match="column 'x' is beyond"):
        lmer(formula, data)
