"""Models from which a term was taken away, refitted without the data."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import ArgumentError, ConvergenceWarning
from lmmsparse.fitting import fit
from lmmsparse.frame.design import Design
from lmmsparse.inference.fitted import Fitted
from lmmsparse.inference.hypotheses import marginal_contrast, without
from lmmsparse.inference.model_terms import ModelTerm, model_terms
from lmmsparse.objective import make_objective
from lmmsparse.terms import RandomTerm

Float = NDArray[np.float64]


@dataclass(frozen=True)
class RandomReduction:
    """A model with less in its random effects.

    Attributes
    ----------
    label : str
        ``"Days in (Days | Subject)"``, or ``"(1 | Subject)"`` for a whole term.
    terms : tuple of RandomTerm
        What is left.
    variances : int
        How many variances were taken away.
    """

    label: str
    terms: tuple[RandomTerm, ...]
    variances: int


def droppable(terms: Sequence[ModelTerm]) -> list[ModelTerm]:
    """Terms that are part of no other: not the intercept, and no main effect of an interaction."""
    return [t for t in terms if not t.is_intercept and not any(t.factors < other.factors for other in terms)]


def dropped_map(term: ModelTerm, terms: Sequence[ModelTerm], p: int) -> Float:
    """The (p, p − r) matrix W with which X W spans the fixed effects of the model without a term.

    Raises
    ------
    ArgumentError
        Columns of a later term were left out of X; without the term they might come back.
    """
    for other in terms[list(terms).index(term) + 1 :]:
        if not other.complete:
            raise ArgumentError(
                f"drop1: columns of {other.label!r} were left out of the model because others span them; without "
                f"{term.label!r} they may be needed: fit a model of full rank first"
            )
    return without(marginal_contrast(term, terms, p))


def random_reductions(
    terms: tuple[RandomTerm, ...], designs: Sequence[Design], labels: Sequence[tuple[str, str]]
) -> list[RandomReduction]:
    """What `ranova` compares a model with.

    Parameters
    ----------
    terms : tuple of RandomTerm
    designs : sequence of Design
        Of the columns of the bars, in formula order.
    labels : sequence of (str, str)
        Left and right side of every bar.
    """
    out = []
    for t, term in enumerate(terms):
        left, group = labels[term.bar]
        whole = f"({left} {'|' if term.structure.rotates else '||'} {group})"
        for label, columns in _reduced_columns(term, model_terms(designs[term.bar])):
            rest = () if columns.shape[1] == 0 else (_with_columns(term, columns),)
            reduced = (*terms[:t], *rest, *terms[t + 1 :])
            name = f"{label} in {whole}" if label else whole
            out.append(RandomReduction(name, reduced, len(term.names) - columns.shape[1]))
    return out


def _reduced_columns(term: RandomTerm, parts: Sequence[ModelTerm]) -> list[tuple[str, Float]]:
    """Label and remaining columns of every reduction of a term; no label when nothing is left of it."""
    n, k = term.columns.shape
    nothing = np.empty((n, 0))
    if len(parts) == 1:
        if parts[0].numeric or parts[0].is_intercept or not term.structure.rotates:
            return [("", nothing)]
        return [(parts[0].label, np.broadcast_to(np.ones(1), (n, 1)))]  # the levels of a factor: (0 + f | g) to (1 | g)
    if not term.structure.rotates:
        names = [(("1" if part.is_intercept else part.label), list(part.columns)) for part in parts]
        return [(label, np.delete(term.columns, own, axis=1)) for label, own in names]
    maps = [(part.label, without(marginal_contrast(part, parts, k))) for part in droppable(parts)]
    return [(label, term.columns @ W) for label, W in maps]


def _with_columns(term: RandomTerm, columns: Float) -> RandomTerm:
    k = columns.shape[1]
    names = tuple(f"column {j + 1}" for j in range(k))
    return replace(term, columns=columns, names=names, structure=type(term.structure)(k))


def refitted_criterion(m: Fitted, label: str, X: Float, terms: tuple[RandomTerm, ...], reml: bool) -> float:
    """Smallest criterion of the model with other columns and terms.

    Parameters
    ----------
    m : Fitted
    label : str
        What was taken away, for a warning.
    X : (n, p) array
    terms : tuple of RandomTerm
        Without any, it is a linear model, and X must be that of the model.
    reml : bool
    """
    if not terms:
        objective = m.objective if m.objective.reml == reml else m.objective.with_reml(reml)
        return objective(np.zeros(len(objective.theta_names)))
    frame, control = m.frame, m.control
    response = frame.y if frame.offset is None else frame.y - frame.offset
    objective = make_objective(response, X, terms, weights=frame.weights, reml=reml, memory_limit=control.memory_bytes)
    estimates, info = fit(
        objective, optimizer=control.optimizer, tolerance=control.tolerance, max_evaluations=control.max_evaluations
    )
    if not info.converged:
        warnings.warn(f"the fit without {label}: {info.message}", ConvergenceWarning, stacklevel=4)
    return estimates.criterion
