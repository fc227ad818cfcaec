"""Numeric factorization of M(θ) = ΛᵀZᵀWZΛ + I = LLᵀ: solves and selected inverse for one θ.

Vectors of random effects are lists with one (q_g, K_g, m) array a factor, in the order of the cross-products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from lmmsparse.errors import FactorizationError
from lmmsparse.pls import leaves
from lmmsparse.pls.cores import DenseFactor, DenseInverse, SparseFactor, SparseInverse
from lmmsparse.pls.plan import PeeledBlock, Plan, Values, core_values, scaled_entries

Float = NDArray[np.float64]

# Squared pivots of the Cholesky factor: exact arithmetic gives at least 1 ...
SMALLEST_PIVOT = 0.99
# ... and a smaller share than this of the diagonal entry of M is rounding.
SMALLEST_REMAINDER = 1e-12
TOO_LARGE = "theta is too large: rounding leaves M(theta) singular"


@dataclass(frozen=True)
class LeafFactor:
    """Numbers of one peeled factor.

    Attributes
    ----------
    l, l_inverse : (q, K, K) arrays
    w_entries : (m, K) array
        L on the couplings to the core.
    w : csc_array or None
        The same as a matrix (core rows, K q).
    w_parents : dict
        L on the couplings to factors peeled later: parent position → (q, K_parent, K).
    """

    l: Float
    l_inverse: Float
    w_entries: Float
    w: csc_array | None
    w_parents: dict[int, Float]


@dataclass(frozen=True)
class SelectedInverse:
    """Blocks of C = M⁻¹.

    Attributes
    ----------
    diagonal : tuple of (q_g, K_g, K_g) arrays
        C_ℓℓ for every factor.
    entries : tuple of (m, K) arrays
        C on the couplings of every peeled factor to the core.
    parents : tuple of dicts
        C on its couplings to factors peeled later: parent position → (q, K_parent, K).
    core : DenseInverse, SparseInverse or None
    """

    diagonal: tuple[Float, ...]
    entries: tuple[Float, ...]
    parents: tuple[dict[int, Float], ...]
    core: DenseInverse | SparseInverse | None


def stack(part: PeeledBlock, vector: Float) -> Float:
    """(q, K, m) → (K q, m) in the column order of `PeeledBlock.matrix`."""
    return vector.transpose(1, 0, 2).reshape(part.size * part.n_levels, -1)


def unstack(part: PeeledBlock, matrix: Float) -> Float:
    """Inverse of `stack`."""
    return matrix.reshape(part.size, part.n_levels, -1).transpose(1, 0, 2)


def core_rows(plan: Plan, vectors: list[Float]) -> Float:
    """Parts of a vector that belong to the core, as (core rows, m)."""
    m = vectors[0].shape[2]
    parts = [vectors[h].reshape(-1, m) for h in plan.core.blocks]
    return np.concatenate(parts) if parts else np.zeros((0, m))


def split_core(plan: Plan, matrix: Float, vectors: list[Float]) -> None:
    """Write (core rows, m) back into a list of vectors, in place."""
    for h in plan.core.blocks:
        shape = vectors[h].shape
        start = plan.core.offsets[h]
        vectors[h] = matrix[start : start + shape[0] * shape[1]].reshape(shape)


def multiply(plan: Plan, values: Values, vectors: list[Float]) -> list[Float]:
    """ZᵀWZ c for a vector c of random effects."""
    out = [block @ c for block, c in zip(values.diagonal, vectors, strict=True)]
    m = vectors[0].shape[2]
    core_in, core_out = core_rows(plan, vectors), np.zeros((plan.core.size, m))
    for (g, h), link in values.core_pairs.items():
        out[g] = out[g] + leaves.sum_by(link.first, link.values @ vectors[h][link.second], len(out[g]))
        transposed = link.values.transpose(0, 2, 1) @ vectors[g][link.first]
        out[h] = out[h] + leaves.sum_by(link.second, transposed, len(out[h]))
    for i, part in enumerate(plan.peeled):
        g = part.block
        for j, parent in part.parents.items():
            h, link_values = plan.peeled[j].block, values.parents[i][j]
            out[g] = out[g] + link_values.transpose(0, 2, 1) @ vectors[h][parent]
            out[h] = out[h] + leaves.sum_by(parent, link_values @ vectors[g], len(out[h]))
        if plan.core.size:
            matrix = part.matrix(values.entries[i], plan.core.size)
            out[g] = out[g] + unstack(part, matrix.T @ core_in)
            core_out += matrix @ stack(part, vectors[g])
    if plan.core.size:
        from_core = list(out)
        split_core(plan, core_out, from_core)
        for h in plan.core.blocks:
            out[h] = out[h] + from_core[h]
    return out


class Factor:
    """Cholesky factorization of M for one θ.

    Parameters
    ----------
    plan : Plan
    values : Values
        Blocks of ZᵀWZ in the plan's layout.
    templates : list of (K, K) arrays
        λ of every grouping factor (block diagonal over its terms).
    """

    def __init__(self, plan: Plan, values: Values, templates: list[Float]) -> None:
        self.plan = plan
        diagonal = {p.block: leaves.scale_diagonal(values.diagonal[p.block], templates[p.block]) for p in plan.peeled}
        entries = [
            scaled_entries(part, values.entries[i], templates) if plan.core.size else values.entries[i]
            for i, part in enumerate(plan.peeled)
        ]
        parents = [
            {
                j: templates[plan.peeled[j].block].T @ block @ templates[part.block]
                for j, block in values.parents[i].items()
            }
            for i, part in enumerate(plan.peeled)
        ]
        factors = []
        for i, part in enumerate(plan.peeled):
            try:
                l, l_inverse = leaves.factor_leaves(diagonal[part.block])
            except np.linalg.LinAlgError as error:
                raise FactorizationError(TOO_LARGE) from error
            w_entries = leaves.scale_entries(entries[i], part.leaf, l_inverse)
            w_parents = {j: leaves.scale_parents(block, l_inverse) for j, block in parents[i].items()}
            for j, parent in part.parents.items():
                other = plan.peeled[j]
                diagonal[other.block] -= leaves.parent_diagonal_update(parent, w_parents[j], other.n_levels)
                entries[j] -= leaves.parent_entry_update(
                    part.targets[j], part.leaf, w_entries, w_parents[j], len(other.leaf)
                )
                for k in other.parents:
                    parents[j][k] -= leaves.parent_pair_update(parent, w_parents[j], w_parents[k], other.n_levels)
            w = part.matrix(w_entries, plan.core.size) if plan.core.size else None
            factors.append(LeafFactor(l, l_inverse, w_entries, w, w_parents))
        self.leaves = tuple(factors)
        self.core: DenseFactor | SparseFactor | None = None
        if plan.core.matrix is not None:
            updates = [f.w for f in factors if f.w is not None]
            self.core = plan.core.matrix.factorize(core_values(plan, values, templates), updates)
        self._check_pivots(values, templates)

    def _check_pivots(self, values: Values, templates: list[Float]) -> None:
        """Refuse a factor whose pivots are what rounding has left of much larger diagonal entries of M.

        M − I is positive semidefinite, so that in exact arithmetic no pivot is below 1 either.
        """
        pivots = [
            (p.block, np.diagonal(f.l, axis1=1, axis2=2)) for p, f in zip(self.plan.peeled, self.leaves, strict=True)
        ]
        if self.core is not None:
            of_core = self.core.pivots
            for h in self.plan.core.blocks:
                q, K = self.plan.shapes[h]
                start = self.plan.core.offsets[h]
                pivots.append((h, of_core[start : start + q * K].reshape(q, K)))
        for block, l in pivots:
            lam = templates[block]
            before = np.einsum("ab,qac,cb->qb", lam, values.diagonal[block], lam) + 1.0
            square = l**2
            if not (square > np.maximum(SMALLEST_PIVOT, SMALLEST_REMAINDER * before)).all():
                raise FactorizationError(TOO_LARGE)

    @property
    def logdet(self) -> float:
        """log|M|."""
        total = 0.0 if self.core is None else self.core.logdet
        for factor in self.leaves:
            total += 2.0 * float(np.log(np.diagonal(factor.l, axis1=1, axis2=2)).sum())
        return total

    def forward(self, right: list[Float]) -> list[Float]:
        """L⁻¹ right."""
        plan, out = self.plan, list(right)
        core = core_rows(plan, out)
        for part, factor in zip(plan.peeled, self.leaves, strict=True):
            g = part.block
            out[g] = factor.l_inverse @ out[g]
            for j, parent in part.parents.items():
                h = plan.peeled[j].block
                out[h] = out[h] - leaves.sum_by(parent, factor.w_parents[j] @ out[g], len(out[h]))
            if factor.w is not None:
                core = core - factor.w @ stack(part, out[g])
        if self.core is not None:
            split_core(plan, self.core.forward(core), out)
        return out

    def backward(self, right: list[Float]) -> list[Float]:
        """L⁻ᵀ right."""
        plan, out = self.plan, list(right)
        core = core_rows(plan, out)
        if self.core is not None:
            core = self.core.backward(core)
            split_core(plan, core, out)
        for part, factor in reversed(list(zip(plan.peeled, self.leaves, strict=True))):
            g = part.block
            for j, parent in part.parents.items():
                h = plan.peeled[j].block
                out[g] = out[g] - factor.w_parents[j].transpose(0, 2, 1) @ out[h][parent]
            if factor.w is not None:
                out[g] = out[g] - unstack(part, factor.w.T @ core)
            out[g] = factor.l_inverse.transpose(0, 2, 1) @ out[g]
        return out

    def selected_inverse(self) -> SelectedInverse:
        """C = M⁻¹ on its diagonal blocks and on the pattern of the couplings."""
        plan = self.plan
        core = None if self.core is None else self.core.inverse()
        diagonal = self._core_diagonal(core)
        entries: list[Float] = [np.zeros((0, part.size)) for part in plan.peeled]
        parents: list[dict[int, Float]] = [{} for _ in plan.peeled]
        for i in range(len(plan.peeled) - 1, -1, -1):
            part, factor = plan.peeled[i], self.leaves[i]
            q, K = part.n_levels, part.size
            wCw = np.zeros((q, K, K))
            if core is not None and factor.w is not None:
                # C w on the entries: through the core, then through the parents
                Cw = core.times(factor.w).reshape(K, -1).T
                for j in part.parents:
                    Cw = Cw + leaves.gather_parent(part.targets[j], part.leaf, entries[j], factor.w_parents[j])
                wCw += leaves.entry_products(part.leaf, factor.w_entries, Cw, q)
                entries[i] = leaves.inverse_entries(Cw, part.leaf, factor.l_inverse)
            for j, parent in part.parents.items():
                w_parent = factor.w_parents[j]
                Cw_parent = diagonal[plan.peeled[j].block][parent] @ w_parent
                if len(part.leaf):
                    Cw_parent = Cw_parent + leaves.gather_entries(
                        part.targets[j], part.leaf, entries[j], factor.w_entries, q
                    )
                for k, other in part.parents.items():
                    if k > j:
                        Cw_parent = Cw_parent + parents[j][k][parent].transpose(0, 2, 1) @ factor.w_parents[k]
                    elif k < j:
                        Cw_parent = Cw_parent + parents[k][j][other] @ factor.w_parents[k]
                wCw += w_parent.transpose(0, 2, 1) @ Cw_parent
                parents[i][j] = -Cw_parent @ factor.l_inverse
            diagonal[part.block] = leaves.inverse_diagonal(factor.l_inverse, wCw)
        ordered = tuple(diagonal[g] for g in range(len(diagonal)))
        return SelectedInverse(ordered, tuple(entries), tuple(parents), core)

    def _core_diagonal(self, core: DenseInverse | SparseInverse | None) -> dict[int, Float]:
        """Diagonal blocks of the core's inverse by factor."""
        diagonal: dict[int, Float] = {}
        if core is None:
            return diagonal
        shapes = self.plan.shapes
        for h in self.plan.core.blocks:
            q, K = shapes[h]
            first = self.plan.core.offsets[h] + K * np.arange(q)
            rows = np.broadcast_to(first[:, None, None] + np.arange(K)[:, None], (q, K, K))
            diagonal[h] = core.at(rows.ravel(), rows.transpose(0, 2, 1).ravel()).reshape(q, K, K)
        return diagonal
