"""statsmodels: MixedLM, made for one grouping factor; other factors are variance components in dense columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from statsmodels.regression.mixed_linear_model import MixedLM

from benchmarks.columns import Columns, rows
from benchmarks.models import Model
from benchmarks.peers.base import Adapter, Outcome, Unsupported, combined, pandas_frame

# One dense column a random effect, copied and multiplied at every evaluation.
LARGEST_BYTES = 5e8


class Statsmodels(Adapter):
    """``MixedLM.from_formula``: nested factors within the coarsest one, crossed ones within one group of all rows."""

    packages = ("statsmodels", "numpy", "scipy", "pandas")

    def prepare(self, model: Model, columns: Columns) -> Any:
        frame = pandas_frame(columns)
        names = [bar.group.replace(":", "_") for bar in model.bars]
        codes = [combined(columns, bar.factors) for bar in model.bars]
        for column, values in zip(names, codes, strict=True):
            frame[column] = values
        fixed = " + ".join(model.fixed or ("1",))
        arguments: dict[str, Any] = {"formula": f"{model.response} ~ {fixed}", "data": frame}
        if len(model.bars) == 1:
            bar, name = model.bars[0], names[0]
            if bar.correlated:
                return arguments | {"groups": name, "re_formula": f"~{bar.slope or 1}"}
            parts = {"intercept": "1", "slope": f"0 + {bar.slope}"}
            return arguments | {"groups": name, "vc_formula": parts}
        coarsest = min(range(len(codes)), key=lambda i: codes[i].max())
        nested = all(_within(values, codes[coarsest]) for values in codes)
        group = codes[coarsest] if nested else np.zeros(rows(columns), dtype=np.int64)
        components = [i for i in range(len(codes)) if not (nested and i == coarsest)]
        _check_size([codes[i] for i in components], group)
        return arguments | {
            "groups": group,
            "re_formula": "1" if nested else None,
            "vc_formula": {names[i]: f"0 + C({names[i]})" for i in components},
        }

    def fit(self, model: Model, data: Any) -> Any:
        return MixedLM.from_formula(**data).fit(reml=True)

    def outcome(self, fitted: Any) -> Outcome:
        return Outcome(-2.0 * float(fitted.llf), fitted.method, None, "" if fitted.converged else "not converged")


def _within(inner: Any, outer: Any) -> bool:
    """Whether every level of one factor occurs in one level of the other."""
    return len(np.unique(inner * (outer.max() + 1) + outer)) == inner.max() + 1


def _check_size(components: list[Any], group: Any) -> None:
    size = 0.0
    for codes in components:
        pairs = np.unique(np.column_stack([group, codes]), axis=0)[:, 0]
        size += 8.0 * float(np.bincount(pairs) @ np.bincount(group))
    if size > LARGEST_BYTES:
        raise Unsupported(f"several factors are dense columns of rows × levels: {size / 1e9:.1f} GB here")


ADAPTER = Statsmodels
