"""Quantities of single observations that need blocks of the inverse of M(θ)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmmsparse.blockwise import inverse_blocks
from lmmsparse.coordinates import WorkingDesign
from lmmsparse.frame import Codes
from lmmsparse.linalg import solve_lower
from lmmsparse.pls.factor import SelectedInverse
from lmmsparse.pls.plan import Plan
from lmmsparse.profiled import WorkingObjective
from lmmsparse.solution import Solution

Float = NDArray[np.float64]


def leverages(objective: WorkingObjective, design: WorkingDesign, solution: Solution) -> Float:
    """Diagonal of the matrix that maps y to the fitted values, (n,).

    With z̃ = Λᵀz and x̃ = x − U_Xᵀz̃ for the rows z, x of Z and X:

        h = w [ z̃ᵀ M⁻¹ z̃ + x̃ᵀ (XᵀV⁻¹X)⁻¹ x̃ ]

    Only blocks of M⁻¹ for levels that occur together are used; Z is never formed.
    """
    inverse, U = inverse_blocks(solution, couplings=True)
    scaled = [
        block.columns @ solution.templates[g] for g, block in enumerate(design.blocks)
    ]  # rows of ZΛ, K_g numbers each
    total = np.zeros(len(design.X))
    for g, block in enumerate(design.blocks):
        total += np.einsum("ia,iab,ib->i", scaled[g], inverse.diagonal[g][block.codes], scaled[g], optimize=True)
        for h in range(g + 1, len(design.blocks)):
            cross = inverse_pairs(objective.plan, inverse, (g, h), (block.codes, design.blocks[h].codes))
            total += 2.0 * np.einsum("ia,iab,ib->i", scaled[g], cross, scaled[h], optimize=True)
    if objective.products.p:
        residual = design.X.copy()
        for g, block in enumerate(design.blocks):
            residual -= np.einsum("ia,iap->ip", scaled[g], U[g][block.codes], optimize=True)
        half = solve_lower(solution.fixed_factor, residual.T)
        total += (half**2).sum(axis=0)
    return total if design.weights is None else total * design.weights


def inverse_pairs(
    plan: Plan,
    inverse: SelectedInverse,
    factors: tuple[int, int],
    codes: tuple[Codes, Codes],
) -> Float:
    """Blocks of M⁻¹ between levels of two grouping factors that occur together, (n, K_g, K_h)."""
    g, h = factors
    positions = {part.block: i for i, part in enumerate(plan.peeled)}
    # the factor eliminated first holds the coupling
    if g not in positions or (h in positions and positions[h] < positions[g]):
        if h in positions:
            return inverse_pairs(plan, inverse, (h, g), (codes[1], codes[0])).transpose(0, 2, 1)
    K_g, K_h = plan.shapes[g][1], plan.shapes[h][1]
    if g in positions and h in positions:
        return inverse.parents[positions[g]][positions[h]][codes[0]].transpose(0, 2, 1)
    first_h = plan.core.first_row[h][codes[1]]
    if g in positions:
        part, entries = plan.peeled[positions[g]], inverse.entries[positions[g]]
        assert entries is not None
        keys = np.repeat(np.arange(part.n_levels), np.diff(part.indptr)) * plan.core.size + part.rows
        where = np.searchsorted(keys, codes[0].astype(np.int64) * plan.core.size + first_h)
        return entries[where[:, None] + np.arange(K_h)].transpose(0, 2, 1)
    first_g = plan.core.first_row[g][codes[0]]
    rows = np.broadcast_to((first_g[:, None] + np.arange(K_g))[:, :, None], (len(first_g), K_g, K_h))
    columns = np.broadcast_to((first_h[:, None] + np.arange(K_h))[:, None, :], rows.shape)
    assert inverse.core is not None
    return inverse.core.at(rows.ravel(), columns.ravel()).reshape(rows.shape)


def conditional_covariances(objective: WorkingObjective, solution: Solution) -> tuple[Float, ...]:
    """Diagonal blocks of M⁻¹ of every factor, (q, K, K): the conditional covariance of u over σ², given β and θ."""
    return solution.factor.selected_inverse().diagonal
