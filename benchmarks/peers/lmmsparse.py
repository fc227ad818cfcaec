"""The library of this repository."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.columns import Columns
from benchmarks.models import Model
from benchmarks.peers.base import Adapter, Outcome, pandas_frame
from lmmsparse import lmer

# Rows up to which the model is also fitted by ML, for the comparison of criteria.
LARGEST_ML = 2_000_000


class Lmmsparse(Adapter):
    """``lmer`` on a pandas frame; ``refit_many`` for many responses."""

    packages = ("lmmsparse", "numpy", "scipy", "pandas")

    def prepare(self, model: Model, columns: Columns) -> Any:
        return pandas_frame(columns)

    def fit(self, model: Model, data: Any) -> Any:
        return lmer(model.formula, data)

    def outcome(self, fitted: Any) -> Outcome:
        # an older version, in a comparison, does not count them all
        counted = getattr(fitted.optinfo, "evaluations_all", None)
        return Outcome(fitted.criterion, "REML", fitted.optinfo.evaluations, evaluations_all=counted)

    def criterion_ml(self, fitted: Any) -> float | None:
        return float(fitted.refit_ml().criterion) if fitted.nobs <= LARGEST_ML else None

    def refits(self, model: Model, data: Any, responses: NDArray[np.float64]) -> Callable[[], list[float]]:
        fitted = lmer(model.formula, data)
        if not hasattr(fitted, "refit_many"):  # an older version, in a comparison
            return lambda: [fitted.refit(response).criterion for response in responses.T]
        return lambda: [float(value) for value in fitted.refit_many(responses).criterion]


ADAPTER = Lmmsparse
