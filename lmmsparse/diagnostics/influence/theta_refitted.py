"""Estimates without each of several sets of rows, θ estimated again from the rows that are left."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lmmsparse.design.terms import RandomTerm, taken_columns
from lmmsparse.diagnostics.influence.deletions import Deletions
from lmmsparse.diagnostics.influence.estimates import RemainingEstimates, write_estimates, write_partial
from lmmsparse.diagnostics.influence.rebuild import lost_directions
from lmmsparse.errors import GroupingError, LmmError, LmmWarning
from lmmsparse.estimation.again import check_levels, fit_parts
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.fitted.model import FittedModel
from lmmsparse.frame import Levels
from lmmsparse.frame.checks import check_term_size
from lmmsparse.frame.response import check_varies
from lmmsparse.numerics.rank import independent_columns

Float = NDArray[np.float64]
Index = NDArray[np.intp]


def refitted_estimates(model: FittedModel, deletions: Deletions) -> tuple[RemainingEstimates, dict[int, str]]:
    """Fit the model without each set of rows, each search warm from θ̂; why some sets have no estimates."""
    out = RemainingEstimates.unfitted(deletions.count, len(model.estimates.beta), len(model.estimates.theta))
    failures = {}
    for i in range(deletions.count):
        rows = np.flatnonzero(deletions.codes != i)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LmmWarning)
            try:
                _refit(out, i, model, rows)
            except (LmmError, np.linalg.LinAlgError) as error:
                failures[i] = f"{type(error).__name__}: {error}"
    return out, failures


def _refit(out: RemainingEstimates, place: int, model: FittedModel, rows: Index) -> None:
    """Fit the remaining rows and write the estimates down."""
    frame = model.frame
    weights = None if frame.weights is None else frame.weights[rows]
    X = frame.X[rows]
    columns = independent_columns(X, weights)
    if len(columns) >= len(rows):
        raise GroupingError(f"{len(rows)} rows are left for {len(columns)} fixed effects")
    response = frame.y_less_offset[rows]
    check_varies(response, frame.formula.response)
    terms = [_remaining_term(term, rows) for term in model.terms]
    check_levels(terms, len(rows), "{levels} levels of {group} are left in {rows} rows")
    for term in terms:
        check_term_size(term.label, len(term.names), term.n_levels, term.structure.correlated, len(rows))
    found = fit_parts(
        response,
        np.asfortranarray(X[:, columns]),
        terms,
        weights=weights,
        reml=model.is_reml,
        control=model.control,
        near=model.estimates.theta,
    )
    if found.estimates.perfect:
        raise GroupingError("the rows that are left are fitted perfectly")
    out.table.theta[place], out.table.converged[place] = found.estimates.theta, found.info.converged
    _write(out, place, model, rows, columns, found.estimates)


def _remaining_term(term: RandomTerm, rows: Index) -> RandomTerm:
    levels, codes = np.unique(term.codes[rows], return_inverse=True)
    columns = taken_columns(term.columns, rows)
    return replace(term, codes=codes.ravel().astype(np.int32), labels=Levels(levels), columns=columns)


def _write(
    out: RemainingEstimates, place: int, model: FittedModel, rows: Index, columns: Index, estimates: Estimates
) -> None:
    """Estimates of the remaining rows in the working coordinates of all rows."""
    objective, full = model.objective, model.estimates
    scale, p = objective.response.scale, len(full.beta)
    beta, covariance = np.zeros(p), np.zeros((p, p))
    beta[columns] = estimates.beta
    covariance[np.ix_(columns, columns)] = estimates.unit_covariance
    to_working = objective.design.coordinates.working_beta_map(scale)
    shift = to_working @ (beta - full.beta)
    to_working[:, columns] *= estimates.beta_units * (scale / estimates.sigma)
    covariance = to_working @ covariance @ to_working.T
    sigma2 = (estimates.sigma / scale) ** 2
    if len(columns) == p:
        which = np.array([place])
        information = np.asarray(np.linalg.inv(covariance))[None]
        write_estimates(out, which, objective, full, shift[None], information, np.array([sigma2]))
    else:
        lost = lost_directions(objective.design, objective.weights, rows)[1]
        write_partial(out, place, objective, full, shift, covariance, lost, sigma2)
