"""What the tests against lmerTest and lme4 share: the answers, and the fits that they belong to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.datasets import load_dataset
from tests.answers import answers

ANSWERS = answers("inference_testing.json")
SLEEP = "Reaction ~ Days + (Days | Subject)"
# lmerTest's derivatives are finite differences, at a theta that is known to about 1e-6.
DF = 1e-4
F = 1e-5


def holed(data: str) -> NDArray[np.bool_]:
    return np.arange(len(load_dataset(data))) % 7 != 0


def fit_case(fit: Callable[..., Any], case: dict[str, Any], hole: bool = True, **arguments: Any) -> Any:
    if hole:
        arguments["subset"] = holed(case["data"])
    if case.get("id") == "weighted":
        arguments["weights"] = np.resize(np.arange(1.0, 6.0), len(load_dataset(case["data"])))
    if case.get("coding"):
        arguments["contrasts"] = dict.fromkeys(case["coding"], "sum")
    return fit(case["formula"], case["data"], **arguments)


def in_r(labels: pd.Series) -> list[str]:
    return [label.replace(" ** ", "^").replace("**", "^") for label in labels]
