"""New responses drawn from a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import ArgumentError
from lmmsparse.predict import random_part
from lmmsparse.terms import RandomTerm

Float = NDArray[np.float64]


def generator(seed: Any) -> np.random.Generator:
    """A random generator from a seed: None, a non-negative integer, a sequence of them, or a generator."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"seed must be a non-negative integer or a numpy.random.Generator, got {seed!r}") from error


def draw_responses(
    fixed: Float,
    terms: Sequence[RandomTerm],
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
        Keep these random effects instead of drawing new ones.
    """
    n = len(fixed)
    out = np.empty((n, nsim))
    noise = sigma if weights is None else sigma / np.sqrt(weights)
    for s in range(nsim):
        y = fixed + noise * rng.standard_normal(n)
        for t, term in enumerate(terms):
            size = len(term.names)
            if modes is None:
                b = sigma * rng.standard_normal((term.n_levels, size)) @ templates[t].T
            else:
                b = modes[t]
            y += random_part(term.columns, term.codes, b, tuple(range(size)))
        out[:, s] = y
    return out
