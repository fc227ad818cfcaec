"""Directions of the random effects without variance, in the words of the user's columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

Float = NDArray[np.float64]

# Relative standard deviations below this are none: the tolerance of `LinearMixedModel.is_singular`.
EMPTY_BELOW = 1e-4
# A part of an effect below this share of its standard deviation is rounding.
ROUNDING = 1e-6


@dataclass(frozen=True)
class TermRank:
    """How many directions of a random-effect term have a variance.

    Attributes
    ----------
    term : str
        ``"(Days | Subject)"``.
    group : str
    effects : tuple of str
    rank : int
        Directions whose relative standard deviation is not zero.
    smallest : float
        Smallest relative standard deviation of any direction: over σ̂, for columns of unit mean square.
    findings : tuple of str
        What is empty, a sentence each; none when the rank is full.
    """

    term: str
    group: str
    effects: tuple[str, ...]
    rank: int
    smallest: float
    findings: tuple[str, ...]

    @property
    def is_singular(self) -> bool:
        """Whether a direction is empty."""
        return self.rank < len(self.effects)


def joined(names: Sequence[str]) -> str:
    """``"a, b and c"``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def empty_in_words(names: Sequence[str], template: Float, lengths: Float, rank: int, sigma: float) -> tuple[str, ...]:
    """What has no variance in a term, a sentence each.

    Parameters
    ----------
    names : sequence of str
        The k effects.
    template : (k, k) array
        λ in the user's units.
    lengths : (k,) array
        Root mean square of every column.
    rank : int
    sigma : float
    """
    if rank == len(names):
        return ()
    spread = np.sqrt((template**2).sum(axis=1)) * lengths
    without = [name for name, value in zip(names, spread, strict=True) if value < EMPTY_BELOW]
    out = [f"{joined(without)} {'has' if len(without) == 1 else 'have'} no variance"] if without else []
    rest = np.flatnonzero(spread >= EMPTY_BELOW)
    if len(rest) > rank == 1:
        left, values, _ = np.linalg.svd(template[rest] * lengths[rest, None])
        direction = sigma * values[0] * left[:, 0] / lengths[rest]
        direction *= np.sign(direction[0])
        numbers = ", ".join(f"{value:.4g}" for value in direction)
        out.append(
            f"the effects of {joined([names[j] for j in rest.tolist()])} are perfectly correlated: every level's "
            f"effects are one number times ({numbers})"
        )
    elif len(rest) > rank:
        out += _dependent(names, template, lengths, rest, rank)
    return tuple(out)


def _dependent(names: Sequence[str], template: Float, lengths: Float, rest: NDArray[np.intp], rank: int) -> list[str]:
    """Effects that are sums of multiples of others, which are chosen to span all of them well."""
    scaled = template[rest] * lengths[rest, None]
    order = qr(scaled.T, mode="r", pivoting=True)[1]
    basis, others = np.sort(rest[order[:rank]]), np.sort(rest[order[rank:]])
    coefficients = np.linalg.lstsq(template[basis].T, template[others].T, rcond=None)[0].T
    norms = np.sqrt((template**2).sum(axis=1))
    out = []
    for i, row in zip(others, coefficients, strict=True):
        used = [(c, names[j]) for c, j in zip(row, basis, strict=True) if abs(c) * norms[j] > ROUNDING * norms[i]]
        text = " ".join(
            f"{'-' if c < 0 else '+' if place else ''}{' ' if place else ''}{abs(c):.4g} × {name}"
            for place, (c, name) in enumerate(used)
        )
        out.append(f"the effect of {names[i]} is {text} at every level")
    return out
