"""How a search ended: one verdict with the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lmmsparse.estimation.boundary import EmptyPart, describe_empty
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.points import Derivatives, Point
from lmmsparse.pls.plan import Plan
from lmmsparse.search.newton import combined_hessian
from lmmsparse.search.protocols import Evaluation, Optimum

Float = NDArray[np.float64]

# Eigenvalues of the average information below this share of the largest say that θ is not identified.
FLAT = 1e-9
# A parameter takes part in such a direction with more than this share.
INVOLVED = 0.1


@dataclass(frozen=True)
class OptInfo:
    """Record of a search, enough to audit the fit.

    Attributes
    ----------
    optimizer : str
    evaluations : int
        Factorizations of M(θ) in the search.
    converged : bool
    message : str
        One sentence: how the search ended.
    gradient_norm : float
        Largest entry of the gradient in working coordinates (curvature there is of the order of the levels).
    hessian_eigenvalues : (n_theta,) array
        Of the approximate Hessian in working coordinates, increasing.
    predicted_decrease : float
        What one more Newton step would gain.
    boundary : dict
        Empty direction of a term, or parameter at the end of its range → derivative of the criterion inwards, with
        respect to its relative variance or to itself; positive where the boundary is optimal.
    flat : tuple of str
        Parameters that the data do not tell apart; empty for an identified model.
    history : tuple of Evaluation
        θ (in the user's units) and criterion of every evaluation.
    plan : Plan
        Order of elimination with its predicted cost.
    preliminary : int
        Evaluations on a part of the data that found the start; 0 where there was no such search.
    """

    optimizer: str
    evaluations: int
    converged: bool
    message: str
    gradient_norm: float
    hessian_eigenvalues: Float
    predicted_decrease: float
    boundary: dict[str, float]
    flat: tuple[str, ...]
    history: tuple[Evaluation, ...] = field(repr=False)
    plan: Plan = field(repr=False)
    preliminary: int = 0


def certificate(
    objective: Objective,
    optimum: Optimum[Point, Derivatives],
    empty: Sequence[EmptyPart],
    estimates: Estimates,
    optimizer: str,
    history: tuple[Evaluation, ...],
    preliminary: int,
) -> OptInfo:
    """One verdict: converged, at the boundary, without residual variance, or not converged, and why."""
    derivatives = optimum.derivatives
    gradient_norm = float(np.abs(derivatives.gradient).max())
    flat = () if empty or estimates.perfect else flat_parameters(objective, derivatives)
    if estimates.perfect:
        message = "the residual variance is zero to machine precision: theta and the criterion have no finite optimum"
    elif not optimum.converged:
        message = (
            f"not converged after {len(history)} evaluations: one more step is predicted to lower the criterion by "
            f"{optimum.predicted:.2g} (largest gradient entry {gradient_norm:.2g})"
        )
    elif empty:
        message = f"converged: boundary (singular) fit: {describe_empty(objective, empty)}"
    elif flat:
        message = f"converged, but the data cannot tell apart {', '.join(flat)}"
    else:
        message = "converged"
    return OptInfo(
        optimizer=optimizer,
        evaluations=len(history),
        converged=optimum.converged and not estimates.perfect,
        message=message,
        gradient_norm=gradient_norm,
        hessian_eigenvalues=np.asarray(np.linalg.eigvalsh(combined_hessian(derivatives))),
        predicted_decrease=optimum.predicted,
        boundary={part.name: part.empty.score for part in empty},
        flat=flat,
        history=history,
        plan=objective.plan,
        preliminary=preliminary,
    )


def perfect_fit(objective: Objective, estimates: Estimates, optimizer: str) -> OptInfo:
    """The record where the fixed effects reproduce the response, so that there was nothing to search for."""
    return OptInfo(
        optimizer=optimizer,
        evaluations=1,
        converged=True,
        message=(
            "perfect fit: the fixed effects reproduce the response to machine precision; "
            "theta is set to 0 and means nothing"
        ),
        gradient_norm=0.0,
        hessian_eigenvalues=np.zeros(len(estimates.theta)),
        predicted_decrease=0.0,
        boundary={},
        flat=(),
        history=(Evaluation(estimates.theta, estimates.criterion, True),),
        plan=objective.plan,
    )


def flat_parameters(objective: Objective, derivatives: Derivatives) -> tuple[str, ...]:
    """Names of the parameters along which the criterion does not change at all."""
    values, vectors = np.linalg.eigh(derivatives.information)
    involved = (np.abs(vectors[:, values <= FLAT * values[-1]]) > INVOLVED).any(axis=1)
    return tuple(name for name, use in zip(objective.theta_names, involved, strict=True) if use)
