"""Where searches begin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.protocols import Keeps
from lmmsparse.objective.linear import Objective

Float = NDArray[np.float64]

# With fewer rows a parameter than this, a deviance often has several minima, and evaluations cost nothing:
MANY_ROWS = 20
# the search is repeated from these multiples of the start.
OTHER_STARTS = (0.1, 3.0)
# Correlations between whose ends there are barriers are begun at this share of their range from either end.
OTHER_CORRELATIONS = (0.1, 0.9)
# One standard deviation for columns whose sizes differ by more than this may have a minimum at the scale of each,
# however many rows there are.
UNLIKE = 3.0
# A search that begins where another response had its optimum begins with no standard deviation below this.
SMALLEST_START = 0.1


def other_starts(objective: Objective) -> list[Float]:
    """Starts of further searches, where the criterion may have several minima.

    With few rows these are other multiples of the start, and other correlations where all effects of a term share one.
    """
    first, out = objective.start(), _by_size(objective)
    if not few_rows(objective) or len(first) == 1:
        return out
    for factor in OTHER_STARTS:
        parts = [block.structure.scaled(first[block.parameters], factor) for block in objective.blocks]
        out.append(np.concatenate(parts))
    low, high = objective.bounds()
    rho = np.isfinite(high)
    for share in OTHER_CORRELATIONS if rho.any() else ():
        start = first.copy()
        start[rho] = low[rho] + share * (high[rho] - low[rho])
        out.append(start)
    return out


def few_rows(objective: Objective) -> bool:
    """Whether the parameters have so few rows that the criterion often has several minima."""
    return objective.degrees < MANY_ROWS * len(objective.theta_names)


def _by_size(objective: Objective) -> list[Float]:
    """Starts at the scale of the shortest and of the longest column of every term with one standard deviation."""
    out, products = [], objective.products
    for block in objective.blocks:
        if block.structure.keeps is not Keeps.SCALE or block.structure.size == 1:
            continue
        squares = np.einsum("qkk->k", products.diagonal[block.factor])[block.columns]
        lengths = np.sqrt(squares / products.n)
        lengths = lengths[lengths > 0.0]
        if len(lengths) and lengths.max() > UNLIKE * lengths.min():
            for length in (lengths.max(), lengths.min()):
                start = objective.start()
                start[block.parameters] = block.structure.scaled(start[block.parameters], 1.0 / float(length))
                out.append(start)
    return out


def warm_start(objective: Objective, theta: Float) -> Float:
    """Where to begin in working coordinates when θ, in the user's units, was the optimum for another response.

    No standard deviation is near zero there: where a variance is zero, its derivative says little.
    """
    theta = objective.to_working(theta)
    parts = [block.structure.lifted(theta[block.parameters], SMALLEST_START) for block in objective.blocks]
    return np.concatenate(parts)
