"""How a search ended: one verdict with the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lmmsparse.estimation.boundary import EmptyPart, describe_empty
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.estimation.searched import Searched
from lmmsparse.estimation.spread import ENOUGH
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.points import Derivatives
from lmmsparse.pls.plan import Plan
from lmmsparse.pls.rounding import Rounding
from lmmsparse.search.newton import combined_hessian
from lmmsparse.search.protocols import Evaluation

Float = NDArray[np.float64]

# Eigenvalues of the average information, for relative changes, below this (and this share of the largest) say that θ is
# not identified.
FLAT, FLAT_SHARE = 1e-9, 1e-13
# Rounding errors above this are said, and mended where they can be.
LARGEST_ROUNDING = 1e-6
# A parameter takes part in such a direction with more than this share.
INVOLVED = 0.1


@dataclass(frozen=True, eq=False)
class OptInfo:
    """Record of a search, enough to audit the fit.

    Attributes
    ----------
    optimizer : str
    evaluations : int
        Factorizations of M(θ) in the search that found the estimates.
    evaluations_all : int
        Those in all searches, from other starts as well.
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
    minima : tuple of (float, int)
        Criterion of the fit and of every higher minimum in which searches from other starts ended, and how many ended
        there; one search of a model that asks for no more is ``((criterion, 1),)``.
    rounding : Rounding
        Rounding errors to be expected in criterion, σ̂, β̂, standard errors and random effects.
    """

    optimizer: str
    evaluations: int
    evaluations_all: int
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
    minima: tuple[tuple[float, int], ...] = ()
    rounding: Rounding | None = None

    @property
    def doubtful(self) -> bool:
        """Whether there are several minima, the lowest of which so few searches have found that others may exist."""
        total = sum(count for _, count in self.minima)
        return len(self.minima) > 1 and self.minima[0][1] < ENOUGH and 2 * self.minima[0][1] <= total


def certificate(
    objective: Objective,
    searched: Searched,
    empty: Sequence[EmptyPart],
    estimates: Estimates,
    optimizer: str,
    history: tuple[Evaluation, ...],
    preliminary: int,
) -> OptInfo:
    """One verdict: converged, at the boundary, without residual variance, or not converged, and why."""
    optimum, derivatives = searched.optimum, searched.optimum.derivatives
    gradient_norm = float(np.abs(derivatives.gradient).max())
    flat = () if estimates.perfect else flat_parameters(objective, derivatives, {part.term for part in empty})
    if estimates.perfect:
        message = "the residual variance is zero to machine precision: theta and the criterion have no finite optimum"
    elif not optimum.converged:
        message = (
            f"not converged after {len(history)} evaluations: one more step is predicted to lower the criterion by "
            f"{optimum.predicted:.2g} (largest gradient entry {gradient_norm:.2g})"
        )
    else:
        message = "converged"
        if empty:
            message += f": boundary (singular) fit: {describe_empty(objective, empty)}"
        if flat:
            message += f", but the data {'also ' if empty else ''}cannot tell {describe_flat(flat)}"
    minima = tuple((value + objective.constant, count) for value, count in searched.minima(optimum.point.value))
    if len(minima) > 1 and not estimates.perfect:
        starts = sum(count for _, count in minima)
        message += (
            f"; {minima[0][1]} of {starts} starts ended here and the others in {len(minima) - 1} higher "
            f"{'minimum' if len(minima) == 2 else 'minima'}, the next {minima[1][0] - minima[0][0]:.2g} above"
        )
    rounding = estimates.point.rounding
    # a search that rounding has ended may be that far from the minimum
    rounding = (
        replace(rounding, criterion=max(rounding.criterion, optimum.predicted)) if optimum.converged else rounding
    )
    if rounding.largest > LARGEST_ROUNDING and not estimates.perfect:
        message += f"; digits are lost: {describe_rounding(rounding)}"
    return OptInfo(
        optimizer=optimizer,
        evaluations=len(history) - searched.lost + searched.earlier,
        evaluations_all=len(history) + searched.together,
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
        minima=minima,
        rounding=rounding,
    )


def perfect_fit(objective: Objective, estimates: Estimates, optimizer: str) -> OptInfo:
    """The record where the fixed effects reproduce the response, so that there was nothing to search for."""
    return OptInfo(
        optimizer=optimizer,
        evaluations=1,
        evaluations_all=1,
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
        minima=((estimates.criterion, 1),),
        rounding=estimates.point.rounding,
    )


def describe_flat(names: Sequence[str]) -> str:
    """What cannot be told, as the end of a sentence."""
    return f"apart {', '.join(names)}" if len(names) > 1 else f"anything of {names[0]}"


def describe_rounding(rounding: Rounding) -> str:
    """Which numbers are known to how much."""
    parts = {
        "the criterion to": (rounding.criterion, ""),
        "sigma to a share of": (rounding.sigma, ""),
        "fixed effects to": (rounding.beta, " of their standard errors"),
        "these to a share of": (rounding.std_error, ""),
        "random effects to": (rounding.effects, " of their standard deviations"),
    }
    return ", ".join(f"{name} {size:.1g}{of}" for name, (size, of) in parts.items() if size > LARGEST_ROUNDING)


def flat_parameters(objective: Objective, derivatives: Derivatives, singular: Collection[int] = ()) -> tuple[str, ...]:
    """Names of the parameters along which the criterion does not change at all.

    The information is that of relative changes, whose size the data decide: 1/2 a level and more where they tell a
    variance, and nothing at all, 1e-30 and less, where the fixed effects have taken all of it.

    Parameters
    ----------
    objective : Objective
    derivatives : Derivatives
    singular : collection of int
        Terms whose parameters are not asked, because what they lack is said already.
    """
    asked, units = [], []
    for t, block in enumerate(objective.blocks):
        if t not in singular:
            asked.append(np.arange(block.parameters.start, block.parameters.stop))
            units.append(block.structure.step_units(derivatives.theta[block.parameters]))
    if not asked:
        return ()
    where, unit = np.concatenate(asked), np.concatenate(units)
    information = unit[:, None] * derivatives.information[np.ix_(where, where)] * unit
    values, vectors = np.linalg.eigh(information)
    # rounding may be large, and of either sign, beside standard deviations of thousands of σ; nothing is that small
    flat = np.abs(values) <= max(FLAT, FLAT_SHARE * values[-1])
    involved = (np.abs(vectors[:, flat]) > INVOLVED).any(axis=1)
    return tuple(objective.theta_names[i] for i in where[involved])
