"""A fit that has lost digits is made once more from the rows, where that can be done."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import FactorizationError
from lmmsparse.estimation.certificate import LARGEST_ROUNDING, OptInfo
from lmmsparse.estimation.control import Control
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.estimation.fit import Watch, controlled_fit
from lmmsparse.objective.linear import Objective

Float = NDArray[np.float64]

# Standard errors move with the root of what a search leaves; where digits are kept they are used.
TOLERANCE = 1e-14
# A search ends when it predicts a decrease of no more than its tolerance, or than this.
UNSETTLED = 1e-8


class Fit(NamedTuple):
    """An objective with its estimates and the record of the search."""

    objective: Objective
    estimates: Estimates
    info: OptInfo


def fit_to_digits(
    objective: Objective, control: Control, *, start: Float | None = None, watch: Watch | None = None
) -> Fit:
    """Fit an objective, and again by reflections of its rows where elimination has lost digits.

    Parameters
    ----------
    objective : Objective
    control : Control
    start : (n_theta,) array, optional
        In the user's units.
    watch : callable, optional
        Called with every `Evaluation`.
    """
    finer = replace(control, tolerance=min(control.tolerance, TOLERANCE))
    try:
        first = Fit(objective, *controlled_fit(objective, control, start=start, watch=watch))
    except FactorizationError:  # where a fit from the rows has ended, elimination may have no digits left to begin with
        by_rows = None if start is None else objective.by_rows()
        if by_rows is None:
            raise
        return Fit(by_rows, *controlled_fit(by_rows, finer, start=start, watch=watch))
    if objective.response.exact or not _has_lost_digits(first, control.tolerance):
        return first
    by_rows = objective.by_rows()
    if by_rows is None:
        return first
    near = None if first.estimates.perfect or control.optimizer != "newton" else first.estimates.theta
    try:
        estimates, info = controlled_fit(by_rows, finer, start=near if start is None else start, watch=watch)
    except FactorizationError:
        return first
    spent = replace(
        info,
        evaluations_all=first.info.evaluations_all + info.evaluations_all,
        history=first.info.history + info.history,
    )
    return Fit(by_rows, estimates, spent)


def _has_lost_digits(found: Fit, tolerance: float) -> bool:
    rounding, info = found.info.rounding, found.info
    if found.estimates.perfect or (rounding is not None and rounding.largest > LARGEST_ROUNDING):
        return True
    enough = max(tolerance, UNSETTLED) * max(1.0, abs(found.estimates.criterion) / 1e4)
    if info.converged and info.predicted_decrease > enough:  # rounding has ended the search
        return True
    return not info.converged and any(np.isinf(one.value) for one in info.history)
