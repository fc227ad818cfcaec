"""Searches from starts that are spread over the whole parameter space, in one batched call.

The deviance of few or uneven levels, and of a response with an outlier, often has several minima: what the slope of one
level explains may go to another term or to the residuals.  Where an evaluation costs microseconds, many searches cost
little more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.structure import canonical_template
from lmmsparse.estimation.starts import few_rows, other_starts, warm_start
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.stacked import Points, StackedObjective
from lmmsparse.search.batch import Optima, search

Float = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]

# Multiplications of an evaluation below which many are made.
CHEAP_FLOPS = 1e5
# Squared lengths of a column's parts on the levels of a factor are uneven when they amount to less than this share of
# equal ones, and to fewer than so many;
EVEN_SHARE, EVEN_LEVELS = 0.8, 6.0
# the response is uneven when one row has more than the first share of its sum of squares, or one of uneven levels has
# more than the second share of what lies between them.
OUTLYING_ROW, OUTLYING_LEVEL = 0.3, 0.7
# Searches of one call for one standard deviation, two, …, times the second where effects may be correlated and times
# the third where a model has weights, which hide minima in narrow valleys; the last is how many calls more there are at
# most, where the first found several minima.
STARTS, CORRELATED, WEIGHTED, MORE_CALLS = (16, 24, 32), 2, 3, 2
# Standard deviations of starts reach from the first times where the best known level begins to matter to the second
# times where the least known one does.
SMALLEST_SPREAD, LARGEST_SPREAD = 0.3, 30.0
# Where effects may be correlated, this share of the starts has one direction of the columns alone, with standard
# deviations in this range and almost nothing across it, and this share has directions of the orthonormal columns.
ONE_DIRECTION, RANGE, ACROSS, TURNED = 0.45, (0.1, 100.0), 0.01, 0.15
# These searches end when one more step would gain this, look at the Hessian itself after so many steps, and end after
# so many.
ROUGH, PATIENCE, MOST_STEPS = 1e-3, 5, 14
# Searches of many responses that are made at a time.
MOST_TOGETHER = 20_000
# Ends that differ by less are the same.
SAME = 0.02
# An end must be lower by more than the first to be followed; of those that have not settled, so many that are no more
# than the second above.
WORTHWHILE, NEAR, MOST_OPEN = 1e-7, 1.0, 2
# A minimum that fewer searches have found may not be the lowest.
ENOUGH = 3


@dataclass(frozen=True)
class Ends:
    """Where searches ended.

    Attributes
    ----------
    theta : (m, n_theta) array
        In working coordinates.
    value : (m,) array
        Infinite where a search found nothing.
    settled : (m,) array of bool
    evaluations : (m,) array of int
    """

    theta: Float
    value: Float
    settled: Mask
    evaluations: NDArray[np.int64]

    def promising(self, value: float) -> list[tuple[Float, int]]:
        """Ends that are lower than a value, or may become so, the lowest first, with the evaluations they took."""
        order = [int(i) for i in np.argsort(self.value)]
        lower = [i for i in order if self.value[i] < value - WORTHWHILE][:1]
        open_ones = [i for i in order if not self.settled[i] and self.value[i] < value + NEAR and i not in lower]
        return [(self.theta[i], int(self.evaluations[i])) for i in lower + open_ones[:MOST_OPEN]]

    @classmethod
    def of(cls, optima: Optima[Points]) -> Ends:
        """Of one call; where nothing was found the value is infinite."""
        value = np.nan_to_num(optima.points.value, nan=np.inf)
        return cls(optima.theta, value, optima.settled, optima.evaluations)

    @classmethod
    def joined(cls, parts: Sequence[Ends]) -> Ends:
        """Several as one."""
        return cls(
            np.concatenate([part.theta for part in parts]),
            np.concatenate([part.value for part in parts]),
            np.concatenate([part.settled for part in parts]),
            np.concatenate([part.evaluations for part in parts]),
        )


def spread_ends(objective: Objective) -> Ends | None:
    """Ends of searches from spread starts; None where one search is enough, or one costs too much to make many."""
    stacked = objective.at_many() if _are_worthwhile(objective) else None
    if stacked is None:
        return None
    count, rng = _starts_of(objective) * (1 if objective.weights is None else WEIGHTED), np.random.default_rng(0)
    first = np.vstack([*other_starts(objective), spread_starts(objective, count, rng)])
    found = [_searched(stacked, first, np.zeros(len(first), dtype=np.intp))]
    while len(found) <= MORE_CALLS:
        ends = Ends.joined(found)
        same = np.count_nonzero(ends.value <= ends.value.min() + SAME)
        if same == len(ends.value) or (len(found) > 1 and same >= ENOUGH):
            break
        more = spread_starts(objective, count, rng)
        found.append(_searched(stacked, more, np.zeros(count, dtype=np.intp)))
    return Ends.joined(found)


def _are_worthwhile(objective: Objective) -> bool:
    return objective.plan.flops <= CHEAP_FLOPS and is_uneven(objective)


def start_near(objective: Objective, theta: Float) -> Float | None:
    """A start in the user's units when θ was the optimum for like data; None where a cold search has several starts."""
    if other_starts(objective) or _are_worthwhile(objective):
        return None
    return objective.to_user(warm_start(objective, theta))


