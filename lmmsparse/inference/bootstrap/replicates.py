"""Replicates of a bootstrap: a piece of them at a time, each piece from a random stream of its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import as_array, as_numbers, shown
from lmmsparse.design.terms import RandomTerm, taken_columns
from lmmsparse.errors import ArgumentError, GroupingError, LmmError, LmmWarning
from lmmsparse.estimation.again import check_levels, fit_parts
from lmmsparse.estimation.table import EstimateTable
from lmmsparse.fitted.effects import terms_by_group
from lmmsparse.fitted.means import predict_rows
from lmmsparse.fitted.model import FittedModel, Model
from lmmsparse.fitted.simulate import draw_responses
from lmmsparse.frame import Levels, ModelFrame
from lmmsparse.frame.grouping import Grouping, JointLevels, LevelMap
from lmmsparse.frame.response import check_varies
from lmmsparse.inference.bootstrap.draws import (
    Cases,
    Clusters,
    draw_cases,
    reflated_modes,
    reflated_residuals,
    resampled_responses,
)
from lmmsparse.numerics.rank import independent_columns

Float = NDArray[np.float64]
Statistic = Callable[[Any], Any]

# Replicates that share a random stream; fewer where their responses would have more numbers than these.
PIECE = 50
PIECE_NUMBERS = 500_000


@dataclass(frozen=True)
class Task:
    """What every replicate needs.

    Attributes
    ----------
    model : FittedModel
    kind : {"parametric", "semiparametric", "cases"}
    use_u : bool
    statistic : callable or None
    names : tuple of str
        Of the values of the statistic.
    clusters : Clusters or None
        For cases.
    within : bool
    """

    model: FittedModel
    kind: str
    use_u: bool
    statistic: Statistic | None
    names: tuple[str, ...]
    clusters: Clusters | None
    within: bool


class Replicates(NamedTuple):
    """Estimates of m replicates, NaN where a refit failed; ``failures`` are pairs of a replicate and why."""

    estimates: EstimateTable
    failed: NDArray[np.bool_]
    statistic: Float
    failures: tuple[tuple[int, str], ...]


def pieces(nsim: int, n: int) -> list[tuple[int, int]]:
    """First replicate and number of replicates of every piece; they depend on nothing but nsim and the rows n."""
    size = max(1, min(PIECE, PIECE_NUMBERS // max(1, n)))
    return [(first, min(size, nsim - first)) for first in range(0, nsim, size)]


def joined(parts: Sequence[Replicates]) -> Replicates:
    """All pieces as one."""
    return Replicates(
        EstimateTable.joined([part.estimates for part in parts]),
        np.concatenate([part.failed for part in parts]),
        np.concatenate([part.statistic for part in parts]),
        tuple(pair for part in parts for pair in part.failures),
    )


def run_piece(task: Task, first: int, count: int, rng: np.random.Generator) -> Replicates:
    """Draw and refit the replicates first … first + count − 1."""
    model = task.model
    if task.kind == "cases":
        assert task.clusters is not None
        drawn = [draw_cases(task.clusters, task.within, rng) for _ in range(count)]
        return one_by_one(task, first, [partial(case_model, model, cases) for cases in drawn])
    Y = responses(task, count, rng)
    if task.statistic is None:
        try:
            many = model.refit_many(Y)
        except (LmmError, np.linalg.LinAlgError):
            pass  # one of them cannot be fitted: find out which
        else:
            return Replicates(many, np.zeros(count, dtype=bool), np.zeros((count, 0)), ())
    return one_by_one(task, first, [partial(model.refit, y) for y in Y.T])


def responses(task: Task, count: int, rng: np.random.Generator) -> Float:
    """New responses of the rows of the fit, (n, count)."""
    model, estimates = task.model, task.model.estimates
    frame, terms = model.frame, model.terms
    modes = estimates.b
    if task.kind == "parametric":
        mean = predict_rows(frame, terms, estimates.beta, modes, re_form=0)
        kept = modes if task.use_u else None
        return draw_responses(mean, terms, estimates.templates, estimates.sigma, frame.weights, count, rng, kept)
    fitted = predict_rows(frame, terms, estimates.beta, modes)
    residuals = frame.pearson(frame.y - fitted)
    if task.use_u:
        return resampled_responses(fitted, residuals, terms, None, frame.weights, count, rng)
    mean = predict_rows(frame, terms, estimates.beta, modes, re_form=0)
    residuals = reflated_residuals(residuals, estimates.sigma)
    reflated = _reflated(terms, modes, estimates.templates, estimates.sigma)
    return resampled_responses(mean, residuals, terms, reflated, frame.weights, count, rng)


def _reflated(
    terms: Sequence[RandomTerm], modes: Sequence[Float], templates: Sequence[Float], sigma: float
) -> list[Float]:
    """Modes with the model's covariance matrix, the terms of a grouping factor together."""
    out = [np.zeros(0)] * len(terms)
    for group in terms_by_group(terms).values():
        ends = np.cumsum([modes[t].shape[1] for t in group])
        factor = np.zeros((ends[-1], ends[-1]))
        for t, end in zip(group, ends, strict=True):
            own = slice(end - modes[t].shape[1], end)
            factor[own, own] = sigma * templates[t]
        for t, part in zip(
            group,
            np.split(reflated_modes(np.hstack([modes[t] for t in group]), factor), ends[:-1], axis=1),
            strict=True,
        ):
            out[t] = part
    return out


