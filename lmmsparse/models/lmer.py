"""`lmer`: from a formula and data to a fitted linear mixed model, stage by stage."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lmmsparse.arguments import checked_flag
from lmmsparse.design.terms import random_terms
from lmmsparse.errors import DataError, NoFixedEffectsWarning
from lmmsparse.estimation.control import Control, as_control
from lmmsparse.estimation.digits import fit_to_digits
from lmmsparse.fitted.call import Call
from lmmsparse.fitted.model import warned
from lmmsparse.formula import parse_formula
from lmmsparse.frame import ModelFrame, build_model_frame, open_table
from lmmsparse.models.linear import LinearMixedModel
from lmmsparse.numerics.threads import single_threaded_blas
from lmmsparse.objective.linear import Objective, make_objective
from lmmsparse.search.protocols import Evaluation

# Sizes of columns whose inverses, and products with few others, are numbers.
SMALLEST_SIZE, LARGEST_SIZE = 1e-304, 1e304


def lmer(
    formula: str,
    data: Any,
    REML: bool = True,
    weights: Any = None,
    offset: Any = None,
    subset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    na_action: str = "omit",
    start: ArrayLike | None = None,
    control: Control | Mapping[str, Any] | None = None,
    progress: bool = False,
) -> LinearMixedModel:
    """Fit a linear mixed model by REML or maximum likelihood.

    Parameters
    ----------
    formula : str
        lme4's notation: ``"Reaction ~ Days + (Days | Subject)"``.
    data : pandas, polars or pyarrow frame, or dict of arrays
        Never changed.
    REML : bool
        Minimise the REML criterion; otherwise −2 log-likelihood.
    weights : (N,) array or column name, optional
        Prior weights w: the residual variance of a row is σ²/w.  Rows of weight zero are left out.
    offset : (N,) array or column name, optional
        Known part of the mean.
    subset : boolean array, positions or column name, optional
        Rows to use.
    contrasts : dict, optional
        Column name → ``"treatment"``, ``"sum"``, ``"helmert"``, ``"poly"`` or a formulaic contrasts object.
    na_action : {"omit", "exclude", "fail"}
        Drop rows with missing values; drop them and keep their place in fitted values and residuals; or refuse them.
    start : (n_theta,) array, optional
        Where the search for θ begins.
    control : Control or dict, optional
        Settings of the search and the memory limit.
    progress : bool
        Print every evaluation.

    Returns
    -------
    LinearMixedModel

    Raises
    ------
    LmmError
        One of its children, which says what is wrong, where, and what to do.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> round(m.criterion, 4)
    1743.6283
    >>> m.fixef.round(3).to_dict()
    {'(Intercept)': 251.405, 'Days': 10.467}
    """
    call = Call.of(lmer, locals())
    reml, watched = checked_flag("", "REML", REML), checked_flag("", "progress", progress)
    settings = as_control(control)
    with single_threaded_blas():  # passes over the rows are bound by memory, not by arithmetic
        table = open_table(data)
        frame = build_model_frame(
            parse_formula(formula, table.names),
            table,
            weights=weights,
            offset=offset,
            subset=subset,
            contrasts=contrasts,
            na_action=na_action,
        )
        if reml and not frame.fixed_names:
            warnings.warn(
                "the model has no fixed effects, so REML and maximum likelihood coincide; the fit is reported as ML",
                NoFixedEffectsWarning,
                stacklevel=2,
            )
            reml = False
        terms = random_terms(frame)
        with np.errstate(all="ignore"):  # what has left the range of numbers is named next
            objective = make_objective(
                frame.y_less_offset,
                frame.X,
                terms,
                weights=frame.weights,
                reml=reml,
                memory_limit=settings.memory_bytes,
            )
        _check_sizes(objective, frame)
    first = None if start is None else objective.checked_start(start)
    watch = _print_evaluation if watched else None
    found = fit_to_digits(objective, settings, start=first, watch=watch)
    return warned(LinearMixedModel(frame, terms, *found, settings, call))


def _check_sizes(objective: Objective, frame: ModelFrame) -> None:
    """Refuse columns so small or large that their coefficients, or squares of them, are no numbers."""
    coordinates = objective.design.coordinates
    sizes = [np.abs(L).max(axis=0, initial=0.0) for L in (coordinates.fixed_map, *coordinates.term_maps)]
    names = [frame.fixed_names, *(term.names for term in objective.terms)]
    for own, columns in zip(sizes, names, strict=True):
        beyond = ~((own < LARGEST_SIZE) & ((own > SMALLEST_SIZE) | (own == 0.0)))
        if beyond.any():
            raise DataError(
                f"column {columns[int(np.argmax(beyond))]!r} is beyond what floating-point numbers can compute with: "
                f"its size must lie between {SMALLEST_SIZE:g} and {LARGEST_SIZE:g}; rescale it"
            )


def _print_evaluation(evaluation: Evaluation) -> None:
    mark = "" if evaluation.accepted else "  (rejected)"
    print(
        f"criterion {evaluation.value:.6f}  theta {np.array2string(evaluation.theta, precision=5)}{mark}",
        flush=True,
    )
