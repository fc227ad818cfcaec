"""glmm: compiled Rust with a Python front."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import glmm
import numpy as np
from numpy.typing import NDArray

from benchmarks.columns import Columns
from benchmarks.models import Model
from benchmarks.peers.base import Adapter, Outcome, Unsupported, pandas_frame


class Glmm(Adapter):
    """``glmm.fit`` without degrees of freedom: the other programs do not compute them in a fit either."""

    packages = ("glmm", "numpy")

    def prepare(self, model: Model, columns: Columns) -> Any:
        if not all(bar.correlated for bar in model.bars):
            raise Unsupported("no (x||g): it always fits the correlations")
        return pandas_frame(columns)

    def fit(self, model: Model, data: Any) -> Any:
        return glmm.fit(data, model.formula, satterthwaite=False)

    def outcome(self, fitted: Any) -> Outcome:
        if not np.isfinite(fitted.loglik):
            raise ArithmeticError("the fit has no log-likelihood")
        note = f"and {fitted.n_grad} gradients" if fitted.n_grad else ""
        return Outcome(-2.0 * fitted.loglik, "REML" if fitted.reml else "ML", fitted.n_eval, note)

    def refits(self, model: Model, data: Any, responses: NDArray[np.float64]) -> Callable[[], list[float]]:
        # There is no refit: whole calls, on a dict of arrays because they are twice as fast as on a frame.
        columns = {
            str(name): data[name] if data[name].dtype.kind == "O" else data[name].to_numpy() for name in data.columns
        }

        def work() -> list[float]:
            calls = (columns | {model.response: response} for response in responses.T)
            return [-2.0 * glmm.fit(one, model.formula, satterthwaite=False).loglik for one in calls]

        return work


ADAPTER = Glmm
