#!/usr/bin/env python3
"""How often 95 % intervals of predictions hold the truth, by simulation from a small balanced design.

    python scripts/interval_coverage_predictions.py [--sets 1000] [--seed 0]

A data set has 30 groups of 4 rows, a treatment of half of the groups and a covariate within them; residuals have
standard deviation 1, intercepts of groups one of three.  Prints a Markdown table of coverage in per cent with its Monte
Carlo error, one column a standard deviation, with Satterthwaite's degrees of freedom and with normal quantiles.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse import LmmWarning, lmer

Float = NDArray[np.float64]

GROUPS, ROWS = 30, 4
SPREADS = (1.0, 0.5, 0.3)
METHODS = {"Satterthwaite": "satterthwaite", "normal": None}


def design() -> pd.DataFrame:
    """The data without their response."""
    group = np.repeat(np.arange(GROUPS), ROWS)
    return pd.DataFrame({"g": group, "treated": group % 2, "x": np.tile(np.linspace(-1.0, 1.0, ROWS), GROUPS)})


def shares(m: Any, frame: pd.DataFrame, fixed: Float, b: Float, spread: float, rng: np.random.Generator) -> list[float]:
    """Share of the rows whose interval holds the truth, by kind of interval and method."""
    own = fixed + b[frame["g"]]
    others = fixed + spread * rng.normal(size=GROUPS)[frame["g"]]
    elsewhere = frame.assign(g=frame["g"] + GROUPS)
    noise = rng.normal(size=len(frame))
    kinds: tuple[tuple[dict[str, Any], Float], ...] = (
        ({"interval": "confidence"}, own),
        ({"newdata": frame, "interval": "prediction"}, own + noise),
        ({"newdata": elsewhere, "allow_new_levels": True, "interval": "confidence"}, others),
        ({"newdata": frame, "re_form": 0, "interval": "confidence"}, fixed),
        ({"newdata": frame, "re_form": 0, "interval": "prediction"}, others + noise),
    )
    found = []
    for arguments, truth in kinds:
        for ddf in METHODS.values():
            table = m.predict(ddf=ddf, **arguments)
            found.append(float(((table["conf_low"] <= truth) & (truth <= table["conf_high"])).mean()))
    return found


NAMES = (
    "mean of a group, confidence",
    "new row of a group, prediction",
    "mean of a new group, confidence",
    "mean over groups (`re_form=0`), confidence",
    "row of a new group (`re_form=0`), prediction",
)


def coverage(spread: float, sets: int, seed: int) -> tuple[Float, Float]:
    """Coverage in per cent and its Monte Carlo error, by kind of interval and method."""
    frame, rng, found, base = design(), np.random.default_rng(seed), [], None
    fixed = (2.0 + 0.5 * frame["treated"] + frame["x"]).to_numpy()
    for _ in range(sets):
        b = spread * rng.normal(size=GROUPS)
        y = fixed + b[frame["g"]] + rng.normal(size=len(frame))
        base = lmer("y ~ treated + x + (1 | g)", frame.assign(y=y)) if base is None else base.refit(y)
        found.append(shares(base, frame, fixed, b, spread, rng))
    values = 100.0 * np.array(found)
    return values.mean(axis=0), values.std(axis=0) / np.sqrt(sets)


def main() -> None:
    """Read the arguments, simulate, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        columns = [coverage(spread, given.sets, given.seed) for spread in SPREADS]
    print("| interval, 95 % | quantiles | " + " | ".join(f"sd {spread}" for spread in SPREADS) + " |")
    print("|---|---|" + "--:|" * len(SPREADS))
    for i, name in enumerate(NAMES):
        for j, method in enumerate(METHODS):
            cells = [f"{mean[2 * i + j]:.1f} ± {error[2 * i + j]:.1f}" for mean, error in columns]
            print(f"| {name} | {method} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
