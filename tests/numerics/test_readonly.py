"""Arrays of results are read-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lmmsparse.numerics.readonly import locked


@dataclass
class Part:
    values: Any


def test_arrays_are_locked_wherever_they_are() -> None:
    arrays = [np.zeros(2) for _ in range(5)]
    inner = Part(np.zeros(2))
    whole = Part((arrays[0], Part(arrays[1]), {"a": arrays[2], "b": (arrays[3],)}))
    assert locked(whole) is whole
    assert [array.flags.writeable for array in arrays] == [False, False, False, False, True]
    assert locked(Part(inner)).values is inner and inner.values.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        arrays[0][0] = 1.0
    assert locked("text") == "text"
