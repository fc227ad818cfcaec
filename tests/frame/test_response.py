"""What a response must be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lmmsparse.errors import DataError
from lmmsparse.formula import parse_formula
from lmmsparse.frame import build_model_frame

DATA = pd.DataFrame({"y": np.full(12, 7.0), "x": np.arange(12.0), "g": np.arange(12) % 3})


def test_a_model_frame_has_a_response_that_varies() -> None:
    with pytest.raises(DataError, match=r"'y', less its offset if there is one, is constant \(7\)"):
        build_model_frame(parse_formula("y ~ x + (1 | g)"), DATA)
    frame = build_model_frame(parse_formula("y ~ x + (1 | g)"), DATA, offset="x")
    np.testing.assert_array_equal(frame.y_less_offset, 7.0 - DATA.x)
    with pytest.raises(DataError, match="is constant"):
        build_model_frame(parse_formula("x ~ 1 + (1 | g)"), DATA, offset="x")
