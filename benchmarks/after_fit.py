"""Seconds of what is done after a fit, beside R's lme4, lmerTest and pbkrtest where they are installed.

    python -m benchmarks.after_fit [--repeats N]

Prints a Markdown table of medians.  The models are those of sleepstudy, `(Days | Subject)`, and of InstEval with three
crossed factors; each repeat begins with a new fit, which is not timed.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from lmmsparse import LinearMixedModel, lmer, load_dataset

SCRIPT = Path(__file__).with_name("after_fit.R")


class Task(NamedTuple):
    """Something done with a fit.

    Attributes
    ----------
    name : str
        That of its counterpart in R.
    label : str
    large : bool
        With the model of InstEval.
    action : callable
    """

    name: str
    label: str
    large: bool
    action: Callable[[LinearMixedModel], Any]


TASKS = (
    Task("satterthwaite", "Satterthwaite's t tests", False, lambda m: m.df_fixed()),
    Task("kenward-roger", "Kenward–Roger's t tests", False, lambda m: m.df_fixed("kenward-roger")),
    Task("drop1", "`drop1`", False, lambda m: m.drop1()),
    Task("ranova", "`ranova`", False, lambda m: m.ranova()),
    Task("profile", "profile intervals of all parameters", False, lambda m: m.conf_int(method="profile")),
    Task("bootstrap", "1,000 parametric bootstrap refits", False, lambda m: m.bootstrap(1000, seed=1)),
    Task("influence", "estimates without each subject, θ held", False, lambda m: m.influence("Subject")),
    Task("influence-refit", "the same, refitted", False, lambda m: m.influence("Subject", refit=True)),
    Task("hatvalues", "leverages", False, lambda m: m.hatvalues()),
    Task("predict", "predictions of all rows with intervals", False, lambda m: m.predict(interval="confidence")),
    Task("satterthwaite-large", "InstEval: Satterthwaite's t tests", True, lambda m: m.df_fixed()),
    Task("kenward-roger-large", "InstEval: Kenward–Roger's t tests", True, lambda m: m.df_fixed("kenward-roger")),
    Task("influence-large", "InstEval: estimates without each instructor", True, lambda m: m.influence("d")),
    Task("predict-large", "InstEval: predictions with intervals", True, lambda m: m.predict(interval="confidence")),
)


def fit(large: bool) -> LinearMixedModel:
    """A new fit, of which nothing is known but its estimates."""
    if large:
        return lmer("y ~ service + (1|s) + (1|d) + (1|dept)", load_dataset("InstEval"))
    return lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))


def measure(task: Task, repeats: int) -> float:
    """Median of the seconds that a task takes."""
    task.action(fit(task.large))
    seconds = []
    for _ in range(repeats):
        model = fit(task.large)
        begin = time.perf_counter()
        task.action(model)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def seconds_of_r() -> dict[str, float]:
    """What R takes for tasks that it has; empty without R."""
    if shutil.which("Rscript") is None:
        return {}
    done = subprocess.run(["Rscript", str(SCRIPT)], capture_output=True, text=True, check=False)
    rows = (line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 1)
    return {name: float(value) for name, value in rows}


def table(ours: dict[str, float], theirs: dict[str, float]) -> str:
    """Both as Markdown, with their ratio."""
    lines = ["| after the fit | lmmsparse | R | ratio |", "|---|--:|--:|--:|"]
    for task in TASKS:
        seconds, other = ours[task.name], theirs.get(task.name)
        beside = " | " if other is None else f"{other:.2g} | {other / seconds:.0f}"
        lines.append(f"| {task.label} | {seconds:.2g} | {beside} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(table({task.name: measure(task, repeats) for task in TASKS}, seconds_of_r()))


if __name__ == "__main__":
    main()
