"""Linear predictors for old and new rows, and which random effects enter them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import ArgumentError, FormulaError, NewDataError
from lmmsparse.formula import parse_formula
from lmmsparse.frame import ModelFrame
from lmmsparse.terms import RandomTerm

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Selected:
    """Columns of a term that enter a prediction."""

    term: int
    columns: tuple[int, ...]


def selected_effects(re_form: Any, terms: Sequence[RandomTerm]) -> tuple[Selected, ...]:
    """Random effects named by ``re_form``.

    Parameters
    ----------
    re_form : None, str, 0, False or NaN
        None: all of them.  ``"~0"``, 0, False, NaN or ``"NA"``: none.  A one-sided formula such as ``"~(1|g)"``: those
        bars, each of which must be a bar of the model or have a part of its columns.
    terms : sequence of RandomTerm
    """
    if re_form is None:
        return tuple(Selected(t, tuple(range(len(term.names)))) for t, term in enumerate(terms))
    if re_form is False or (isinstance(re_form, (int, float)) and (re_form == 0 or math.isnan(re_form))):
        return ()
    if not isinstance(re_form, str):
        raise ArgumentError(
            f"re_form must be None, a formula such as '~(1|g)', or 0 for no random effects; got {re_form!r}"
        )
    text = re_form.strip()
    if text in ("~0", "~ 0", "NA", "0"):
        return ()
    if not text.startswith("~"):
        raise ArgumentError(f"re_form must be a one-sided formula such as '~(1|g)', got {re_form!r}")
    try:
        bars = parse_formula(f"response {text}").bars
    except FormulaError as error:
        raise ArgumentError(f"re_form {re_form!r} cannot be read: {error}") from error
    chosen = []
    for bar in bars:
        wanted = _column_names(bar.left)
        for t, term in enumerate(terms):
            if term.group == bar.group and wanted <= set(term.names):
                chosen.append(Selected(t, tuple(i for i, name in enumerate(term.names) if name in wanted)))
                break
        else:
            have = "; ".join(f"{term.group}: {', '.join(term.names)}" for term in terms)
            raise ArgumentError(
                f"re_form: the model has no random effects {', '.join(sorted(wanted))} for {bar.group}; it has {have}"
            )
    return tuple(chosen)


def _column_names(left: str) -> set[str]:
    """Column names of a bar's left side made of names, 1 and 0."""
    names, intercept = set(), True
    for sign, item in re.findall(r"([+-]?)\s*([^+\-\s]+(?:\([^)]*\))?)", left):
        if item in ("0", "1"):
            intercept = (item == "1") == (sign != "-")
        else:
            names.add(item.strip("`"))
    return names | ({"(Intercept)"} if intercept else set())


def random_part(columns: Float, codes: NDArray[np.int32], modes: Float, selected: tuple[int, ...]) -> Float:
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
    for choice in selected_effects(re_form, terms):
        term = terms[choice.term]
        total += random_part(term.columns, term.codes, modes[choice.term], choice.columns)
    return np.asarray(total)


def predict_new(
    frame: ModelFrame,
    terms: Sequence[RandomTerm],
    beta: Float,
    modes: Sequence[Float],
    newdata: Any,
    re_form: Any = None,
    allow_new_levels: bool = False,
    offset: Any = None,
) -> Float:
    """Offset + Xβ + the selected random effects for new rows, (m,).

    Raises
    ------
    NewDataError
        A column is missing, or a level is new and ``allow_new_levels`` is False.
    """
    spec = frame.spec
    total = spec.fixed(newdata) @ beta if len(beta) else np.zeros(len(spec.index(newdata)))
    total = total + spec.offset(newdata)
    if offset is not None:
        values = np.asarray(offset, dtype=float)
        if values.ndim and values.shape != total.shape:
            raise ArgumentError(f"offset has {values.size} values, newdata {len(total)} rows")
        total = total + values
    for choice in selected_effects(re_form, terms):
        term = terms[choice.term]
        codes = spec.codes(newdata, term.group)
        if not allow_new_levels and (codes < 0).any():
            row = int(np.flatnonzero(codes < 0)[0])
            raise NewDataError(
                f"new levels detected in newdata: {int((codes < 0).sum())} rows have a level of {term.group!r} that "
                f"the fit has not seen, or none (the first is row {row}); allow_new_levels=True predicts them without "
                f"the effects of {term.group!r}"
            )
        total += random_part(spec.bar_columns(newdata, term.bar), codes, modes[choice.term], choice.columns)
    return np.asarray(total)
