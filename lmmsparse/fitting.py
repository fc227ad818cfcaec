"""From an objective to estimates: search θ, settle the boundary, certify the end, map everything back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance import canonical_template
from lmmsparse.estimates import Estimates, user_estimates
from lmmsparse.objective import Objective
from lmmsparse.optimize import Evaluation, Optimum, cobyqa, combined_hessian, newton
from lmmsparse.pls.plan import Plan
from lmmsparse.profiled import Derivatives, Solution

Float = NDArray[np.float64]

# Diagonal entries of a working template below this are tried at zero ...
ZERO_CANDIDATE = 1e-3
# ... and stay there when that raises the criterion by less than this (times |criterion|/1e4 for large values).
ZERO_TOLERANCE = 1e-9
# Where the deviance falls in the direction of an empty variance, the search goes on from this standard deviation.
FIRST_STEP = 0.1
# Eigenvalues of the average information below this share of the largest say that θ is not identified.
FLAT = 1e-9


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
        Empty direction of a term → derivative of the criterion with respect to its relative variance;
        positive where zero is optimal.
    flat : tuple of str
        Parameters that the data do not tell apart; empty for an identified model.
    history : tuple of Evaluation
        θ (in the user's units) and criterion of every evaluation.
    plan : Plan
        Order of elimination with its predicted cost.
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
    history: tuple[Evaluation, ...]
    plan: Plan


def fit(
    objective: Objective,
    *,
    start: Float | None = None,
    optimizer: str = "newton",
    tolerance: float = 1e-10,
    max_evaluations: int = 200,
    watch: Callable[[Evaluation], None] | None = None,
) -> tuple[Estimates, OptInfo]:
    """Minimize an objective and collect the estimates.

    Parameters
    ----------
    objective : Objective
    start : (n_theta,) array, optional
        In the user's units; λ = I in working coordinates by default.
    optimizer : {"newton", "cobyqa"}
    tolerance : float
        Predicted decrease of the criterion at which the search ends.
    max_evaluations : int
    watch : callable, optional
        Called with every `Evaluation` (in the user's units).
    """
    working = objective.working

    def seen(evaluation: Evaluation) -> Evaluation:
        return replace(
            evaluation,
            theta=_reflected(objective, objective.to_user(evaluation.theta)),
            value=evaluation.value + objective.constant,
        )

    def report(evaluation: Evaluation) -> None:
        if watch is not None:
            watch(seen(evaluation))

    if objective.response.exact:
        return _exact_fit(objective, optimizer)
    first = working.start() if start is None else objective.to_working(start)
    history: list[Evaluation] = []
    for _ in range(3):  # a second round only where the deviance falls away from an empty variance
        budget = max_evaluations - len(history)
        optimum = _search(objective, first, optimizer, tolerance, budget, report)
        history += optimum.history
        theta = _canonical(objective, optimum.point.theta)
        directions = _boundary(objective, theta, optimum.slopes)
        outward = [d for d in directions if d.score < -1e-6 * max(1.0, abs(d.scale))]
        if not outward or optimum.point.degenerate or len(history) >= max_evaluations:
            break
        first = _left(objective, theta, outward)
    solution = optimum.point
    if not np.array_equal(theta, solution.theta):
        settled = working.solve(theta)
        history.append(Evaluation(theta, settled.value, True))
        report(history[-1])
        slack = ZERO_TOLERANCE * max(1.0, abs(settled.value) / 1e4)
        solution = settled if settled.value <= optimum.point.value + slack else working.solve(optimum.point.theta)
        if solution is not settled:
            directions = []
    estimates = user_estimates(objective, solution, singular=bool(directions))
    info = _certificate(objective, optimum, directions, estimates, optimizer, tuple(seen(e) for e in history))
    return estimates, info


def _exact_fit(objective: Objective, optimizer: str) -> tuple[Estimates, OptInfo]:
    """The fixed effects reproduce the response: nothing is left to estimate θ from, and it is set to zero."""
    working = objective.working
    solution = working.solve(np.zeros(len(objective.theta_names)))
    estimates = replace(user_estimates(objective, solution, singular=True), perfect=True)
    info = OptInfo(
        optimizer=optimizer,
        evaluations=1,
        converged=True,
        message=(
            "perfect fit: the fixed effects reproduce the response to machine precision; "
            "theta is set to 0 and means nothing"
        ),
        gradient_norm=0.0,
        hessian_eigenvalues=np.zeros(len(solution.theta)),
        predicted_decrease=0.0,
        boundary={},
        flat=(),
        history=(Evaluation(estimates.theta, estimates.criterion, True),),
        plan=objective.plan,
    )
    return estimates, info


def _search(
    objective: Objective,
    start: Float,
    optimizer: str,
    tolerance: float,
    budget: int,
    watch: Callable[[Evaluation], None],
) -> Optimum[Solution, Derivatives]:
    working = objective.working
    if optimizer == "cobyqa":
        return cobyqa(
            working.solve_nearby,
            working.differentiate,
            start,
            objective.lower_bounds,
            max_evaluations=10 * budget,
            watch=watch,
        )
    return newton(
        working.solve_nearby,
        working.differentiate,
        start,
        tolerance=tolerance,
        max_evaluations=budget,
        watch=watch,
    )


def _reflected(objective: Objective, theta: Float) -> Float:
    """θ with the sign of every column of a template such that its diagonal entry is not negative."""
    out, offset = theta.copy(), 0
    for term in objective.terms:
        part = slice(offset, offset + term.structure.n_theta)
        offset = part.stop
        template = term.structure.template(theta[part])
        out[part] = term.structure.theta(template * np.where(np.diag(template) < 0, -1.0, 1.0))
    return out


def _canonical(objective: Objective, theta: Float) -> Float:
    """Working θ with non-negative diagonals, and exact zeros for directions that are empty to working precision."""
    out, working = theta.copy(), objective.working
    for structure, part in zip(working.structures, working.slices, strict=True):
        template = structure.template(theta[part])
        if structure.rotates:
            template = canonical_template(template)
            small = np.abs(np.diag(template)) < ZERO_CANDIDATE
            if small.any():
                template = template.copy()
                template[:, small] = 0.0
        else:
            template = np.abs(template)
            template[np.abs(template) < ZERO_CANDIDATE] = 0.0
        out[part] = structure.theta(template) + 0.0  # no negative zeros
    return out


@dataclass(frozen=True)
class EmptyDirection:
    """A direction of a term's random effects without variance, and the score of the variance there."""

    name: str
    term: int
    vector: Float
    score: float
    scale: float


def _boundary(objective: Objective, theta: Float, slopes: Derivatives) -> list[EmptyDirection]:
    """Empty directions of every template and the scores of their variances."""
    found, working = [], objective.working
    for t, (structure, part) in enumerate(zip(working.structures, working.slices, strict=True)):
        template = structure.template(theta[part])
        term, score = objective.terms[t], slopes.scores[t]
        if structure.rotates:
            left, singular_values, _ = np.linalg.svd(template)
            empty = left[:, singular_values <= 1e-12 * max(1.0, singular_values[0])]
            if empty.shape[1] == 0:
                continue
            values, vectors = np.linalg.eigh(empty.T @ score @ empty)
            names = [term.names[0]] if structure.size == 1 else [f"direction {i + 1}" for i in range(len(values))]
            directions = zip(names, values, (empty @ vectors).T, strict=True)
        else:
            zero = np.flatnonzero(np.diag(template) == 0.0)
            directions = zip(
                [term.names[i] for i in zero], np.diag(score)[zero], np.eye(structure.size)[zero], strict=True
            )
        scale = float(np.abs(np.diag(score)).max())
        found += [EmptyDirection(f"{term.group}.{name}", t, v, float(value), scale) for name, value, v in directions]
    return found


def _empty_text(objective: Objective, directions: list[EmptyDirection]) -> str:
    """Which terms have no variance, or less than their columns allow."""
    parts = []
    for t in sorted({d.term for d in directions}):
        term = objective.terms[t]
        empty = [d for d in directions if d.term == t]
        if len(empty) == len(term.names):
            parts.append(f"no variance of {', '.join(term.names)} in {term.group}")
        elif term.structure.rotates:
            rank = len(term.names) - len(empty)
            parts.append(
                f"the covariance matrix of {', '.join(term.names)} in {term.group} has rank {rank} of {len(term.names)}"
            )
        else:
            parts.append(f"no variance of {', '.join(d.name for d in empty)}")
    return "; ".join(parts)


def _left(objective: Objective, theta: Float, outward: list[EmptyDirection]) -> Float:
    """A start off the boundary in the directions in which the deviance falls."""
    out, working = theta.copy(), objective.working
    for t in {d.term for d in outward}:
        structure, part = working.structures[t], working.slices[t]
        template = structure.template(theta[part])
        if structure.rotates:
            steps = [FIRST_STEP * d.vector[:, None] for d in outward if d.term == t]
            wide = np.hstack([template, *steps])
            template = canonical_template(np.asarray(np.linalg.qr(wide.T, mode="r")).T)
        else:
            template = template + sum(FIRST_STEP * np.diag(d.vector) for d in outward if d.term == t)
        out[part] = structure.theta(template)
    return out


def _certificate(
    objective: Objective,
    optimum: Optimum[Solution, Derivatives],
    directions: list[EmptyDirection],
    estimates: Estimates,
    optimizer: str,
    history: tuple[Evaluation, ...],
) -> OptInfo:
    """One verdict: converged, at the boundary, without residual variance, or not converged, and why."""
    slopes = optimum.slopes
    eigenvalues = np.asarray(np.linalg.eigvalsh(combined_hessian(slopes)))
    gradient_norm = float(np.abs(slopes.gradient).max())
    information, vectors = np.linalg.eigh(slopes.information)
    flat = information <= FLAT * information[-1]
    involved = (np.abs(vectors[:, flat]) > 0.1).any(axis=1)
    names: tuple[str, ...] = ()
    if not directions and not estimates.perfect:
        names = tuple(name for name, use in zip(objective.theta_names, involved, strict=True) if use)
    if estimates.perfect:
        message = "the residual variance is zero to machine precision: theta and the criterion have no finite optimum"
    elif not optimum.converged:
        message = (
            f"not converged after {len(history)} evaluations: one more step is predicted to lower the criterion by "
            f"{optimum.predicted:.2g} (largest gradient entry {gradient_norm:.2g})"
        )
    elif directions:
        message = f"converged: boundary (singular) fit: {_empty_text(objective, directions)}"
    elif names:
        message = f"converged, but the data cannot tell apart {', '.join(names)}"
    else:
        message = "converged"
    return OptInfo(
        optimizer=optimizer,
        evaluations=len(history),
        converged=optimum.converged and not estimates.perfect,
        message=message,
        gradient_norm=gradient_norm,
        hessian_eigenvalues=eigenvalues,
        predicted_decrease=optimum.predicted,
        boundary={d.name: d.score for d in directions},
        flat=names,
        history=history,
        plan=objective.plan,
    )
