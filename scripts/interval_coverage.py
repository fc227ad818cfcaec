#!/usr/bin/env python3
"""How often 95 % intervals of fixed effects hold the true value, by simulation from a small balanced design.

    python scripts/interval_coverage.py [--sets 1000] [--replicates 500] [--seed 0] [--workers 1] [--output FILE]

A data set has 30 groups of 4 rows, a treatment of half of the groups and a covariate within them; intercepts of groups
have standard deviation 1, as residuals have.  Prints a Markdown table of coverage in per cent and mean length, and the
Monte Carlo error.  The same seed gives the same table.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as t_distribution

from lmmsparse import LmmWarning, lmer
from lmmsparse.inference.kenward_roger import kr_test
from lmmsparse.inference.wald import t_tests

Float = NDArray[np.float64]

GROUPS, ROWS = 30, 4
TRUE = np.array([2.0, 0.5, 1.0])
LEVEL = 0.95
BOOT = ("percentile", "basic", "bca", "studentized")


def design() -> pd.DataFrame:
    """The data without their response."""
    group = np.repeat(np.arange(GROUPS), ROWS)
    return pd.DataFrame({"g": group, "treated": group % 2, "x": np.tile(np.linspace(-1.0, 1.0, ROWS), GROUPS)})


def draw(frame: pd.DataFrame, rng: np.random.Generator) -> Float:
    """A response."""
    mean = TRUE[0] + TRUE[1] * frame["treated"].to_numpy() + TRUE[2] * frame["x"].to_numpy()
    return mean + rng.normal(size=GROUPS)[frame["g"]] + rng.normal(size=len(frame))


def intervals(m: Any, replicates: int, rng: np.random.Generator) -> dict[str, Float]:
    """Intervals of all fixed effects, (p, 2), by method."""
    identity, beta, p = np.eye(len(TRUE)), m.estimates.beta, len(TRUE)
    plain = t_tests(identity, beta, m.uncertainty)
    known = m.kenward_roger
    kr_df = np.array([kr_test(row[None], beta, known).den_df for row in identity])
    out = {
        "Satterthwaite": _symmetric(beta, plain.std_error, plain.df),
        "Kenward-Roger": _symmetric(beta, known.beta_units * np.sqrt(np.diag(known.adjusted)), kr_df),
    }
    table = m.conf_int(LEVEL, method="profile", parm="beta_")
    out["profile"] = table[["conf_low", "conf_high"]].to_numpy()
    boot = m.bootstrap(replicates, seed=rng)
    for method in BOOT:
        table = boot.conf_int(LEVEL, method=method, parm="beta_")
        out[f"bootstrap, {method}"] = table[["conf_low", "conf_high"]].to_numpy()
    assert all(ends.shape == (p, 2) for ends in out.values())
    return out


def _symmetric(beta: Float, error: Float, df: Float) -> Float:
    half = t_distribution.ppf((1.0 + LEVEL) / 2.0, df) * error
    return np.column_stack([beta - half, beta + half])


def simulate(streams: list[np.random.Generator], replicates: int) -> dict[str, Float]:
    """Intervals of every data set, (sets, p, 2), by method."""
    frame = design()
    found: dict[str, list[Float]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        base = lmer("y ~ treated + x + (1 | g)", frame.assign(y=draw(frame, np.random.default_rng(0))))
        for rng in streams:
            for method, ends in intervals(base.refit(draw(frame, rng)), replicates, rng).items():
                found.setdefault(method, []).append(ends)
    return {method: np.array(ends) for method, ends in found.items()}


def table(found: dict[str, Float]) -> str:
    """Coverage in per cent and mean length, as Markdown."""
    names = ("(Intercept)", "treated", "x")
    sets = len(next(iter(found.values())))
    lines = [
        "| intervals | " + " | ".join(f"{name}: coverage | length" for name in names) + " |",
        "|---|" + "---:|" * (2 * len(names)),
    ]
    for method, ends in found.items():
        covered = ((ends[:, :, 0] <= TRUE) & (ends[:, :, 1] >= TRUE)).mean(axis=0)
        length = (ends[:, :, 1] - ends[:, :, 0]).mean(axis=0)
        cells = [f"{100 * c:.1f} | {size:.3f}" for c, size in zip(covered, length, strict=True)]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    error = 100 * np.sqrt(LEVEL * (1 - LEVEL) / sets)
    lines += ["", f"{sets} data sets of {GROUPS} groups of {ROWS} rows; one standard error of a coverage of 95 is "]
    lines[-1] += f"{error:.1f}."
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the arguments, simulate, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--replicates", type=int, default=500, help="of each bootstrap")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    began = time.monotonic()
    streams = np.random.default_rng(given.seed).spawn(given.sets)
    parts = [streams[first : first + 50] for first in range(0, len(streams), 50)]
    if given.workers == 1:
        found = [simulate(part, given.replicates) for part in parts]
    else:
        with ProcessPoolExecutor(given.workers) as pool:
            found = list(pool.map(simulate, parts, [given.replicates] * len(parts)))
    text = table({method: np.concatenate([part[method] for part in found]) for method in found[0]})
    print(text)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    if given.output is not None:
        given.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