def one_by_one(task: Task, first: int, refits: Sequence[Callable[[], FittedModel]]) -> Replicates:
    """Replicates that are fitted each on its own, with the statistic of each."""
    model, m = task.model, len(refits)
    table = EstimateTable.unfitted(m, len(model.estimates.beta), len(model.estimates.theta))
    statistic, failed = np.full((m, len(task.names)), np.nan), np.zeros(m, dtype=bool)
    failures = []
    for i, refit in enumerate(refits):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LmmWarning)
            try:
                fitted = refit()
            except (LmmError, np.linalg.LinAlgError) as error:
                failed[i] = True
                failures.append((first + i, f"{type(error).__name__}: {error}"))
                continue
            table.write(i, fitted.estimates, fitted.optinfo)
            if task.statistic is not None:
                values, names = statistic_values(task.statistic, fitted, f"replicate {first + i}")
                statistic[i] = values[_places(names, task.names, first + i)]
    return Replicates(table, failed, statistic, tuple(failures))


def _places(names: tuple[str, ...], wanted: tuple[str, ...], replicate: int) -> list[int]:
    """Where the values of a replicate are that stand in this order on the fitted model."""
    if names == wanted:
        return list(range(len(names)))
    if len(names) != len(wanted):
        raise ArgumentError(
            f"bootstrap: the statistic has {len(names)} values on replicate {replicate}, but {len(wanted)} on the "
            "fitted model"
        )
    if sorted(names) != sorted(wanted) or len(set(names)) < len(names):
        raise ArgumentError(
            f"bootstrap: the statistic has the names {', '.join(names)} on replicate {replicate}, but "
            f"{', '.join(wanted)} on the fitted model"
        )
    return [names.index(name) for name in wanted]


def statistic_values(statistic: Statistic, model: FittedModel, where: str) -> tuple[Float, tuple[str, ...]]:
    """The values of a statistic and their names."""
    try:
        result = statistic(model)
    except Exception as error:  # whatever a user's function raises
        raise ArgumentError(f"bootstrap: the statistic failed on {where}: {type(error).__name__}: {error}") from error
    if isinstance(result, Mapping):
        result = pd.Series(dict(result))
    made = as_array(result)
    if result is None or (made is not None and made.size == 0):
        raise ArgumentError(f"bootstrap: the statistic must return numbers, and returned nothing on {where}")
    values = as_numbers(result)
    if values is None:
        raise ArgumentError(f"bootstrap: the statistic must return numbers, got {shown(result)} on {where}")
    if isinstance(result, pd.Series):
        names = tuple(str(name) for name in result.index)
    elif values.ndim == 0:
        names = ("statistic",)
    else:
        names = tuple(f"statistic[{', '.join(map(str, place))}]" for place in np.ndindex(values.shape))
    return values.ravel(), names


def case_model(model: Model, cases: Cases) -> Model:
    """The model fitted to some rows of its data.

    Raises
    ------
    LmmError
        Fixed effects are not estimable from these rows, or a grouping factor has one level.
    """
    frame = case_frame(model.frame, cases)
    X = frame.X
    if X.shape[1] and len(independent_columns(X, frame.weights)) < X.shape[1]:
        raise GroupingError("the drawn rows do not determine all fixed effects")
    terms = tuple(
        replace(
            term,
            codes=frame.groupings[term.group].codes,
            labels=frame.groupings[term.group].labels,
            columns=frame.bars[term.bar].columns,
        )
        for term in model.terms
    )
    check_levels(terms, len(frame.y), "the drawn rows have {levels} levels of {group} in {rows} rows")
    response = frame.y_less_offset
    check_varies(response, frame.formula.response)
    found = fit_parts(
        response,
        X,
        terms,
        weights=frame.weights,
        reml=model.is_reml,
        control=model.control,
        near=model.estimates.theta,
    )
    return replace(
        model,
        frame=frame,
        terms=terms,
        objective=found.objective,
        estimates=found.estimates,
        optinfo=found.info,
        call=replace(model.call, repeatable=False),
    )


def case_frame(frame: ModelFrame, cases: Cases) -> ModelFrame:
    """Some rows of a model frame; levels of clusters drawn anew have new labels, ``"308#0"`` in the first draw."""
    rows = cases.rows
    groupings, maps = {}, dict(frame.spec.level_maps)
    for name, grouping in frame.groupings.items():
        groupings[name], maps[name] = _case_levels(grouping, maps[name], cases)
    bars = tuple(replace(bar, columns=taken_columns(bar.columns, rows)) for bar in frame.bars)
    return replace(
        frame,
        y=frame.y[rows],
        X=np.asfortranarray(frame.X[rows]),
        weights=None if frame.weights is None else frame.weights[rows],
        offset=None if frame.offset is None else frame.offset[rows],
        groupings=groupings,
        bars=bars,
        taken=frame.rows[rows],
        index=frame.index.take(rows),
        na_action="omit",
        spec=replace(frame.spec, level_maps=maps),
    )


def _case_levels(grouping: Grouping, known: LevelMap, cases: Cases) -> tuple[Grouping, LevelMap]:
    """A grouping factor on some rows, and what new data can be matched with: levels that were kept as they are."""
    name, origin = grouping.name, cases.origin[grouping.name]
    labels: Levels | JointLevels
    if name in cases.copy:
        old = grouping.levels.to_numpy(dtype=object)[origin]
        labels = Levels(np.array([f"{a}#{b}" for a, b in zip(old, cases.copy[name], strict=True)], dtype=object))
        if known.keys:
            known = replace(known, keys=(*known.keys[:-1], np.array([-1])))
        else:
            known = replace(known, levels=(labels,))
    elif isinstance(grouping.labels, JointLevels):
        keys = grouping.labels.keys[origin]
        labels = replace(grouping.labels, keys=keys)
        known = replace(known, keys=(*known.keys[:-1], keys))
    else:
        labels = Levels(grouping.labels.values[origin])
        known = replace(known, levels=(labels,))
    return Grouping(name, cases.codes[name], labels), known