def lowest_ends(objective: Objective, stacked: StackedObjective, which: Index) -> Ends:
    """For each of some responses the lowest end of one call of searches from spread starts."""
    count, rng = _starts_of(objective), np.random.default_rng(0)
    starts, parts = spread_starts(objective, count, rng), []
    for some in np.array_split(which, -(-len(which) * count // MOST_TOGETHER)):
        ends = _searched(stacked, np.tile(starts, (len(some), 1)), np.repeat(some, count))
        lowest = np.arange(len(some)) * count + ends.value.reshape(-1, count).argmin(axis=1)
        spent = ends.evaluations.reshape(-1, count).sum(axis=1)
        parts.append(Ends(ends.theta[lowest], ends.value[lowest], ends.settled[lowest], spent))
    return Ends.joined(parts)


def _starts_of(objective: Objective) -> int:
    directions = sum(block.structure.n_variances for block in objective.blocks)
    correlated = any(block.structure.correlated and block.structure.size > 1 for block in objective.blocks)
    return STARTS[min(directions, len(STARTS)) - 1] * (CORRELATED if correlated else 1)


def _searched(stacked: StackedObjective, starts: Float, responses: Index) -> Ends:
    def points(theta: Float, which: Index) -> Points:
        return stacked.points(theta, responses[which])

    with np.errstate(all="ignore"):  # far away there is nothing, which the points say
        optima = search(points, stacked.chart, starts, ROUGH, near_zero=0.0, patience=PATIENCE, most_steps=MOST_STEPS)
    return Ends.of(optima)


def is_uneven(objective: Objective) -> bool:
    """Whether the criterion may have several minima: few rows, or levels or a response of which little says most."""
    if few_rows(objective):
        return True
    right = tuple(rhs[:, :, -1:] for rhs in objective.products.rhs)
    return bool(uneven_responses(objective, right, lambda: np.array([objective.largest_square]))[0])


def uneven_responses(objective: Objective, right: Sequence[Float], largest_square: Callable[[], Float]) -> Mask:
    """The same of every response, but for few rows, (m,).

    Parameters
    ----------
    objective : Objective
        Of the design, whatever its response.
    right : tuple of (q_g, K_g, m) arrays
        Z_gᵀWY of every grouping factor.
    largest_square : callable
        () → the largest share of a single row in yᵀWy of every response, (m,).
    """
    found, uneven = np.zeros(right[0].shape[2], dtype=bool), False
    for block, L in zip(objective.blocks, _maps(objective), strict=True):
        diagonal = objective.products.diagonal[block.factor][:, block.columns, block.columns]
        squares = diagonal[:, np.arange(len(L)), np.arange(len(L))]
        if len(L) > 1:  # of the columns and of the orthonormal ones
            squares = np.concatenate([squares, ((diagonal @ L) * L).sum(axis=1)], axis=1)
        sums, fourth = squares.sum(axis=0), np.einsum("qk,qk->k", squares, squares)
        few = sums**2 < EVEN_SHARE * len(squares) * fourth
        if (few & (sums**2 < EVEN_LEVELS * fourth)).any():
            return np.ones_like(found)
        if few.any():
            uneven, own = True, right[block.factor][:, block.columns]
            along = own if len(L) == 1 else np.concatenate([own, L.T @ own], axis=1)
            known, across = squares[:, few, None], along[:, few] ** 2
            between = np.divide(across, known, out=np.zeros_like(across), where=known > 0.0)
            found |= (between.max(axis=0) > OUTLYING_LEVEL * between.sum(axis=0)).any(axis=0)
    return found | (largest_square() > OUTLYING_ROW) if uneven else found


def spread_starts(objective: Objective, count: int, rng: np.random.Generator) -> Float:
    """Starts (count, n_theta): the standard deviations of all columns, or of other directions, small or large."""
    parts = []
    for block, L in zip(objective.blocks, _maps(objective), strict=True):
        diagonal = objective.products.diagonal[block.factor][:, block.columns, block.columns]
        k, squares = block.structure.size, np.einsum("ki,qkl,li->qi", L, diagonal, L)
        templates = L * _deviations(squares, count, rng)[:, None, :]
        if k > 1 and block.structure.correlated:
            Q = np.linalg.qr(rng.normal(size=(count, k, k)))[0]
            lengths = np.geomspace(*RANGE, count)[rng.permutation(count), None] * Q[:, :, 0]
            typical = 1.0 / np.sqrt(np.median(np.where(squares > 0.0, squares, squares.max(axis=0)), axis=0))
            one = ACROSS * np.broadcast_to(np.diag(typical), (count, k, k)).copy()
            one[:, :, 0] += lengths * typical
            turned = Q * _deviations(np.einsum("qkk->qk", diagonal), count, rng)[:, None, :]
            kind = rng.permutation(count)[:, None, None] / count
            templates = np.where(kind < ONE_DIRECTION, L @ one, templates)
            templates = np.where(kind > 1.0 - TURNED, turned, templates)
        parts.append(np.stack([block.structure.theta(template) for template in canonical_template(templates)]))
    return np.concatenate(parts, axis=-1)


def _maps(objective: Objective) -> list[Float]:
    """L of every term, with the user's columns in units in which their squares are numbers."""
    maps = objective.design.coordinates.term_maps
    sizes = [np.abs(L).max(axis=0) for L in maps]
    return [L / np.where(size > 0.0, size, 1.0) for L, size in zip(maps, sizes, strict=True)]


def _deviations(squares: Float, count: int, rng: np.random.Generator) -> Float:
    """Standard deviations over σ of k columns, (count, k), evenly spread over what their levels (q, k) tell apart."""
    k = squares.shape[1]
    known = np.where(squares > 1e-9 * squares.max(axis=0), squares, np.nan)
    low = np.log(SMALLEST_SPREAD) - np.log(np.nanmax(known, axis=0)) / 2
    high = np.log(LARGEST_SPREAD) - np.log(np.nanmin(known, axis=0)) / 2
    strata = np.column_stack([rng.permutation(count) for _ in range(k)])
    return np.exp(low + (high - low) * (strata + rng.random((count, k))) / count)
