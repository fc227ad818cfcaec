"""A start for the search from a part of the data.

One evaluation of a large crossed design costs the cube of its core.  With a fraction of the core's levels, and the rows
that belong to them, a search costs next to nothing, and it ends within a few standard errors of the optimum of all the
data: from there a few evaluations remain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.blocks import CrossProducts
from lmmsparse.design.coordinates import WorkingDesign, taken_rows
from lmmsparse.errors import LmmError
from lmmsparse.objective.linear import Objective
from lmmsparse.search.newton import newton

Float = NDArray[np.float64]

# Cores that take fewer multiplications an evaluation are not worth the trouble.
THINNED_FLOPS = 2e8
# The share of the core that is kept, and its least and largest number of rows.
KEPT_SHARE, FEWEST_ROWS, MOST_ROWS = 0.4, 300, 1500
# With fewer rows a level on average, the variances of the part say little.
FEWEST_REPEATS = 4.0
# Columns of X have a mean square of 1 in all data; where a combination of them has less than this, it is lost.
SMALLEST_SQUARE = 1e-6
# The part's optimum is not that of all data: a predicted decrease below this ends the search.
ROUGH = 1e-2
MOST_EVALUATIONS = 25


def thinned_start(objective: Objective) -> tuple[Float, int] | None:
    """θ in working coordinates from a part of the data and the evaluations it took; None where that is no help."""
    plan = objective.plan
    core, shapes = plan.core, plan.shapes
    if core.matrix is None or core.matrix.flops < THINNED_FLOPS:
        return None
    thinned = max(core.blocks, key=lambda h: shapes[h][0] * shapes[h][1])
    core_rows = min(max(KEPT_SHARE * core.size, FEWEST_ROWS), MOST_ROWS)
    others = core.size - shapes[thinned][0] * shapes[thinned][1]
    kept = int((core_rows - others) / shapes[thinned][1])
    if kept < 2 or kept > shapes[thinned][0] / 2:
        return None
    part, rows = thinned_design(objective.design, thinned, kept)
    fewest = FEWEST_REPEATS * max(block.n_levels for block in part.blocks)
    if len(rows) < max(fewest, objective.products.p + 1):
        return None
    try:
        small = objective.on_rows(part, rows, 2.0 * plan.bytes)
        if _lost_columns(small.products):
            return None
        found = newton(
            small.evaluate,
            small.differentiate,
            objective.start(),
            chart=small.chart,
            tolerance=ROUGH,
            max_evaluations=MOST_EVALUATIONS,
        )
    except LmmError:  # a factor may have one level, or the criterion no minimum
        return None
    if not found.converged or found.point.degenerate:
        return None
    return found.point.theta, len(found.history)


def _lost_columns(products: CrossProducts) -> bool:
    """Whether a column of X, orthonormal in all data, is nearly a combination of the others in the part."""
    p = products.p
    return p > 0 and bool(np.linalg.eigvalsh(products.fixed[:p, :p])[0] < SMALLEST_SQUARE * products.n)


def thinned_design(design: WorkingDesign, factor: int, kept: int) -> tuple[WorkingDesign, NDArray[np.intp]]:
    """Rows that belong to ``kept`` levels of a factor, spread evenly over frequent and rare ones, and their design."""
    block = design.blocks[factor]
    by_frequency = np.argsort(np.bincount(block.codes, minlength=block.n_levels), kind="stable")
    chosen = np.zeros(block.n_levels, dtype=bool)
    chosen[by_frequency[((np.arange(kept) + 0.5) * block.n_levels / kept).astype(np.intp)]] = True
    rows = np.flatnonzero(chosen[block.codes])
    return taken_rows(design, rows), rows
