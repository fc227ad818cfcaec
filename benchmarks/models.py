"""The models that are measured, their data, and the bounds that hold for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from lmmsparse import load_dataset


@dataclass(frozen=True)
class Bounds:
    """What a fit may take: seconds, and bytes above the loaded data (None: no bound)."""

    seconds: float | None = None
    bytes: float | None = None


@dataclass(frozen=True)
class BenchmarkModel:
    """A model to measure.

    Attributes
    ----------
    name : str
    formula : str
    load : callable
        Returns the data as a pandas frame; the same data every time.
    reml : bool
    repeats : int
        Fits in one process, after a first one.
    bounds : Bounds
    """

    name: str
    formula: str
    load: Callable[[], pd.DataFrame]
    reml: bool = True
    repeats: int = 5
    bounds: Bounds = Bounds()


MODELS = {
    model.name: model
    for model in (
        BenchmarkModel(
            name="InstEval",
            formula="y ~ service + (1|s) + (1|d) + (1|dept)",
            load=partial(load_dataset, "InstEval"),
            repeats=3,
            bounds=Bounds(seconds=2.0, bytes=400e6),
        ),
        BenchmarkModel(
            name="sleepstudy",
            formula="Reaction ~ Days + (Days|Subject)",
            load=partial(load_dataset, "sleepstudy"),
            repeats=50,
            bounds=Bounds(seconds=0.020),
        ),
    )
}
