#!/usr/bin/env python3
"""Fit generated models and check every fit against derivative-free searches and a dense computation.

    python scripts/fuzz.py [--models 1000] [--seed 0] [--only N] [--verbose]

Model N of a seed is always the same.  A model passes when the library refuses it with an error of its own, or
fits it and

- no derivative-free search (from the fit, from the default start, from a random one) finds a criterion that is
  lower by more than 1e-6 (times |criterion|/1e4 for large values), and a ``ConvergenceWarning`` comes only where
  one does;
- the criterion is that of ``objective(theta)``, and that of a least-squares problem in dense algebra on the rows;
- fitted values and residuals add up to the response, θ has no negative diagonal, every warning is the library's;
- the searches took at most 250 evaluations together.

Prints a line for each fault with the number that reproduces it (``--only``), then how often each kind occurred,
what was refused, the distribution of evaluations, and ``N passed, N failed``.  Exit status 1 when any failed.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models are small: a second thread only waits
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fuzz_models import Case, generate

from lmmsparse import LinearMixedModel, LmmError, LmmWarning, fit, lmer
from lmmsparse.errors import ConvergenceWarning

Float = NDArray[np.float64]

EXCESS = 1e-6
MOST_EVALUATIONS = 250
# Each derivative-free search may use so many evaluations, and as many more for each parameter.
SEARCH_EFFORT = 40
# Models with more parameters get no search from a random start.
RANDOM_START_SIZE = 6
# Rows and random effects up to which the criterion is computed a second time, in dense algebra.
DENSE_SIZE = 700


@dataclass(frozen=True)
class Fault:
    """What is wrong with a fit: its kind, for the count at the end, and the details."""

    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {' '.join(self.detail.split())}"


@dataclass(frozen=True)
class Outcome:
    """What became of one model.

    Attributes
    ----------
    faults : tuple of Fault
    refusal : str
        Class of the library's error, or empty.
    evaluations : int
        0 when refused.
    singular : bool
    text : str
        One line about the fit.
    """

    faults: tuple[Fault, ...]
    refusal: str = ""
    evaluations: int = 0
    singular: bool = False
    text: str = ""


@dataclass(frozen=True)
class Found:
    """Where a derivative-free search ended, and the criterion there by the library and in dense algebra."""

    start: str
    claimed: float
    criterion: float


def unit(criterion: float) -> float:
    """The scale on which criteria are compared."""
    return max(1.0, abs(criterion) / 1e4)


def dense_criterion(model: LinearMixedModel, theta: Float) -> float | None:
    """The criterion at θ by an orthogonal factorization of [[W^½ZΛ, W^½X, W^½y], [I, 0, 0]]; None if too large."""
    n, p = model.frame.X.shape
    q = sum(term.n_levels * len(term.names) for term in model.terms)
    if n + q > DENSE_SIZE:
        return None
    root = np.ones(n) if model.frame.weights is None else np.sqrt(model.frame.weights)
    response = model.frame.y - (0.0 if model.frame.offset is None else model.frame.offset)
    blocks, used = [], 0
    for term in model.terms:
        template = term.structure.template(theta[used : used + term.structure.n_theta])
        used += term.structure.n_theta
        Z = np.zeros((n, term.n_levels, len(template)))
        Z[np.arange(n), term.codes] = term.columns @ template
        blocks.append(Z.reshape(n, -1))
    upper = root[:, None] * np.hstack([*blocks, model.frame.X, response[:, None]])
    lower = np.hstack([np.eye(q), np.zeros((q, p + 1))])
    diagonal = np.abs(np.diag(np.linalg.qr(np.vstack([upper, lower]), mode="r")))
    degrees = n - p if model.is_reml else n
    value = 2.0 * np.log(diagonal[:q]).sum() - 2.0 * np.log(root).sum()
    value += degrees * (1.0 + np.log(2.0 * np.pi * diagonal[-1] ** 2 / degrees))
    if model.is_reml:
        value += 2.0 * np.log(diagonal[q : q + p]).sum()
    return float(value)


def searched(model: LinearMixedModel, rng: np.random.Generator) -> list[Found]:
    """Derivative-free searches from the fit, from the default start, and from a random one."""
    objective, size = model.objective, len(model.theta)
    identity = objective.working.start()
    starts = {"the fit": model.theta, "the default start": objective.to_user(identity)}
    if size <= RANDOM_START_SIZE:
        starts["a random start"] = objective.to_user(identity * np.exp(rng.normal(size=size)))
    budget = SEARCH_EFFORT * (1 + size) // 10  # COBYQA may use ten times as many
    found = []
    for name, start in starts.items():
        estimates, _ = fit(objective, start=start, optimizer="cobyqa", max_evaluations=budget)
        claimed = objective(estimates.theta)
        dense = dense_criterion(model, estimates.theta)
        found.append(Found(name, claimed, claimed if dense is None else dense))
    return found


def warning_faults(messages: list[warnings.WarningMessage]) -> Iterator[Fault]:
    """Warnings that are not the library's own."""
    for message in messages:
        if not issubclass(message.category, LmmWarning):
            where = f"{Path(message.filename).name}:{message.lineno}"
            yield Fault("foreign warning", f"{message.category.__name__} ({where}): {message.message}")


