"""lme-python: bindings of a Rust library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lme_python
import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.columns import Columns, Factor
from benchmarks.models import Model
from benchmarks.peers.base import Adapter, Outcome


class LmePython(Adapter):
    """``lme_python.lmer`` on a polars frame; ``prepare_lmer`` for many responses."""

    packages = ("lme-python", "polars")

    def prepare(self, model: Model, columns: Columns) -> Any:
        groups = {name for bar in model.bars for name in bar.factors}
        return pl.DataFrame({name: _series(column, name in groups) for name, column in columns.items()})

    def fit(self, model: Model, data: Any) -> Any:
        return lme_python.lmer(model.formula, data)

    def outcome(self, fitted: Any) -> Outcome:
        return Outcome(_criterion(fitted), "REML", None, f"{fitted.iterations} iterations")

    def refits(self, model: Model, data: Any, responses: NDArray[np.float64]) -> Callable[[], list[float]]:
        prepared = lme_python.prepare_lmer(model.formula, data)
        return lambda: [_criterion(prepared.fit(y=response.tolist())) for response in responses.T]


def _series(column: Any, group: bool) -> Any:
    if isinstance(column, Factor):
        return pl.Series(column.labels()).cast(pl.String)
    return pl.Series(column.astype(np.int64) if column.dtype.kind == "i" else column)


def _criterion(fitted: Any) -> float:
    if fitted.reml_criterion is None:
        raise ArithmeticError("the fit has no REML criterion")
    return float(fitted.reml_criterion)


ADAPTER = LmePython
