"""Realistic designs: whether a fit of ordinary data warns of what is not there, or misses a lower minimum.

    python -m scripts.realistic_designs [--designs 2300] [--first 0] [--searches 6]

Repeated measures, crossed subjects and items, schools, randomized blocks, growth curves and meta-analytic weights, of
the sizes and ratios of variances that papers report, balanced and with missing rows.  No fit of theirs may warn, but of
a variance at its end, or of several minima that searches by another optimizer find as well; none may end higher.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from lmmsparse import lmer
from lmmsparse.errors import SeveralMinimaWarning, SingularFitWarning
from scripts.tried import outcomes

Float = NDArray[np.float64]
Data = dict[str, Any]

# Criteria that differ by less are those of one minimum.
SLACK = 1e-3


@dataclass(frozen=True)
class Design:
    """Data of a formula, fitted by REML or not, with weights or not."""

    formula: str
    data: Data
    reml: bool
    weighted: bool = False


def repeated_measures(rng: np.random.Generator) -> tuple[str, Data]:
    """A treatment between subjects, time within: intercepts, and perhaps slopes, of subjects."""
    subjects, times = int(rng.integers(12, 61)), int(rng.integers(4, 11))
    s, t = np.repeat(np.arange(subjects), times), np.tile(np.arange(times, dtype=float), subjects)
    arm = np.array(["control", "treated"])[s % 2]
    slope = rng.uniform(0.1, 1.0) * rng.normal(size=subjects)[s] * t
    y = (
        20.0
        + 0.5 * t * (s % 2)
        + rng.uniform(1.0, 4.0) * rng.normal(size=subjects)[s]
        + slope
        + rng.normal(size=len(s))
    )
    formulas = ("y ~ t * arm + (1 | s)", "y ~ t * arm + (t | s)", "y ~ t * arm + (t || s)")
    return formulas[int(rng.integers(3))], {"y": y, "t": t, "arm": arm, "s": s}


def crossed(rng: np.random.Generator) -> tuple[str, Data]:
    """Every subject sees every item in one of two conditions."""
    subjects, items = int(rng.integers(12, 41)), int(rng.integers(10, 31))
    s, i = np.repeat(np.arange(subjects), items), np.tile(np.arange(items), subjects)
    c = np.where((s + i) % 2 == 0, 0.5, -0.5)
    y = 600.0 + 20.0 * c + 60.0 * rng.normal(size=subjects)[s] + 30.0 * rng.normal(size=items)[i]
    y = y + rng.uniform(10.0, 30.0) * rng.normal(size=subjects)[s] * c + 90.0 * rng.normal(size=len(s))
    formulas = ("y ~ c + (1 | s) + (1 | i)", "y ~ c + (c | s) + (1 | i)", "y ~ c + (c | s) + (c | i)")
    return formulas[int(rng.integers(3))], {"y": y, "c": c, "s": s, "i": i}


def schools(rng: np.random.Generator) -> tuple[str, Data]:
    """Pupils in classes in schools."""
    count, classes, pupils = int(rng.integers(8, 31)), int(rng.integers(2, 5)), int(rng.integers(5, 26))
    k = np.repeat(np.arange(count * classes), pupils)
    x = rng.normal(size=len(k))
    y = 50.0 + 2.0 * x + 3.0 * rng.normal(size=count)[k // classes] + 2.0 * rng.normal(size=count * classes)[k]
    return "y ~ x + (1 | school / k)", {"y": y + 8.0 * rng.normal(size=len(k)), "x": x, "school": k // classes, "k": k}


def blocks(rng: np.random.Generator) -> tuple[str, Data]:
    """A split plot: one factor on whole plots within blocks, another on their parts."""
    count, whole, parts = int(rng.integers(4, 11)), int(rng.integers(2, 5)), int(rng.integers(3, 6))
    index = np.arange(count * whole * parts)
    b, a, f = index // (whole * parts), index // parts % whole, index % parts
    y = 100.0 + a + 2.0 * f + 4.0 * rng.normal(size=count)[b] + 3.0 * rng.normal(size=count * whole)[index // parts]
    labels = {"a": np.char.add("a", a.astype(str)), "f": np.char.add("f", f.astype(str)), "b": b}
    return "y ~ a * f + (1 | b) + (1 | b:a)", {"y": y + 3.0 * rng.normal(size=len(index)), **labels}


def weighted_means(rng: np.random.Generator) -> tuple[str, Data]:
    """Means of several studies with the numbers of their observations as weights."""
    studies = int(rng.integers(10, 31))
    s = np.repeat(np.arange(studies), rng.integers(2, 7, studies))
    w, x = rng.integers(10, 101, len(s)).astype(float), rng.normal(size=len(s))
    y = 1.0 + 0.3 * x + 0.4 * rng.normal(size=studies)[s] + rng.normal(size=len(s)) * 3.0 / np.sqrt(w)
    return "y ~ x + (1 | s)", {"y": y, "x": x, "s": s, "w": w}


KINDS: tuple[Callable[[np.random.Generator], tuple[str, Data]], ...] = (
    repeated_measures,
    crossed,
    schools,
    blocks,
    weighted_means,
)


def realistic_design(number: int) -> Design:
    """The design of this number, always the same."""
    rng = np.random.default_rng([20_261_127, 2, number])
    formula, data = KINDS[number % len(KINDS)](rng)
    share = (1.0, 0.9, 0.75)[int(rng.integers(3))]  # rows that are not missing
    if "w" not in data and "f" not in data:  # every combination of levels of two factors stays
        kept = rng.random(len(data["y"])) < share
        data = {name: values[kept] for name, values in data.items()}
    return Design(formula, data, bool(rng.random() < 0.7), "w" in data)


@dataclass(frozen=True)
class Outcome:
    """What the fit of a design has said and missed."""

    number: int
    faults: tuple[str, ...]
    singular: bool
    evaluations: int


def outcome(number: int, searches: int) -> Outcome:
    """Fit a design, search from elsewhere, and compare."""
    design = realistic_design(number)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        m = lmer(design.formula, design.data, REML=design.reml, weights="w" if design.weighted else None)
    rng, ends, faults = np.random.default_rng(number), [], []
    lower = m.objective.bounds()[0]
    for _ in range(searches):
        start = m.theta * 10.0 ** rng.normal(0.0, 0.5, len(m.theta)) + rng.exponential(0.3, len(m.theta))
        found = minimize(
            m.objective, start, jac=m.objective.gradient, method="L-BFGS-B", bounds=[(low, None) for low in lower]
        )
        ends.append(float(found.fun))
    several = max(ends) - min(ends) > SLACK
    for warning in caught:
        if issubclass(warning.category, SingularFitWarning):
            continue
        if not (issubclass(warning.category, SeveralMinimaWarning) and several):
            faults.append(f"{warning.category.__name__}: {warning.message}")
    if m.criterion > min(ends) + SLACK:
        faults.append(f"{m.criterion - min(ends):.4g} too high")
    return Outcome(number, tuple(faults), m.is_singular(), m.optinfo.evaluations)


def main() -> int:
    """Try the designs and print the faults; 1 when there are any."""
    tried = []
    for one in outcomes(outcome, __doc__, designs=2300, searches=6):
        tried.append(one)
        for fault in one.faults:
            print(f"{one.number}: {fault}", flush=True)
    wrong = sum(bool(one.faults) for one in tried)
    evaluations = np.median([one.evaluations for one in tried])
    print(
        f"{len(tried)} designs: {wrong} with a false alarm or a higher minimum; "
        f"{sum(one.singular for one in tried)} singular; {evaluations:g} evaluations (median)"
    )
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
