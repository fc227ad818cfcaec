"""The boundary of the parameter space: which variances are zero, and whether they should be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.structure import CovarianceStructure, canonical_template
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.points import Derivatives

Float = NDArray[np.float64]

# Singular values of a working template below this are tried at zero.
ZERO_CANDIDATE = 1e-3
# Where the deviance falls in the direction of an empty variance, the search goes on from this standard deviation.
FIRST_STEP = 0.1
# A term is tried without its variance when its quadratic model predicts a loss of less than this.
DOUBTFUL_LOSS = 5.0


def canonical(structures: list[CovarianceStructure], theta: Float) -> Float:
    """θ of the templates with the same λλᵀ and non-negative diagonals."""
    parts, offset = [], 0
    for structure in structures:
        template = structure.template(theta[offset : offset + structure.n_theta])
        template = canonical_template(template) if structure.rotates else np.abs(template)
        parts.append(structure.theta(template))
        offset += structure.n_theta
    return np.concatenate(parts)


def emptied(structures: list[CovarianceStructure], theta: Float) -> Float:
    """Canonical θ with tiny standard deviations at exactly zero; unchanged when there are none."""
    parts, offset = [], 0
    for structure in structures:
        template = structure.template(theta[offset : offset + structure.n_theta])
        parts.append(structure.theta(structure.without_small(template, ZERO_CANDIDATE)))
        offset += structure.n_theta
    return np.concatenate(parts)


@dataclass(frozen=True)
class EmptyDirection:
    """A direction of a term's random effects without variance, and the score of the variance there."""

    name: str
    term: int
    vector: Float
    score: float
    scale: float


def empty_directions(objective: Objective, theta: Float, slopes: Derivatives) -> list[EmptyDirection]:
    """Empty directions of every template and the scores of their variances."""
    found, working = [], objective.working
    for t, (structure, part) in enumerate(zip(working.structures, working.slices, strict=True)):
        template = structure.template(theta[part])
        term, score = objective.terms[t], slopes.scores[t]
        if structure.rotates:
            left, singular_values, _ = np.linalg.svd(template)
            empty = left[:, singular_values <= 1e-12 * max(1.0, singular_values[0])]
            if empty.shape[1] == 0:
                continue
            values, vectors = np.linalg.eigh(empty.T @ score @ empty)
            names = [term.names[0]] if structure.size == 1 else [f"direction {i + 1}" for i in range(len(values))]
            directions = zip(names, values, (empty @ vectors).T, strict=True)
        else:
            zero = np.flatnonzero(np.diag(template) == 0.0)
            directions = zip(
                [term.names[i] for i in zero], np.diag(score)[zero], np.eye(structure.size)[zero], strict=True
            )
        scale = float(np.abs(np.diag(score)).max())
        found += [EmptyDirection(f"{term.group}.{name}", t, v, float(value), scale) for name, value, v in directions]
    return found


def describe_empty(objective: Objective, directions: list[EmptyDirection]) -> str:
    """Which terms have no variance, or less than their columns allow."""
    parts = []
    for t in sorted({d.term for d in directions}):
        term = objective.terms[t]
        empty = [d for d in directions if d.term == t]
        if len(empty) == len(term.names):
            parts.append(f"no variance of {', '.join(term.names)} in {term.group}")
        elif term.structure.rotates:
            rank = len(term.names) - len(empty)
            parts.append(
                f"the covariance matrix of {', '.join(term.names)} in {term.group} has rank {rank} of {len(term.names)}"
            )
        else:
            parts.append(f"no variance of {', '.join(d.name for d in empty)}")
    return "; ".join(parts)


def leave_boundary(objective: Objective, theta: Float, outward: list[EmptyDirection]) -> Float:
    """A start off the boundary in the directions in which the deviance falls."""
    out, working = theta.copy(), objective.working
    for t in {d.term for d in outward}:
        structure, part = working.structures[t], working.slices[t]
        template = structure.template(theta[part])
        if structure.rotates:
            steps = [FIRST_STEP * d.vector[:, None] for d in outward if d.term == t]
            wide = np.hstack([template, *steps])
            template = canonical_template(np.asarray(np.linalg.qr(wide.T, mode="r")).T)
        else:
            template = template + sum(FIRST_STEP * np.diag(d.vector) for d in outward if d.term == t)
        out[part] = structure.theta(template)
    return out


def doubtful_terms(objective: Objective, theta: Float, slopes: Derivatives) -> list[Float]:
    """θ without terms that the data hardly ask for: each such term alone, and all of them together.

    A profiled deviance can have a second minimum at a variance of zero; where the average information says that
    leaving a term out costs little, that is worth one more evaluation.
    """
    working = objective.working
    doubtful = []
    for structure, part in zip(working.structures, working.slices, strict=True):
        template = structure.template(theta[part])
        covariance = (template @ template.T)[structure.entries]
        loss = 0.5 * covariance @ slopes.covariance_information[part, part] @ covariance
        if 0.0 < loss < DOUBTFUL_LOSS:
            doubtful.append(part)
    candidates = [[part] for part in doubtful] + ([doubtful] if len(doubtful) > 1 else [])
    out = []
    for parts in candidates:
        without = theta.copy()
        for part in parts:
            without[part] = 0.0
        out.append(without)
    return out
