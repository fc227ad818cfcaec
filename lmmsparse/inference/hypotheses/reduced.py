"""Models from which a term was taken away, refitted without the data."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.protocols import Keeps
from lmmsparse.design.terms import RandomTerm
from lmmsparse.errors import ArgumentError, ConvergenceWarning
from lmmsparse.estimation.again import fit_parts
from lmmsparse.fitted.model import FittedModel
from lmmsparse.formula import Bar
from lmmsparse.frame import ModelFrame
from lmmsparse.frame.model_matrix import Design
from lmmsparse.frame.model_terms import ModelTerm, model_terms
from lmmsparse.inference.hypotheses.term_contrasts import marginal_contrast, without
from lmmsparse.numerics.rank import independent_columns

Float = NDArray[np.float64]

# A sum that is this share of the sizes of its parts is rounding.
CANCELLED = 1e-12


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
    component : (int, int) or None
        Term and column of the random effect that was taken away, where it is one that is correlated with no other.
    """

    label: str
    terms: tuple[RandomTerm, ...]
    variances: int
    component: tuple[int, int] | None


def droppable(terms: Sequence[ModelTerm]) -> list[ModelTerm]:
    """Terms that are part of no other: not the intercept, and no main effect of an interaction."""
    return [t for t in terms if not t.is_intercept and not any(t.factors < other.factors for other in terms)]


def all_columns(frame: ModelFrame) -> Float:
    """The columns of the fixed part, those included that were left out, as combinations of those of X."""
    p, keep = frame.X.shape[1], frame.spec.fixed_design.keep
    if keep is None:
        return np.eye(p)
    every = np.zeros((p, p + len(frame.dropped)))
    every[:, keep] = np.eye(p)
    every[:, np.setdiff1d(np.arange(every.shape[1]), keep)] = frame.aliased
    return every


def dropped_map(term: ModelTerm, terms: Sequence[ModelTerm], frame: ModelFrame) -> Float:
    """The (p, p − r) matrix W with which X W spans the fixed effects of the model without a term.

    Columns that were left out of X because those of the term helped to span them are there again.

    Parameters
    ----------
    term : ModelTerm
        That no other includes.
    terms : sequence of ModelTerm
        All of them.
    frame : ModelFrame
    """
    design, p = frame.spec.fixed_design, frame.X.shape[1]
    if design.keep is None:
        return without(marginal_contrast(term, terms, p))
    complete, every = model_terms(replace(design, keep=None)), all_columns(frame)
    rest = without(marginal_contrast(complete[list(terms).index(term)], complete, every.shape[1]))
    combined = every @ rest
    combined[np.abs(combined) < CANCELLED * (np.abs(every) @ np.abs(rest))] = 0.0
    return combined[:, independent_columns(frame.X @ combined, frame.weights)]


def dropped_contrast(W: Float) -> Float:
    """The hypothesis L β = 0 under which β = W γ for some γ: (r, p), orthonormal rows."""
    p, left = W.shape
    if left == 0:
        return np.eye(p)
    return np.asarray(np.linalg.qr(W / np.linalg.norm(W, axis=0), mode="complete")[0][:, left:].T)


def random_reductions(
    terms: tuple[RandomTerm, ...], designs: Sequence[Design], bars: Sequence[Bar]
) -> list[RandomReduction]:
    """What `ranova` compares a model with.

    Parameters
    ----------
    terms : tuple of RandomTerm
    designs : sequence of Design
        Of the columns of the bars.
    bars : sequence of Bar
        In formula order.
    """
    out = []
    for t, term in enumerate(terms):
        whole = bars[term.bar].name
        for label, columns, gone in _reduced_columns(term, model_terms(designs[term.bar])):
            rest = () if columns.shape[1] == 0 else (term.with_columns(columns),)
            reduced = (*terms[:t], *rest, *terms[t + 1 :])
            name = f"{label} in {whole}" if label else whole
            component = (t, gone[0]) if len(gone) == 1 else None
            variances = term.structure.n_variances - (rest[0].structure.n_variances if rest else 0)
            out.append(RandomReduction(name, reduced, variances, component))
    return out


def _reduced_columns(term: RandomTerm, parts: Sequence[ModelTerm]) -> list[tuple[str, Float, list[int]]]:
    """Reductions of a term: label, none when nothing is left of it; remaining columns; independent ones that go."""
    n, k = term.columns.shape
    nothing = np.empty((n, 0))
    may_turn = term.structure.keeps is Keeps.TRIANGULAR
    if term.structure.keeps is Keeps.SCALE or (len(parts) == 1 and not may_turn):
        return [("", nothing, [] if term.structure.correlated else list(range(k)))]
    if len(parts) == 1:
        if parts[0].numeric or parts[0].is_intercept:
            return [("", nothing, list(range(k)))]
        # the levels of a factor: (0 + f | g) to (1 | g)
        return [(parts[0].label, np.broadcast_to(np.ones(1), (n, 1)), [])]
    if not may_turn:
        names = [(("1" if part.is_intercept else part.label), list(part.columns)) for part in parts]
        independent = not term.structure.correlated
        return [(label, np.delete(term.columns, own, axis=1), own if independent else []) for label, own in names]
    maps = [(part.label, without(marginal_contrast(part, parts, k))) for part in droppable(parts)]
    return [(label, term.columns @ W, []) for label, W in maps]


def check_likelihood(model: FittedModel, method: str) -> None:
    """Refuse a perfect fit, the likelihood of which has no maximum."""
    if model.estimates.perfect:
        raise ArgumentError(f"{method}: the model fits perfectly, so that its likelihood has no maximum")


def refitted_criterion(model: FittedModel, label: str, X: Float, terms: tuple[RandomTerm, ...], reml: bool) -> float:
    """Smallest criterion of the model with other columns and terms.

    Parameters
    ----------
    model : FittedModel
    label : str
        What was taken away, for a warning.
    X : (n, p) array
    terms : tuple of RandomTerm
        Without any, it is a linear model, and X must be that of the model.
    reml : bool
    """
    if not terms:
        objective = model.objective if model.objective.reml == reml else model.objective.with_reml(reml)
        return objective(np.zeros(len(objective.theta_names)))
    frame = model.frame
    found = fit_parts(frame.y_less_offset, X, terms, weights=frame.weights, reml=reml, control=model.control)
    if not found.info.converged:
        warnings.warn(f"the fit without {label}: {found.info.message}", ConvergenceWarning, stacklevel=3)
    return found.estimates.criterion
