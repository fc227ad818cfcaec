"""Where searches begin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmmsparse.objective.linear import Objective

Float = NDArray[np.float64]

# With fewer rows a parameter than this, a deviance often has several minima, and evaluations cost nothing:
MANY_ROWS = 20
# the search is repeated from these multiples of the start.
OTHER_STARTS = (0.1, 3.0)
# A search that begins where another response had its optimum begins with no standard deviation below this.
SMALLEST_START = 0.1


def other_starts(objective: Objective) -> list[Float]:
    """Starts of further searches, where there are so few rows that the criterion may have several minima."""
    first = objective.start()
    if objective.degrees >= MANY_ROWS * len(first) or len(first) == 1:
        return []
    return [
        np.concatenate([block.structure.scaled(first[block.parameters], factor) for block in objective.blocks])
        for factor in OTHER_STARTS
    ]


def warm_start(objective: Objective, theta: Float) -> Float:
    """Where to begin in working coordinates when θ, in the user's units, was the optimum for another response.

    No standard deviation is near zero there: where a variance is zero, its derivative says little.
    """
    theta = objective.to_working(theta)
    parts = [block.structure.lifted(theta[block.parameters], SMALLEST_START) for block in objective.blocks]
    return np.concatenate(parts)


def start_near(objective: Objective, theta: Float) -> Float | None:
    """A start in the user's units when θ was the optimum for like data; None where a cold search has several starts."""
    return None if other_starts(objective) else objective.to_user(warm_start(objective, theta))
