"""The boundary of the parameter space: which variances are zero, and whether they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.protocols import Empty
from lmmsparse.objective.blocks import Block
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.points import Derivatives
from lmmsparse.objective.stacked import term_losses

Float = NDArray[np.float64]

# Standard deviations of working templates below this are tried at zero.
ZERO_CANDIDATE = 1e-3
# Where the deviance falls in the direction of an empty variance, the search goes on from this standard deviation.
FIRST_STEP = 0.1
# A term is tried without its variance when its quadratic model predicts a loss of less than this.
DOUBTFUL_LOSS = 5.0
# A derivative inwards is negative below this share of such derivatives of the term.
INWARDS = 1e-6


@dataclass(frozen=True)
class EmptyPart:
    """What a term lacks: a direction of its random effects without variance, or a parameter at its end."""

    term: int
    name: str
    empty: Empty

    @property
    def falls_inwards(self) -> bool:
        """Whether the criterion falls when it is given a variance."""
        return self.empty.score < -INWARDS * max(1.0, self.empty.scale)


def canonical(blocks: Sequence[Block], theta: Float) -> Float:
    """The θ that stands for all with the same covariance matrices."""
    return np.concatenate([block.structure.canonical(theta[block.parameters]) for block in blocks])


def emptied(blocks: Sequence[Block], theta: Float) -> Float:
    """Canonical θ with tiny standard deviations at exactly zero; unchanged when there are none."""
    return np.concatenate([block.structure.emptied(theta[block.parameters], ZERO_CANDIDATE) for block in blocks])


def empty_parts(objective: Objective, theta: Float, derivatives: Derivatives) -> list[EmptyPart]:
    """What every term lacks at a θ on the boundary, with the derivatives inwards."""
    found = []
    for t, (block, term) in enumerate(zip(objective.blocks, objective.terms, strict=True)):
        own = block.structure.empty(theta[block.parameters], derivatives.scores[t], term.names)
        found += [EmptyPart(t, f"{term.group}.{one.name}", one) for one in own]
    return found


def describe_empty(objective: Objective, parts: Sequence[EmptyPart]) -> str:
    """Which terms have no variance, or less than their columns allow."""
    out = []
    for t in sorted({part.term for part in parts}):
        term = objective.terms[t]
        own = [part.empty for part in parts if part.term == t]
        out.append(objective.blocks[t].structure.describe(own, term.group, term.names))
    return "; ".join(out)


def leave_boundary(objective: Objective, theta: Float, outward: Sequence[EmptyPart]) -> Float:
    """A start off the boundary in the directions in which the deviance falls."""
    out = theta.copy()
    for t in {part.term for part in outward}:
        block = objective.blocks[t]
        moves = [part.empty for part in outward if part.term == t]
        out[block.parameters] = block.structure.off_boundary(theta[block.parameters], moves, FIRST_STEP)
    return out


def without_doubtful_terms(objective: Objective, theta: Float, derivatives: Derivatives) -> list[Float]:
    """θ without terms that the data hardly ask for: each such term alone, and all of them together.

    A profiled deviance can have a second minimum at a variance of zero; where the average information says that
    leaving a term out costs little, that is worth one more evaluation.
    """
    losses = term_losses(objective.blocks, theta, derivatives.covariance_information)
    pairs = zip(objective.blocks, losses, strict=True)
    doubtful = [block.parameters for block, loss in pairs if 0.0 < loss < DOUBTFUL_LOSS]
    candidates = [[part] for part in doubtful] + ([doubtful] if len(doubtful) > 1 else [])
    out = []
    for parts in candidates:
        without = theta.copy()
        for part in parts:
            without[part] = 0.0
        out.append(without)
    return out
