"""A short run of the fuzz of formulas: nothing escapes, and no error is foreign."""

from __future__ import annotations

from scripts.fuzz_formulas import run


def test_a_short_fuzz() -> None:
    outcomes = run(300, seed=11)
    assert outcomes["accepted"] > 20
    assert outcomes["refused"] > 100
    # how long it takes is for the script: a test machine may be busy
    assert [one for one in outcomes if not one.startswith(("accepted", "refused", "slow"))] == []
