"""Many responses on one design: everything that does not depend on the response is done once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lmmsparse.estimation.boundary import DOUBTFUL_LOSS, ZERO_CANDIDATE
from lmmsparse.estimation.control import Control
from lmmsparse.estimation.digits import fit_to_digits
from lmmsparse.estimation.fit import FEW_ROWS
from lmmsparse.estimation.searched import WORTHWHILE
from lmmsparse.estimation.spread import CHEAP_FLOPS, lowest_ends, start_near, uneven_responses
from lmmsparse.estimation.starts import few_rows, other_starts, warm_start
from lmmsparse.estimation.table import EstimateTable
from lmmsparse.numerics.threads import single_threaded_blas
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.stacked import Points, StackedObjective, fixed_errors, term_losses
from lmmsparse.search.batch import Optima, search

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# So many numbers of Y are brought into working units at a time.
CHUNK_NUMBERS = 4_000_000


@dataclass(frozen=True, repr=False, eq=False)
class Refits(EstimateTable):
    """Estimates of one model for m responses, from `LinearMixedModel.refit_many`: an `EstimateTable`."""

    rows_are: ClassVar[str] = "responses"


def refit_responses(objective: Objective, responses: Float, start: Float, control: Control) -> Refits:
    """Fit a model to many responses.

    Parameters
    ----------
    objective : Objective
    responses : (n, m) array
        y − offset.
    start : (n_theta,) array
        θ in the user's units from which each search begins, usually that of the fit.
    control : Control

    Returns
    -------
    Refits
    """
    m = responses.shape[1]
    warm = warm_start(objective, start)
    chunk = max(1, CHUNK_NUMBERS // max(1, len(responses)))
    p, n_theta = objective.products.p, len(objective.theta_names)
    parts = [Refits.unfitted(0, p, n_theta)]
    with single_threaded_blas():
        for first in range(0, m, chunk):
            columns = responses[:, first : first + chunk]
            found = _together(objective, columns, warm, control) if control.optimizer == "newton" else None
            parts.append(Refits.unfitted(columns.shape[1], p, n_theta) if found is None else found)
    out = Refits.joined(parts)
    for i in np.flatnonzero(~out.converged).tolist():
        one = objective.with_response(responses[:, i])
        begun = bool(out.evaluations[i])
        begin = objective.to_user(warm_start(objective, out.theta[i])) if begun else start_near(one, start)
        _, estimates, info = fit_to_digits(one, control, start=begin)
        out.write(i, estimates, info)
    return out


def _together(objective: Objective, responses: Float, start: Float, control: Control) -> Refits | None:
    """Fits of all responses in one search; what needs more care is not marked as converged.

    None where the engine takes one problem at a time.
    """
    stack = objective.stacked(responses)
    if stack is None:
        return None
    stacked, origins = stack
    scale, others = origins.scale, other_starts(objective)
    starts = [start, *([objective.start()] if others else []), *others]
    ends, evaluations = None, np.zeros(len(scale), dtype=np.int64)
    for theta in starts:
        found = search(stacked.points, stacked.chart, np.tile(theta, (len(scale), 1)), control.tolerance)
        ends, evaluations = found if ends is None else lower(ends, found), evaluations + found.evaluations
    assert ends is not None
    # where there are other starts they have sufficed, but with weights, which hide minima in narrow valleys
    if objective.plan.flops <= CHEAP_FLOPS and (objective.weights is not None or not others):
        every = np.full(len(scale), few_rows(objective))
        uneven = every | uneven_responses(objective, stacked.right, lambda: origins.largest_square)
        ends, more = _spread(objective, stacked, ends, np.flatnonzero(uneven))
        evaluations += more
    beta_map = objective.design.coordinates.beta_map(1.0)
    sigma = np.sqrt(ends.points.pwrss / objective.degrees) * scale
    constant = objective.constant + 2.0 * objective.degrees * np.log(scale / objective.response.scale)
    return Refits(
        theta=objective.to_user(ends.theta.T).T,
        beta=origins.start.T + scale[:, None] * (ends.points.beta @ beta_map.T),
        std_error=sigma[:, None] * fixed_errors(beta_map, ends.points.fixed_factor),
        sigma=sigma,
        criterion=ends.points.value + constant,
        converged=~origins.exact & _undoubted(stacked, ends),
        singular=np.zeros(len(scale), dtype=bool),
        evaluations=evaluations,
    )


def _spread(
    objective: Objective, stacked: StackedObjective, ends: Optima[Points], which: Index
) -> tuple[Optima[Points], NDArray[np.int64]]:
    """The ends, not settled where searches of these responses from spread starts came lower; and their evaluations."""
    evaluations = np.zeros(len(ends.theta), dtype=np.int64)
    if not which.size:
        return ends, evaluations
    found = lowest_ends(objective, stacked, which)
    evaluations[which] = found.evaluations
    better = found.value < ends.points.value[which] - WORTHWHILE
    theta, settled = ends.theta.copy(), ends.settled.copy()
    theta[which[better]], settled[which[better]] = found.theta[better], False
    return replace(ends, theta=theta, settled=settled), evaluations


def lower(one: Optima[Points], other: Optima[Points]) -> Optima[Points]:
    """The lower end of two searches for every problem, settled or not: what is not goes on in the search for one.

    Of ends that are as good as equal, the settled one.
    """
    with np.errstate(invalid="ignore"):  # both may be infinite
        gain = one.points.value - other.points.value
    slack = WORTHWHILE * (one.settled.astype(float) - other.settled)
    better = np.flatnonzero(gain > slack)
    theta, settled = one.theta.copy(), one.settled.copy()
    theta[better], settled[better] = other.theta[better], other.settled[better]
    points = one.points.replaced(better, other.points.taken(better))
    return Optima(theta, points, one.evaluations, settled)


def _undoubted(stacked: StackedObjective, ends: Optima[Points]) -> NDArray[np.bool_]:
    """Ends without a variance near zero, and not above the criterion without a term that the data hardly ask for."""
    working, sure = stacked.working, ends.settled.copy()
    sure &= stacked.chart(ends.theta, ends.points).smallest >= ZERO_CANDIDATE
    if working.degrees > FEW_ROWS:
        return sure
    losses = term_losses(working.blocks, ends.theta, ends.points.information)
    doubtful = [loss < DOUBTFUL_LOSS for loss in losses]
    alone = [np.arange(len(doubtful)) == t for t in range(len(doubtful))]
    for terms in [*alone, np.ones(len(doubtful), dtype=bool)]:
        left_out = [terms[t] & mask for t, mask in enumerate(doubtful)]
        which = np.flatnonzero(sure & np.any(left_out, axis=0))
        if which.size:
            tried = ends.theta[which]
            for out, block in zip(left_out, working.blocks, strict=True):
                own = tried[:, block.parameters]
                tried[:, block.parameters] = np.where(out[which, None], 0.0, own)
            sure[which] = stacked.values(tried, which) >= ends.points.value[which] - WORTHWHILE
    return sure
