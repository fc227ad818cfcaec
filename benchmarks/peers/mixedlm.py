"""mixedlm: Python with Rust kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mixedlm
import numpy as np
from numpy.typing import NDArray

from benchmarks.columns import Columns
from benchmarks.models import Model
from benchmarks.peers.base import Adapter, Outcome, pandas_frame


class Mixedlm(Adapter):
    """``mixedlm.lmer`` on a pandas frame, and ``refit`` in a loop."""

    packages = ("mixedlm", "numpy", "scipy", "pandas")

    def prepare(self, model: Model, columns: Columns) -> Any:
        return pandas_frame(columns)

    def fit(self, model: Model, data: Any) -> Any:
        return mixedlm.lmer(model.formula, data)

    def outcome(self, fitted: Any) -> Outcome:
        return Outcome(float(fitted.deviance), "REML" if fitted.REML else "ML", int(fitted.function_evals))

    def refits(self, model: Model, data: Any, responses: NDArray[np.float64]) -> Callable[[], list[float]]:
        fitted = mixedlm.lmer(model.formula, data)
        return lambda: [float(fitted.refit(response).deviance) for response in responses.T]


ADAPTER = Mixedlm
