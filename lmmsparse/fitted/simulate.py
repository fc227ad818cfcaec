"""New responses drawn from a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import ArgumentError
from lmmsparse.fitted.means import random_part
from lmmsparse.frame import Codes

Float = NDArray[np.float64]


def generator(seed: Any) -> np.random.Generator:
    """A random generator from a seed: None, a non-negative integer, a sequence of them, or a generator."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"seed must be a non-negative integer or a numpy.random.Generator, got {seed!r}") from error


class DrawnTerm(Protocol):
    """A random-effect term of the rows that are drawn: a `RandomTerm`, or what a term has to do with new rows."""

    @property
    def codes(self) -> Codes:
        """Level of each row; negative for none."""

    @property
    def columns(self) -> Float:
        """Columns left of the bar, (n, k)."""

    @property
    def n_levels(self) -> int:
        """Number q of levels."""


def draw_responses(
    fixed: Float,
    terms: Sequence[DrawnTerm],
    templates: Sequence[Float],
    sigma: float,
    weights: Float | None,
    nsim: int,
    rng: np.random.Generator,
    modes: Sequence[Float] | None = None,
) -> Float:
    """y* = fixed + Z b* + ε*, (n, nsim), with b* = σ λ u*, u* ~ N(0, I), ε* ~ N(0, σ²W⁻¹).

    Parameters
    ----------
    fixed : (n,) array
        Xβ + offset.
    terms, templates : sequences
        Random-effect terms and their λ.
    sigma : float
    weights : (n,) array or None
    nsim : int
    rng : numpy.random.Generator
    modes : sequence of (q, k) arrays, optional
        Keep these random effects instead of drawing new ones; those that are NaN are drawn.
    """
    n = len(fixed)
    out = np.empty((n, nsim))
    noise = sigma if weights is None else sigma / np.sqrt(weights)
    drawn = [modes is None or bool(np.isnan(modes[t]).any()) for t in range(len(terms))]
    for s in range(nsim):
        y = fixed + noise * rng.standard_normal(n)
        for t, term in enumerate(terms):
            size = term.columns.shape[1]
            b = sigma * rng.standard_normal((term.n_levels, size)) @ templates[t].T if drawn[t] else None
            if modes is not None:
                b = modes[t] if b is None else np.where(np.isnan(modes[t]), b, modes[t])
            assert b is not None
            y += random_part(term.columns, term.codes, b, tuple(range(size)))
        out[:, s] = y
    return out