def result_faults(model: LinearMixedModel) -> Iterator[Fault]:
    """What does not hold together in a fit."""
    criterion, y = model.criterion, model.frame.y
    if not np.isfinite(criterion):
        yield Fault("criterion not finite", f"{criterion}")
    if (model.theta[model.objective.bounds()[0] == 0] < 0).any():
        yield Fault("negative diagonal", f"theta {model.theta}")
    gap = np.abs(model.fitted.to_numpy() + model.resid().to_numpy() - y).max()
    if not gap <= 1e-9 * np.abs(y).max():
        yield Fault("residuals", f"fitted values + residuals differ from the response by {gap:.2g}")
    if model.optinfo.evaluations > MOST_EVALUATIONS:
        yield Fault("slow", f"{model.optinfo.evaluations} evaluations")
    again = model.objective(model.theta)
    if not abs(again - criterion) <= 1e-8 * max(1.0, abs(criterion)):
        yield Fault("objective", f"objective(theta) is {again - criterion:+.2g} from the criterion")


def search_faults(model: LinearMixedModel, warned: bool, rng: np.random.Generator) -> Iterator[Fault]:
    """Where dense algebra or another search contradicts the fit; the criterion of a perfect fit has no minimum."""
    criterion, tolerance = model.criterion, EXCESS * unit(model.criterion)
    dense = dense_criterion(model, model.theta)
    if dense is not None and not abs(dense - criterion) <= tolerance:
        yield Fault("inaccurate", f"criterion {criterion:.10g} is {criterion - dense:+.2g} from dense algebra")
    found = searched(model, rng)
    for other in found:
        error = other.claimed - other.criterion
        if not abs(error) <= max(tolerance, 1e-3):
            yield Fault("inaccurate elsewhere", f"off by {error:+.2g} where a search from {other.start} ends")
    lower = [other for other in found if criterion - other.criterion > tolerance]
    if lower:
        best = min(lower, key=lambda other: other.criterion)
        kind = "stopped early" if warned else "lower elsewhere"
        detail = f"criterion {criterion:.10g} is {criterion - best.criterion:.3g} above a search from {best.start}"
        yield Fault(kind, detail)
    elif warned:
        yield Fault("false alarm", model.optinfo.message)


def check(case: Case, rng: np.random.Generator) -> Outcome:
    """Fit one model and look for faults."""
    try:
        with warnings.catch_warnings(record=True) as messages:
            warnings.simplefilter("always")
            model = lmer(case.formula, case.data, REML=case.reml, weights=case.weights, offset=case.offset)
    except LmmError as error:
        return Outcome((), refusal=type(error).__name__, text=" ".join(str(error).split()))
    except Exception as error:
        return Outcome((Fault("crash", f"{type(error).__name__} {_place(error)}: {error}"),))
    warned = any(issubclass(message.category, ConvergenceWarning) for message in messages)
    faults = list(warning_faults(messages))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            faults += result_faults(model)
            if not model.estimates.perfect:
                faults += search_faults(model, warned, rng)
    except Exception as error:
        faults.append(Fault("crash", f"in a check: {type(error).__name__} {_place(error)}: {error}"))
    info = model.optinfo
    text = f"criterion {model.criterion:.6f}, {info.evaluations} evaluations, {info.message}"
    return Outcome(tuple(faults), evaluations=info.evaluations, singular=model.estimates.singular, text=text)


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"({Path(frame.filename).name}:{frame.lineno})"


def main() -> int:
    """Run the models that the command line asks for."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="number of the one model to fit")
    parser.add_argument("--verbose", action="store_true", help="a line for every model")
    args = parser.parse_args()
    numbers = range(args.models) if args.only is None else [args.only]
    began, outcomes = time.perf_counter(), []
    for number in numbers:
        case = generate(args.seed, number)
        outcome = check(case, np.random.default_rng([args.seed, number, 1]))
        outcomes.append(outcome)
        if args.verbose or args.only is not None:
            print(f"{number:5d}  {case}  {outcome.refusal} {outcome.text}", flush=True)
        for fault in outcome.faults:
            print(f"FAULT {number:5d}  {case}  <- {fault}", flush=True)
    print_counts(outcomes, time.perf_counter() - began)
    return 1 if any(outcome.faults for outcome in outcomes) else 0


def print_counts(outcomes: list[Outcome], seconds: float) -> None:
    """The lines after the last model."""
    kinds = Counter(kind for outcome in outcomes for kind in {fault.kind for fault in outcome.faults})
    refusals = Counter(outcome.refusal for outcome in outcomes if outcome.refusal)
    fitted = [outcome for outcome in outcomes if outcome.evaluations]
    for label, counts in (("faults", kinds), ("refused", refusals)):
        print(f"{label}: " + (", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"))
    if fitted:
        median, late, most = np.percentile([outcome.evaluations for outcome in fitted], [50, 95, 100])
        singular = sum(outcome.singular for outcome in fitted)
        print(f"fitted: {len(fitted)}, of them singular: {singular}")
        print(f"evaluations: median {median:.0f}, 95 % {late:.0f}, most {most:.0f}")
    failed = sum(bool(outcome.faults) for outcome in outcomes)
    print(f"{seconds:.0f} s")
    print(f"{len(outcomes) - failed} passed, {failed} failed")


if __name__ == "__main__":
    sys.exit(main())
