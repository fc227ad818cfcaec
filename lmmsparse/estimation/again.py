"""The same model with something else: other rows, columns, terms, or another response or criterion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmmsparse.design.terms import RandomTerm
from lmmsparse.errors import GroupingError
from lmmsparse.estimation.control import Control
from lmmsparse.estimation.digits import Fit, fit_to_digits
from lmmsparse.estimation.spread import start_near
from lmmsparse.objective.linear import Objective, make_objective

Float = NDArray[np.float64]


def fit_again(objective: Objective, control: Control, near: Float | None = None) -> Fit:
    """Fit an objective, from a θ in the user's units that was the optimum for like data, or from nowhere."""
    return fit_to_digits(objective, control, start=None if near is None else start_near(objective, near))


def fit_parts(
    response: Float,
    X: Float,
    terms: Sequence[RandomTerm],
    *,
    weights: Float | None,
    reml: bool,
    control: Control,
    near: Float | None = None,
) -> Fit:
    """Make an objective of its parts, as `make_objective` takes them, and fit it as `fit_again` does."""
    objective = make_objective(response, X, terms, weights=weights, reml=reml, memory_limit=control.memory_bytes)
    return fit_again(objective, control, near)


def check_levels(terms: Sequence[RandomTerm], rows: int, message: str) -> None:
    """Refuse rows in which a grouping factor has one level, or as many as there are rows.

    Parameters
    ----------
    message : str
        With ``{levels}``, ``{group}`` and ``{rows}``.

    Raises
    ------
    GroupingError
        Names the factor.
    """
    for term in terms:
        if not 1 < term.n_levels < rows:
            raise GroupingError(message.format(levels=term.n_levels, group=repr(term.group), rows=rows))
