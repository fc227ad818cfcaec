"""Ordinary designs: no alarm, and no lower minimum elsewhere (`scripts/realistic_designs.py` tries 2,300)."""

from __future__ import annotations

import pytest

from scripts.realistic_designs import outcome


@pytest.mark.parametrize("number", range(20))
def test_a_realistic_design_has_no_fault(number: int) -> None:
    assert outcome(number, searches=3).faults == ()
