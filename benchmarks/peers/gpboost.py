"""gpboost: grouped random effects of the GPBoost library, by exact Cholesky factorization."""

from __future__ import annotations

from typing import Any

import gpboost
import numpy as np

from benchmarks.columns import Columns
from benchmarks.models import Model
from benchmarks.peers.base import Adapter, Outcome, Unsupported, combined, fixed_matrix


class Gpboost(Adapter):
    """``GPModel(matrix_inversion_method="cholesky")``; its default is iterative. It has maximum likelihood only."""

    packages = ("gpboost", "numpy", "scipy", "pandas")

    def prepare(self, model: Model, columns: Columns) -> Any:
        if any(bar.slope and bar.correlated for bar in model.bars):
            raise Unsupported("no correlation of random intercept and slope")
        slopes = [(i, str(bar.slope)) for i, bar in enumerate(model.bars, 1) if bar.slope]
        data: dict[str, Any] = {"group_data": np.column_stack([combined(columns, bar.factors) for bar in model.bars])}
        if slopes:
            data["group_rand_coef_data"] = np.column_stack([np.asarray(columns[name], float) for _, name in slopes])
            data["ind_effect_group_rand_coef"] = [i for i, _ in slopes]
        response = np.asarray(columns[model.response], dtype=float)
        return data, response, fixed_matrix(model, columns)

    def fit(self, model: Model, data: Any) -> Any:
        groups, response, matrix = data
        fitted = gpboost.GPModel(likelihood="gaussian", matrix_inversion_method="cholesky", **groups)
        return fitted.fit(y=response, X=matrix)

    def outcome(self, fitted: Any) -> Outcome:
        note = f"{fitted._get_num_optim_iter()} iterations"
        return Outcome(2.0 * fitted.get_current_neg_log_likelihood(), "ML", None, note)


ADAPTER = Gpboost
