"""Rounding errors that are to be expected."""

from __future__ import annotations

import numpy as np
import pytest

from lmmsparse.pls.rounding import UNIT, Losses, rounding_of
from tests.designs import ENGINES, Engines, make_case


def test_roots_lose_half_the_digits() -> None:
    losses = Losses(pivots=1e8, pivot=1e8, fixed=1e8, fixed_total=1e8, response=1e8)
    squares = rounding_of(losses, 100.0, 40, True, squared=True, from_rows=True)
    roots = rounding_of(losses, 100.0, 40, True, squared=False, from_rows=False)
    assert squares.std_error == pytest.approx(UNIT * 1e8, rel=1e-3)
    assert roots.std_error < 1e-3 * squares.std_error and roots.criterion < 1e-2 * squares.criterion
    assert roots.sigma == squares.sigma == pytest.approx(UNIT * 1e4)


@pytest.mark.parametrize("engine", ENGINES)
def test_losses_are_those_of_a_dense_factor(engine: Engines) -> None:
    """Nothing is lost where nothing was subtracted, and with θ it grows."""
    with engine():
        objective = make_case("crossed", [[(1, "us")], [(1, "us")]], n=40, seed=5).objective()
        none, some, more = (objective.exact(np.full(2, t)).solution.losses for t in (0.0, 1.0, 100.0))
    assert none.pivots == pytest.approx(0.0, abs=1e-12) and none.pivot == pytest.approx(1.0)
    assert 1.0 < some.pivot < more.pivot
    assert 1.0 <= some.fixed < more.fixed
    assert none.response == pytest.approx(1.0)
