"""The bootstrap of a fitted model."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from lmmsparse.arguments import as_text, check_memory, checked_choice, checked_count, checked_flag, shown, unknown_name
from lmmsparse.errors import ArgumentError
from lmmsparse.fitted.model import FittedModel
from lmmsparse.fitted.simulate import generator
from lmmsparse.inference.bootstrap.replicates import Task, joined, pieces, run_piece, statistic_values
from lmmsparse.inference.bootstrap.result import Bootstrap, gathered, model_clusters
from lmmsparse.inference.bootstrap.workers import default_start_method, in_processes

KINDS = ("parametric", "semiparametric", "cases")
# Replicates of intervals that nobody set up, and their seed: the same question has the same answer.
DEFAULT_REPLICATES = 1000
DEFAULT_SEED = 0
# Of a number of an estimate: in a piece, and in the whole.
BYTES_A_NUMBER = 16


def bootstrap(
    model: FittedModel,
    nsim: int = 1000,
    kind: str = "parametric",
    statistic: Callable[[Any], Any] | None = None,
    seed: Any = None,
    workers: int = 1,
    use_u: bool = False,
    progress: bool = False,
    *,
    group: str | None = None,
    within: bool = False,
    start_method: str | None = None,
) -> Bootstrap:
    """Refit the model to new responses or to resampled data.

    Parameters
    ----------
    nsim : int
        Number of replicates.
    kind : {"parametric", "semiparametric", "cases"}
        Draw random effects and residuals from the fitted normal distributions; draw them with replacement from the
        estimated ones, which are first given the variances of the model (with ``use_u`` residuals alone, as they
        are); or draw whole clusters of rows with replacement, each of which counts as a new one.
    statistic : callable, optional
        Called with each refitted model; returns a number, an array of them, or a dict or Series by name.
    seed : int or numpy.random.Generator, optional
        The same seed gives the same replicates in any number of processes.
    workers : int
        Number of processes.
    use_u : bool
        Keep the estimated random effects.
    progress : bool
        Show on the error stream how far it is.
    group : str, optional
        Grouping factor the levels of which are the clusters; that of fewest levels by default.  Factors nested in
        it go with it, levels of crossed ones stay what they are.
    within : bool
        For cases: draw the rows of each cluster with replacement too.
    start_method : {"fork", "forkserver", "spawn"}, optional
        How processes begin: ``"fork"`` on Linux unless polars is imported, else ``"spawn"``.  All but ``"fork"``
        need ``if __name__ == "__main__":`` in a script, and a statistic at the top of a module.

    Returns
    -------
    Bootstrap

    Raises
    ------
    ArgumentError
        An argument is wrong, or the statistic failed; the message says on which replicate.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> found = m.bootstrap(100, statistic=lambda fit: fit.varcorr["Subject"].sd[1] / fit.sigma, seed=1)
    >>> found.theta.shape, found.statistic.shape, int(found.failed.sum())
    ((100, 3), (100, 1), 0)
    """
    count, processes = (checked_count("bootstrap", *one) for one in (("nsim", nsim), ("workers", workers)))
    kind = checked_choice("bootstrap", "kind", kind, KINDS)
    if statistic is not None and not callable(statistic):
        raise ArgumentError(f"bootstrap: statistic must be a function of a fitted model, got {shown(statistic)}")
    keep, rows_too = checked_flag("bootstrap", "use_u", use_u), checked_flag("bootstrap", "within", within)
    reported = checked_flag("bootstrap", "progress", progress)
    if kind == "cases" and keep:
        raise ArgumentError("bootstrap: use_u keeps random effects, which drawn cases do not have; leave it out")
    if kind != "cases" and rows_too:
        raise ArgumentError("bootstrap: within is for kind='cases'")
    if model.estimates.perfect:
        raise ArgumentError("bootstrap: the model fits perfectly, so that there is nothing to draw residuals from")
    method = _start_method(start_method)
    factor = _group(model, group)
    rng = generator(seed)
    values, names = (np.zeros(0), ()) if statistic is None else statistic_values(statistic, model, "the fitted model")
    needed = BYTES_A_NUMBER * float(count) * (model.df + len(model.fixef) + len(names) + 4)
    check_memory("bootstrap", f"the estimates of {count} replicates", needed, model.control.memory_bytes)
    clusters = model_clusters(model, factor) if kind == "cases" else None
    task = Task(model, kind, keep, statistic, names, clusters, rows_too)
    plan = pieces(count, len(model.frame.y))
    work = [(*piece, stream) for piece, stream in zip(plan, rng.spawn(len(plan)), strict=True)]
    parts, began = [], time.monotonic()
    with closing(in_processes(run_piece, task, work, processes, method)) as done:  # an interrupt ends the processes
        for part in done:
            parts.append(part)
            if reported:
                _show(sum(len(one.failed) for one in parts), count, began)
    return gathered(task, factor, joined(parts), values, names)


def bootstrap_limits(
    model: FittedModel,
    level: float,
    parm: Sequence[str] | None,
    nsim: int = DEFAULT_REPLICATES,
    seed: Any = DEFAULT_SEED,
) -> Any:
    """Percentile intervals of a parametric bootstrap with a fixed seed, for ``conf_int(method="boot")``."""
    return bootstrap(model, nsim, seed=seed).conf_int(level, parm=parm)


def _group(model: FittedModel, group: str | None) -> str:
    known = {name: grouping.n_levels for name, grouping in model.frame.groupings.items()}
    if group is None:
        return min(known, key=lambda name: known[name])
    name = as_text(group)
    if name is None or name not in known:
        raise unknown_name("bootstrap", "grouping factor", group, list(known))
    return name


def _start_method(start_method: str | None) -> str:
    known = multiprocessing.get_all_start_methods()
    if start_method is None:
        return default_start_method()
    return checked_choice("bootstrap", "start_method", start_method, known)


def _show(done: int, count: int, began: float) -> None:
    end = "\n" if done == count else ""
    print(
        f"\rbootstrap: {done} of {count} replicates, {time.monotonic() - began:.0f} s",
        end=end,
        file=sys.stderr,
        flush=True,
    )
