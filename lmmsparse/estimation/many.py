"""Many responses on one design: everything that does not depend on the response is done once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.responses import response_products
from lmmsparse.design.coordinates import working_responses
from lmmsparse.estimation.boundary import DOUBTFUL_LOSS, ZERO_CANDIDATE
from lmmsparse.estimation.control import Control
from lmmsparse.estimation.fit import FEW_ROWS, WORTHWHILE, controlled_fit, other_starts, warm_start
from lmmsparse.numerics.threads import single_threaded_blas
from lmmsparse.objective.linear import NEGLIGIBLE_NOISE, Objective
from lmmsparse.objective.profiled import ROUNDING, SMALLEST_SPREAD, WorkingObjective
from lmmsparse.pls.direct import SMALLEST_RESIDUAL
from lmmsparse.pls.small import LoadedSmall, SmallSolutions, small_responses
from lmmsparse.search.batch import Ends, Points, frame, search

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# So many numbers of Y are brought into working units at a time.
CHUNK_NUMBERS = 4_000_000


@dataclass(frozen=True, repr=False)
class Refits:
    """Estimates of one model for m responses, from `LinearMixedModel.refit_many`: arrays with one row a response.

    Attributes
    ----------
    theta : (m, n_theta) array
    beta : (m, p) array
    std_error : (m, p) array
        Standard errors of the fixed effects.
    sigma : (m,) array
    criterion : (m,) array
        REML criterion or −2 log-likelihood.
    converged : (m,) array of bool
    singular : (m,) array of bool
        A covariance matrix is singular.
    evaluations : (m,) array of int
    """

    theta: Float
    beta: Float
    std_error: Float
    sigma: Float
    criterion: Float
    converged: NDArray[np.bool_]
    singular: NDArray[np.bool_]
    evaluations: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sigma)

    def __repr__(self) -> str:
        bad = f"{(~self.converged).sum()} not converged, {self.singular.sum()} singular"
        return f"<Refits of {len(self)} responses, {bad}: {', '.join(self.__dataclass_fields__)}>"


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
    together = isinstance(objective.working.loaded, LoadedSmall) and control.optimizer == "newton"
    chunk = max(1, CHUNK_NUMBERS // max(1, len(responses)))
    parts = [_unfitted(objective, responses[:, :0])]
    with single_threaded_blas():
        for first in range(0, m, chunk):
            columns = responses[:, first : first + chunk]
            parts.append(_together(objective, columns, warm, control) if together else _unfitted(objective, columns))
    out = Refits(*(np.concatenate([getattr(part, name) for part in parts]) for name in Refits.__dataclass_fields__))
    for i in np.flatnonzero(~out.converged):
        begin = warm_start(objective, out.theta[i] if together else start)
        cold = not together and other_starts(objective.working)
        one = objective.with_response(responses[:, i])
        estimates, info = controlled_fit(one, control, start=None if cold else objective.to_user(begin))
        out.theta[i], out.beta[i], out.sigma[i] = estimates.theta, estimates.beta, estimates.sigma
        out.std_error[i] = np.sqrt(np.diag(estimates.fixed_covariance))
        out.criterion[i], out.converged[i] = estimates.criterion, info.converged
        out.singular[i] = estimates.singular
        out.evaluations[i] += info.evaluations
    return out


def _unfitted(objective: Objective, responses: Float) -> Refits:
    """Nothing found yet."""
    m, n_theta, p = responses.shape[1], len(objective.theta_names), objective.working.products.p
    no, none = np.zeros(m, dtype=bool), np.full(m, np.nan)
    return Refits(
        theta=np.full((m, n_theta), np.nan),
        beta=np.full((m, p), np.nan),
        std_error=np.full((m, p), np.nan),
        sigma=none,
        criterion=none.copy(),
        converged=no,
        singular=no.copy(),
        evaluations=np.zeros(m, np.int64),
    )


def _together(objective: Objective, responses: Float, start: Float, control: Control) -> Refits:
    """Fits of a small model in lockstep; what needs more care is not marked as converged."""
    working, design = objective.working, objective.design
    Y, origins = working_responses(responses, design, objective.weights)
    scale = origins.scale
    batch = _Batch(working, *response_products(design, Y, objective.weights))
    starts = [start, *([working.start()] if other_starts(working) else []), *other_starts(working)]
    ends, evaluations = None, np.zeros(len(scale), dtype=np.int64)
    for theta in starts:
        templates = [s.template(theta[part]) for s, part in zip(working.structures, working.slices, strict=True)]
        found = search(batch.points, working.structures, templates, len(scale), control.tolerance)
        ends, evaluations = found if ends is None else lower(ends, found), evaluations + found.evaluations
    assert ends is not None
    theta = np.concatenate(
        [lam[:, s.entries[0], s.entries[1]] for s, lam in zip(working.structures, ends.templates, strict=True)], axis=1
    )
    beta_map = design.coordinates.beta_map(1.0)
    sigma = np.sqrt(ends.points.pwrss / working.degrees) * scale
    constant = objective.constant + 2.0 * working.degrees * np.log(scale / objective.response.scale)
    return Refits(
        theta=objective.to_user(theta.T).T,
        beta=origins.start.T + scale[:, None] * (ends.points.beta @ beta_map.T),
        std_error=sigma[:, None] * _unit_errors(beta_map, ends.points.fixed_factor),
        sigma=sigma,
        criterion=ends.points.value + constant,
        converged=~origins.exact & _undoubted(batch, ends),
        singular=np.zeros(len(scale), dtype=bool),
        evaluations=evaluations,
    )


def _unit_errors(beta_map: Float, factors: Float) -> Float:
    """Standard errors of β̂ = B⁻¹ β_working over σ̂, (m, p): lengths of the columns of L⁻¹B⁻ᵀ.

    Parameters
    ----------
    beta_map : (p, p) array
        B⁻¹
    factors : (m, p, p) array
        L; NaN comes of those without an inverse.
    """
    regular = np.asarray((np.diagonal(factors, axis1=1, axis2=2) > 0.0).all(axis=1))
    whole = np.where(regular[:, None, None], factors, np.eye(factors.shape[1]))
    inverse = np.linalg.solve(whole, beta_map.T)
    return np.where(regular[:, None], np.sqrt((inverse**2).sum(axis=1)), np.nan)


class _Batch:
    """The criterion of a small model for stacked templates and some of its responses."""

    def __init__(self, working: WorkingObjective, Zty: Sequence[Float], Xty: Float, yty: Float) -> None:
        assert isinstance(working.loaded, LoadedSmall)
        self.working, self.loaded, self.square = working, working.loaded, yty
        self.responses = small_responses(self.loaded.design, Zty, Xty, yty)

    def solutions(self, templates: list[Float], which: Index) -> SmallSolutions:
        """Solutions for templates (m, k_t, k_t) of every term."""
        working = self.working
        by_factor = [np.zeros((len(which), d.shape[1], d.shape[1])) for d in working.products.diagonal]
        for lam, (g, where) in zip(templates, working.columns, strict=True):
            by_factor[g][:, where, where] = lam
        return self.loaded.solve_many(self.responses, which, by_factor)

    def values(self, templates: list[Float], which: Index) -> Float:
        """The criterion alone; infinite where the factorization failed."""
        found = self.solutions(templates, which)
        with np.errstate(invalid="ignore", divide="ignore"):
            value = self.working.criterion(found.logdet, found.logdet_fixed, np.maximum(found.pwrss, 0.0))
        return np.where(found.failed == 0, value, np.inf)

    def points(self, templates: list[Float], which: Index) -> Points:
        """Values and derivatives."""
        working, square = self.working, self.square[which]
        found = self.solutions(templates, which)
        plain = (found.failed == 0) & (found.pwrss > SMALLEST_RESIDUAL * square)
        pwrss = np.where(plain, found.pwrss, square)
        value = working.criterion(found.logdet, found.logdet_fixed, pwrss)
        noise = ROUNDING * (np.abs(value) + working.degrees * square / pwrss)
        plain &= noise <= NEGLIGIBLE_NOISE * np.maximum(1.0, np.abs(value) / 1e4)
        scores = []
        for lam, (g, where) in zip(templates, working.columns, strict=True):
            # a template without an inverse is left to the search for one problem
            regular = np.asarray((np.abs(np.diagonal(lam, axis1=1, axis2=2)) > SMALLEST_SPREAD).all(axis=1))
            plain &= regular
            inverse = np.linalg.inv(np.where(regular[:, None, None], lam, np.eye(lam.shape[1])))
            q = working.products.diagonal[g].shape[0]
            score = inverse.transpose(0, 2, 1) @ (q * np.eye(lam.shape[1]) - found.sums[g][:, where, where]) @ inverse
            scores.append((score + score.transpose(0, 2, 1)) / 2)
        value = np.where(found.failed == 0, value, np.inf)
        return Points(value, pwrss, found.beta, found.fixed_factor, scores, found.information, plain)


def lower(one: Ends, other: Ends) -> Ends:
    """The lower end of two searches for every problem, settled or not: what is not goes on in the search for one.

    Of ends that are as good as equal, the settled one.
    """
    with np.errstate(invalid="ignore"):  # both may be infinite
        gain = one.points.value - other.points.value
    slack = WORTHWHILE * (one.settled.astype(float) - other.settled)
    better = np.flatnonzero(gain > slack)
    templates = [lam.copy() for lam in one.templates]
    for lam, new in zip(templates, other.templates, strict=True):
        lam[better] = new[better]
    points = one.points.replaced(better, other.points.taken(better))
    settled = one.settled.copy()
    settled[better] = other.settled[better]
    return Ends(templates, points, one.evaluations, settled)


def _undoubted(batch: _Batch, ends: Ends) -> NDArray[np.bool_]:
    """Ends without a variance near zero, and not above the criterion without a term that the data hardly ask for."""
    working = batch.working
    sure, doubtful = ends.settled.copy(), []
    for structure, part, lam in zip(working.structures, working.slices, ends.templates, strict=True):
        sure &= frame(structure, lam).S.min(axis=1) >= ZERO_CANDIDATE
        covariance = (lam @ lam.transpose(0, 2, 1))[:, structure.entries[0], structure.entries[1]]
        loss = 0.5 * np.einsum("mi,mij,mj->m", covariance, ends.points.information[:, part, part], covariance)
        doubtful.append(loss < DOUBTFUL_LOSS)
    if working.degrees > FEW_ROWS:
        return sure
    alone = [np.arange(len(doubtful)) == t for t in range(len(doubtful))]
    for terms in [*alone, np.ones(len(doubtful), dtype=bool)]:
        left_out = [terms[t] & mask for t, mask in enumerate(doubtful)]
        which = np.flatnonzero(sure & np.any(left_out, axis=0))
        if which.size:
            tried = [
                np.where(out[which, None, None], 0.0, lam[which])
                for out, lam in zip(left_out, ends.templates, strict=True)
            ]
            sure[which] = batch.values(tried, which) >= ends.points.value[which] - WORTHWHILE
    return sure
