"""The terms of new rows as simulations need them: levels numbered, and the random effects that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.design.terms import RandomTerm
from lmmsparse.fitted.means import selected_effects
from lmmsparse.frame import Codes, ModelFrame, Table
from lmmsparse.prediction.rows import check_levels

Float = NDArray[np.float64]


@dataclass(frozen=True)
class NewTerm:
    """A term of new rows.

    Attributes
    ----------
    codes : (m,) array
        Level of each row, numbered among those that occur; −1 where it is missing.
    columns : (m, k) array
    n_levels : int
        At least 1.
    """

    codes: Codes
    columns: Float
    n_levels: int


def kept_modes(frame: ModelFrame, terms: Sequence[RandomTerm], modes: Sequence[Float], re_form: Any) -> list[Float]:
    """Conditional modes of the random effects that ``re_form`` names, (q_t, k_t); NaN for the others."""
    kept = [np.full(b.shape, np.nan) for b in modes]
    for choice in selected_effects(re_form, terms, frame.spec):
        chosen = list(choice.columns)
        kept[choice.term][:, chosen] = modes[choice.term][:, chosen]
    return kept


def new_terms(
    frame: ModelFrame, terms: Sequence[RandomTerm], kept: Sequence[Float], table: Table, allow_new_levels: bool
) -> tuple[list[NewTerm], list[Float]]:
    """The terms of new rows, and the effects of their levels that are kept, NaN for the others.

    Parameters
    ----------
    frame : ModelFrame
    terms : sequence of RandomTerm
    kept : sequence of (q_t, k_t) arrays
        From `kept_modes`.
    table : Table with m rows
    allow_new_levels : bool
        Draw effects of levels that the fit has not seen where those of the others are kept.

    Raises
    ------
    NewDataError
        A column is missing, or a level is new.
    """
    found, effects = [], []
    for term, b in zip(terms, kept, strict=True):
        codes = frame.spec.codes(table, term.group, number_new=True)
        if not (allow_new_levels or np.isnan(b).all()):
            check_levels(np.where(codes < term.n_levels, codes, -1), term.group)
        levels, place = np.unique(codes[codes >= 0], return_inverse=True)
        numbered = np.full(table.n_rows, -1, dtype=np.int32)
        numbered[codes >= 0] = place
        # One level at least, which rows without a level can point at.
        n_levels = max(len(levels), 1)
        here = np.full((n_levels, b.shape[1]), np.nan)
        known = np.flatnonzero(levels < term.n_levels)
        here[known] = b[levels[known]]
        found.append(NewTerm(numbered, frame.spec.bar_columns(table, term.bar), n_levels))
        effects.append(here)
    return found, effects
