"""Searches from starts that are spread over the whole parameter space, in one batched call.

The deviance of few or uneven levels, and of a response with an outlier, often has several minima: what the slope of one
level explains may go to another term or to the residuals.  Where an evaluation costs microseconds, many searches cost
little more than one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.structure import canonical_template
from lmmsparse.estimation.starts import few_rows, other_starts
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.stacked import Points, StackedObjective
from lmmsparse.search.batch import Optima, search

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# Multiplications of an evaluation below which many are made.
CHEAP_FLOPS = 1e5
# Squared lengths of a column's parts on the levels of a factor are uneven when they amount to less than this share of
# equal ones, and to fewer than so many;
EVEN_SHARE, EVEN_LEVELS = 0.8, 6.0
# the response is uneven when one row has more than the first share of its sum of squares, or one of uneven levels has
# more than the second share of what lies between them.
OUTLYING_ROW, OUTLYING_LEVEL = 0.3, 0.7
# Searches of one call for one standard deviation, two, …, times the second where effects may be correlated; the third
# is how many calls more there are at most, where the first found several minima.
STARTS, CORRELATED, MORE_CALLS = (16, 24, 32), 2, 2
# Standard deviations of starts reach from the first times where the best known level begins to matter to the second
# times where the least known one does.
SMALLEST_SPREAD, LARGEST_SPREAD = 0.3, 30.0
# Where effects may be correlated, this share of the starts has one direction of the columns alone, with standard
# deviations in this range and almost nothing across it, and this share has directions of the orthonormal columns.
ONE_DIRECTION, RANGE, ACROSS, TURNED = 0.45, (0.1, 100.0), 0.01, 0.15
# These searches end when one more step would gain this, look at the Hessian itself after so many steps, and end after
# so many.
ROUGH, PATIENCE, MOST_STEPS = 1e-3, 5, 14
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
    settled: NDArray[np.bool_]
    evaluations: NDArray[np.int64]

    def promising(self, value: float) -> list[tuple[Float, int]]:
        """Ends that are lower than a value, or may become so, the lowest first, with the evaluations they took."""
        order = [int(i) for i in np.argsort(self.value)]
        lower = [i for i in order if self.value[i] < value - WORTHWHILE][:1]
        open_ones = [i for i in order if not self.settled[i] and self.value[i] < value + NEAR and i not in lower]
        return [(self.theta[i], int(self.evaluations[i])) for i in lower + open_ones[:MOST_OPEN]]

    @classmethod
    def of(cls, parts: list[Optima[Points]]) -> Ends:
        """Several calls as one."""
        return cls(
            np.concatenate([part.theta for part in parts]),
            np.concatenate([np.nan_to_num(part.points.value, nan=np.inf) for part in parts]),
            np.concatenate([part.settled for part in parts]),
            np.concatenate([part.evaluations for part in parts]),
        )


def spread_ends(objective: Objective) -> Ends | None:
    """Ends of searches from spread starts; None where one search is enough, or one costs too much to make many."""
    stacked = objective.at_many() if objective.plan.flops <= CHEAP_FLOPS and is_uneven(objective) else None
    if stacked is None:
        return None
    directions = sum(block.structure.n_variances for block in objective.blocks)
    correlated = any(block.structure.correlated and block.structure.size > 1 for block in objective.blocks)
    count = STARTS[min(directions, len(STARTS)) - 1] * (CORRELATED if correlated else 1)
    rng = np.random.default_rng(0)
    found = [_searched(stacked, np.vstack([*other_starts(objective), spread_starts(objective, count, rng)]))]
    while len(found) <= MORE_CALLS:
        ends = Ends.of(found)
        same = np.count_nonzero(ends.value <= ends.value.min() + SAME)
        if same == len(ends.value) or (len(found) > 1 and same >= ENOUGH):
            break
        found.append(_searched(stacked, spread_starts(objective, count, rng)))
    return Ends.of(found)


def _searched(stacked: StackedObjective, starts: Float) -> Optima[Points]:
    def points(theta: Float, which: Index) -> Points:
        return stacked.points(theta, np.zeros(len(which), dtype=np.intp))

    with np.errstate(all="ignore"):  # far away there is nothing, which the points say
        return search(points, stacked.chart, starts, ROUGH, near_zero=0.0, patience=PATIENCE, most_steps=MOST_STEPS)


def is_uneven(objective: Objective) -> bool:
    """Whether the criterion may have several minima: few rows, or levels or a response of which little says most."""
    if few_rows(objective):
        return True
    products, uneven = objective.products, False
    for block, L in zip(objective.blocks, objective.design.coordinates.term_maps, strict=True):
        diagonal = products.diagonal[block.factor][:, block.columns, block.columns]
        right = products.rhs[block.factor][:, block.columns, -1]
        for squares, along in (
            (np.einsum("qkk->qk", diagonal), right),
            (np.einsum("ki,qkl,li->qi", L, diagonal, L), right @ L),
        ):
            with np.errstate(divide="ignore", invalid="ignore"):
                levels = squares.sum(axis=0) ** 2 / (squares**2).sum(axis=0)
                between = np.where(squares > 0.0, along**2 / squares, 0.0)
                share = between.max(axis=0) / between.sum(axis=0)
            few = levels < EVEN_SHARE * len(squares)
            if (few & ((levels < EVEN_LEVELS) | (share > OUTLYING_LEVEL))).any():
                return True
            uneven |= bool(few.any())
    return uneven and objective.largest_square > OUTLYING_ROW


def spread_starts(objective: Objective, count: int, rng: np.random.Generator) -> Float:
    """Starts (count, n_theta): the standard deviations of all columns, or of other directions, small or large."""
    parts = []
    for block, L in zip(objective.blocks, objective.design.coordinates.term_maps, strict=True):
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


def _deviations(squares: Float, count: int, rng: np.random.Generator) -> Float:
    """Standard deviations over σ of k columns, (count, k), evenly spread over what their levels (q, k) tell apart."""
    k = squares.shape[1]
    known = np.where(squares > 1e-9 * squares.max(axis=0), squares, np.nan)
    low = np.log(SMALLEST_SPREAD) - np.log(np.nanmax(known, axis=0)) / 2
    high = np.log(LARGEST_SPREAD) - np.log(np.nanmin(known, axis=0)) / 2
    strata = np.column_stack([rng.permutation(count) for _ in range(k)])
    return np.exp(low + (high - low) * (strata + rng.random((count, k))) / count)
