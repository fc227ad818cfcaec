"""The floor of coverage: below it is a failure, well above it is a floor to raise."""

from __future__ import annotations

import pytest

from scripts.coverage_floor import verdict


@pytest.mark.parametrize(
    ("total", "enough", "said"),
    [
        (97.99, False, "coverage 97.99 % is below the floor of 98 %: test what is new"),
        (98.0, True, "coverage 98.00 %, floor 98 %"),
        (98.49, True, "coverage 98.49 %, floor 98 %"),
        (98.5, True, "coverage 98.50 %, floor 98 %; fail_under in pyproject.toml can be raised to 98.5"),
        (100.0, True, "coverage 100.00 %, floor 98 %; fail_under in pyproject.toml can be raised to 100"),
    ],
)
def test_verdicts(total: float, enough: bool, said: str) -> None:
    assert verdict(total, 98.0) == (enough, said)
