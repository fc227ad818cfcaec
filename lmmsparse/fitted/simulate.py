"""New responses drawn from a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lmmsparse.arguments import as_array, as_whole, shown
from lmmsparse.errors import ArgumentError
from lmmsparse.fitted.means import random_part
from lmmsparse.frame import Codes

Float = NDArray[np.float64]

# What has a state, or makes one.
SEEDS = (np.random.Generator, np.random.BitGenerator, np.random.SeedSequence, np.random.RandomState)


def generator(seed: Any) -> np.random.Generator:
    """A random generator from a seed: None, a non-negative integer, a sequence of them, or a generator.

    NumPy is given nothing else: it takes True for 1, and a list in itself ends the process.
    """
    if seed is None or isinstance(seed, SEEDS):
        return np.random.default_rng(seed)
    single = as_whole(seed)
    made = as_array(seed) if single is None and isinstance(seed, (list, tuple, np.ndarray)) else None
    if made is not None and made.ndim != 1:
        made = None
    several = [single] if made is None else [as_whole(one) for one in made.tolist()]
    entropy = [one for one in several if one is not None and one >= 0]
    if len(entropy) < len(several):
        raise ArgumentError(f"seed must be a non-negative integer or a numpy.random.Generator, got {shown(seed)}")
    return np.random.default_rng(entropy[0] if made is None else entropy)


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
