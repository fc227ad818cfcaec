"""What a bootstrap draws: responses from resampled residuals and random effects, and resampled clusters of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.structure import canonical_template
from lmmsparse.design.terms import RandomTerm
from lmmsparse.fitted.effects import terms_by_group
from lmmsparse.fitted.means import random_part
from lmmsparse.frame import Codes
from lmmsparse.frame.grouping import code_type

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# Directions in which the conditional modes vary less than this share are taken to be empty.
EMPTY = 1e-8


def reflated_modes(modes: Float, factor: Float) -> Float:
    """Conditional modes, centred and mapped linearly so that their covariance matrix is that of the model.

    Modes are shrunken, and resampled as they are would have too small a variance (Carpenter, Goldstein and Rasbash
    2003).

    Parameters
    ----------
    modes : (q, k) array
    factor : (k, k) array
        Lower triangular, with factor · factorᵀ the covariance matrix.
    """
    centred = modes - modes.mean(axis=0)
    size = np.sqrt((centred**2).mean(axis=0))
    unit = np.where(size > 0.0, size, 1.0)
    scaled = centred / unit
    values, vectors = np.linalg.eigh(scaled.T @ scaled / len(scaled))
    values = np.where(values > EMPTY * max(values[-1], 1e-300), values, 0.0)
    root = canonical_template(vectors * np.sqrt(values))
    return np.asarray(scaled @ np.linalg.pinv(root).T @ factor.T)


def reflated_residuals(residuals: Float, sigma: float) -> Float:
    """Residuals, centred and with mean square σ²; all zero where they are."""
    centred = residuals - residuals.mean()
    size = np.sqrt((centred**2).mean())
    return np.asarray(centred * (sigma / size)) if size > 0.0 else centred


def resampled_responses(
    mean: Float,
    residuals: Float,
    terms: Sequence[RandomTerm],
    modes: Sequence[Float] | None,
    weights: Float | None,
    nsim: int,
    rng: np.random.Generator,
) -> Float:
    """y* = mean + Zb* + W^(-1/2)e*, (n, nsim), with e* and the levels of b* drawn with replacement.

    Parameters
    ----------
    mean : (n,) array
    residuals : (n,) array
        Times √w.
    terms : sequence of RandomTerm
    modes : sequence of (q_t, k_t) arrays, or None
        Rows of terms of one grouping factor are drawn together.  None: the mean has the random effects.
    weights : (n,) array or None
    nsim : int
    rng : numpy.random.Generator
    """
    n = len(mean)
    out = np.empty((n, nsim))
    root = 1.0 if weights is None else np.sqrt(weights)
    members = terms_by_group(terms)
    for s in range(nsim):
        y = mean + residuals[rng.integers(n, size=n)] / root
        if modes is not None:
            for group in members.values():
                q = terms[group[0]].n_levels
                drawn = rng.integers(q, size=q)
                for t in group:
                    y += random_part(terms[t].columns, terms[t].codes, modes[t][drawn], tuple(range(modes[t].shape[1])))
        out[:, s] = y
    return out


class Cases(NamedTuple):
    """Rows of a fit, some of them several times, and the levels that they have now.

    Attributes
    ----------
    rows : (m,) array of int
    codes : dict of str to (m,) array of int
        Of every grouping factor.
    origin : dict of str to array of int
        For every new level the level that it was.
    copy : dict of str to array of int
        For every new level the number of the draw, of the factors that have new levels.
    """

    rows: Index
    codes: dict[str, Codes]
    origin: dict[str, Index]
    copy: dict[str, Index]


class Clusters(NamedTuple):
    """Rows by the levels of a grouping factor.

    ``nested`` are the factors each level of which has rows of one cluster only; the clusters themselves are one.
    """

    order: Index
    starts: Index
    counts: Index
    codes: dict[str, Codes]
    nested: frozenset[str]


def clusters(codes: Mapping[str, Codes], group: str) -> Clusters:
    """Rows by the levels of the factor ``group``; ``codes`` has those of all grouping factors."""
    own = codes[group].astype(np.intp)
    counts = np.bincount(own)
    nested = set()
    for name, other in codes.items():
        wide = other.astype(np.int64)
        if len(np.unique(wide * len(counts) + own)) == int(wide.max()) + 1:
            nested.add(name)
    starts = np.cumsum(counts) - counts
    return Clusters(np.argsort(own, kind="stable"), starts, counts, dict(codes), frozenset(nested))


def draw_cases(known: Clusters, within: bool, rng: np.random.Generator) -> Cases:
    """As many clusters as there are, drawn with replacement; a cluster drawn twice counts as two.

    Parameters
    ----------
    known : Clusters
    within : bool
        Draw the rows of each with replacement too.
    rng : numpy.random.Generator
    """
    size = len(known.counts)
    drawn = rng.integers(size, size=size)
    counts = known.counts[drawn]
    each = np.repeat(counts, counts)
    if within:
        place = rng.integers(0, each)
    else:
        place = np.arange(len(each)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = known.order[np.repeat(known.starts[drawn], counts) + place]
    return _relabelled(known, rows, np.repeat(np.arange(size), counts))


def chosen_cases(known: Clusters, kept: NDArray[np.bool_]) -> Cases:
    """The rows of some clusters, once each; levels without rows are gone."""
    return _relabelled(
        known._replace(nested=frozenset()), np.flatnonzero(kept[_own(known)]), np.zeros(0, dtype=np.intp)
    )


def _own(known: Clusters) -> Index:
    own = np.empty(len(known.order), dtype=np.intp)
    own[known.order] = np.repeat(np.arange(len(known.counts)), known.counts)
    return own


def _relabelled(known: Clusters, rows: Index, draw: Index) -> Cases:
    codes: dict[str, Codes] = {}
    origin: dict[str, Index] = {}
    copy: dict[str, Index] = {}
    for name, old in known.codes.items():
        key = old[rows].astype(np.int64)
        width = int(old.max()) + 1
        if name in known.nested:
            key = key + draw * width
        present, new = np.unique(key, return_inverse=True)
        codes[name] = new.ravel().astype(code_type(len(present)))
        origin[name] = (present % width).astype(np.intp)
        if name in known.nested:
            copy[name] = (present // width).astype(np.intp)
    return Cases(rows, codes, origin, copy)
