"""Responses drawn from a fitted model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.arguments import check_memory, checked_count, checked_flag
from lmmsparse.errors import ArgumentError
from lmmsparse.fitted.means import predict_rows
from lmmsparse.fitted.model import FittedModel
from lmmsparse.fitted.simulate import draw_responses, generator
from lmmsparse.prediction.draws import kept_modes, new_terms
from lmmsparse.prediction.rows import check_no_row_values, new_rows, opened

Float = NDArray[np.float64]


def simulate(
    model: FittedModel,
    nsim: int = 1,
    seed: Any = None,
    use_u: bool = False,
    newdata: Any = None,
    re_form: Any = None,
    allow_new_levels: bool = False,
    offset: Any = None,
    weights: Any = None,
) -> Float:
    """Responses drawn from the fitted model, (n, nsim).

    Parameters
    ----------
    nsim : int
    seed : int or numpy.random.Generator, optional
    use_u : bool
        Keep the estimated random effects instead of drawing new ones.
    newdata : frame or dict of arrays, optional
        New rows; those of the fit by default.
    re_form : None, str or 0
        Random effects to keep, the others being drawn anew: those of a one-sided formula such as ``"~(1|g)"``, or
        none (0), as with None.  ``use_u`` keeps all.  An effect is drawn from its own normal distribution, also
        where one that it is correlated with is kept.
    allow_new_levels : bool
        Where effects of a factor are kept, draw those of levels that the fit has not seen.  Where all are drawn,
        new levels need no leave.  Rows of one new level share its draw.
    offset : (m,) array, scalar or column name, optional
        Offset of the new rows beside ``offset()`` terms; needed when the fit had one, unless that was a column
        which newdata have as well.
    weights : (m,) array, scalar or column name, optional
        Prior weights of the new rows, 1 by default.

    Returns
    -------
    (n, nsim) array
        NaN in new rows where a variable or a level is missing.

    Raises
    ------
    NewDataError
        A column is missing, or a level is new where effects are kept.
    ArgumentError
        Both ``use_u`` and ``re_form``, or another argument that cannot be used.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.simulate(2, seed=1, newdata={"Days": [0, 1, 2], "Subject": ["new", "new", "308"]}).shape
    (3, 2)
    """
    count = checked_count("simulate", "nsim", nsim)
    keep = checked_flag("simulate", "use_u", use_u)
    new_levels = checked_flag("simulate", "allow_new_levels", allow_new_levels)
    if keep and re_form is not None:
        raise ArgumentError("simulate: use_u keeps all random effects, re_form some of them; give one of the two")
    rng = generator(seed)
    frame, estimates = model.frame, model.estimates
    kept = None
    if keep or re_form is not None:
        kept = kept_modes(frame, model.terms, estimates.b, None if keep else re_form)
    if newdata is None:
        check_no_row_values("simulate", offset, weights)
        _check_size(model, len(frame.y), count)
        fixed = predict_rows(frame, model.terms, estimates.beta, estimates.b, re_form=0)
        drawn = (fixed, model.terms, estimates.templates, model.sigma, frame.weights)
        return draw_responses(*drawn, count, rng, kept)
    table, known = opened(model, newdata, offset, "simulate")
    _check_size(model, table.n_rows, count)
    rows = new_rows(frame, model.terms, table, 0, allow_new_levels=True, offset=known, weights=weights)
    kept = kept or kept_modes(frame, model.terms, estimates.b, 0)
    terms, modes = new_terms(frame, model.terms, kept, table, new_levels)
    fixed = rows.mean(estimates.beta, estimates.b)
    for term in terms:
        fixed = np.where(term.codes < 0, np.nan, fixed)
    return draw_responses(fixed, terms, estimates.templates, model.sigma, rows.weights, count, rng, modes)


def _check_size(model: FittedModel, n: int, nsim: int) -> None:
    check_memory("simulate", f"{nsim} responses of {n} rows", 8.0 * n * nsim, model.control.memory_bytes)
