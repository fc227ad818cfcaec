"""Searches of one model from many starts with several optimizers, for who doubts the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.errors import FactorizationError
from lmmsparse.estimation.control import Control
from lmmsparse.estimation.fit import controlled_fit
from lmmsparse.estimation.spread import spread_starts
from lmmsparse.objective.linear import Objective

Float = NDArray[np.float64]


def all_searches(
    objective: Objective, theta: Float, control: Control, starts: int, optimizers: Sequence[str]
) -> pd.DataFrame:
    """One row a search, the lowest first, from the fit's θ and from others; see `FittedModel.allfit`."""
    rng = np.random.default_rng(0)
    known = [objective.to_working(theta), objective.start()]
    working = np.vstack([*known, *spread_starts(objective, max(1, starts - 2), rng)])[:starts]
    rows = []
    for optimizer in optimizers:
        settings = replace(control, optimizer=optimizer)
        for number, psi in enumerate(working):
            row = {"optimizer": optimizer, "start": number}
            try:
                estimates, info = controlled_fit(objective, settings, start=objective.to_user(psi))
            except FactorizationError:  # nothing can be evaluated there
                row |= {"criterion": np.nan, "converged": False, "evaluations": 1}
                rows.append(row | dict.fromkeys(objective.theta_names, np.nan))
                continue
            row |= {"criterion": estimates.criterion, "converged": info.converged, "evaluations": info.evaluations_all}
            rows.append(row | dict(zip(objective.theta_names, estimates.theta.tolist(), strict=True)))
    return pd.DataFrame(rows).sort_values("criterion", kind="stable", ignore_index=True)
