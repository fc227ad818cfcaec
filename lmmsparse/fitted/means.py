"""Which random effects ``re_form`` names, and the means of the rows of the fit given them.

New rows, standard errors and intervals are the work of `lmmsparse.prediction`, further on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.arguments import as_real, as_text, shown
from lmmsparse.design.terms import RandomTerm
from lmmsparse.errors import ArgumentError, FormulaError
from lmmsparse.fitted.model import FittedModel
from lmmsparse.fitted.remembered import remembered
from lmmsparse.formula import Bar, TermKey, displayed, parse_formula
from lmmsparse.frame import Codes, ModelFrame, NewData

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Selected:
    """Columns of a term that enter a prediction."""

    term: int
    columns: tuple[int, ...]


def selected_effects(re_form: Any, terms: Sequence[RandomTerm], spec: NewData) -> tuple[Selected, ...]:
    """Random effects named by ``re_form``.

    Parameters
    ----------
    re_form : None, str, 0, False or NaN
        None: all of them.  ``"~0"``, 0, False, NaN or ``"NA"``: none.  A one-sided formula such as ``"~(1|g)"``: those
        bars, each of which must be a bar of the model or have a part of its terms.
    terms : sequence of RandomTerm
    spec : NewData
        Knows the columns of every bar.
    """
    if re_form is None:
        return tuple(Selected(t, tuple(range(len(term.names)))) for t, term in enumerate(terms))
    number = as_real(re_form)
    if re_form is False or re_form is np.False_ or (number is not None and (number == 0.0 or math.isnan(number))):
        return ()
    text = as_text(re_form)
    if text is None:
        raise ArgumentError(
            f"re_form must be None, a formula such as '~(1|g)', or 0 for no random effects; got {shown(re_form)}"
        )
    text = text.strip()
    if text in ("~0", "~ 0", "NA", "0"):
        return ()
    if not text.startswith("~"):
        raise ArgumentError(f"re_form must be a one-sided formula such as '~(1|g)', got {shown(text)}")
    try:
        read = parse_formula(f"response {text}")
    except FormulaError as error:
        raise ArgumentError(f"re_form {shown(text)} cannot be read: {error}") from error
    if read.fixed.factors or read.offsets:
        raise ArgumentError(
            f"re_form names random effects alone, such as '~(1|g)'; fixed effects are always there: got {shown(text)}"
        )
    held = [spec.bar_designs[term.bar].term_columns() for term in terms]
    chosen: dict[int, set[int]] = {}
    for bar in read.bars:
        for t, columns in _matching(bar, terms, held):
            if chosen.setdefault(t, set()) & columns:
                names = ", ".join(terms[t].names[j] for j in sorted(chosen[t] & columns))
                raise ArgumentError(f"re_form names the random effects {names} of {bar.group} twice")
            chosen[t] |= columns
    return tuple(Selected(t, tuple(sorted(columns))) for t, columns in sorted(chosen.items()))


def _matching(
    bar: Bar, terms: Sequence[RandomTerm], held: Sequence[dict[TermKey, tuple[int, ...]]]
) -> list[tuple[int, set[int]]]:
    """Columns of the model that a bar names: of the bar that it is, else of one that contains it, else term by term."""
    wanted = bar.left.keys
    same = [t for t, term in enumerate(terms) if term.group == bar.group]
    whole = [t for t in same if set(held[t]) == set(wanted)] or [t for t in same if set(wanted) <= set(held[t])]
    if whole:
        return [(whole[0], {j for key in wanted for j in held[whole[0]][key]})]
    found = []
    for key in wanted:
        owners = [t for t in same if key in held[t]]
        if not owners:
            names = ", ".join(":".join(map(displayed, sorted(part))) or "(Intercept)" for part in wanted)
            have = "; ".join(f"{term.group}: {', '.join(term.names)}" for term in terms)
            raise ArgumentError(f"re_form: the model has no random effects {names} for {bar.group}; it has {have}")
        found.append((owners[0], set(held[owners[0]][key])))
    return found


def random_part(columns: Float, codes: Codes, modes: Float, selected: tuple[int, ...]) -> Float:
    """Σ_j z_ij b_{level(i), j} over the selected columns, (m,); a negative code contributes nothing."""
    total = np.zeros(len(codes))
    for j in selected:
        effect = np.where(codes >= 0, modes[codes, j], 0.0)
        total += columns[:, j] * effect
    return total


def predict_rows(
    frame: ModelFrame,
    terms: Sequence[RandomTerm],
    beta: Float,
    modes: Sequence[Float],
    re_form: Any = None,
) -> Float:
    """Offset + Xβ + the selected random effects for the rows of the fit, (n,)."""
    total = frame.X @ beta
    if frame.offset is not None:
        total = total + frame.offset
    for choice in selected_effects(re_form, terms, frame.spec):
        term = terms[choice.term]
        total += random_part(term.columns, term.codes, modes[choice.term], choice.columns)
    return np.asarray(total)


@remembered
def fitted_means(model: FittedModel) -> Float:
    """Xβ̂ + Zb̂ + offset of every row of the fit, (n,)."""
    return predict_rows(model.frame, model.terms, model.estimates.beta, model.estimates.b)
