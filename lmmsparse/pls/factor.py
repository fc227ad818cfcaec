"""Numeric factorization of M(θ) = ΛᵀZᵀWZΛ + I = LLᵀ: solves and selected inverse for one θ.

Vectors of random effects are lists with one (q_g, K_g, m) array a factor, in the order of the cross-products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import FactorizationError
from lmmsparse.kernels import leaves as kernels
from lmmsparse.kernels import vectors
from lmmsparse.pls.core.dense import DenseFactor, DenseInverse
from lmmsparse.pls.core.sparse import SparseFactor, SparseInverse
from lmmsparse.pls.couplings import Couplings
from lmmsparse.pls.plan import PeeledBlock, Plan
from lmmsparse.pls.values import Values, core_values, scaled_entries, transformed

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
    couplings : Couplings
        L on the couplings to the core.
    w_parents : dict
        L on the couplings to factors peeled later: parent position → (q, K_parent, K).
    """

    l: Float
    l_inverse: Float
    couplings: Couplings
    w_parents: dict[int, Float]


@dataclass(frozen=True)
class SelectedInverse:
    """Blocks of C = M⁻¹.

    Attributes
    ----------
    diagonal : tuple of (q_g, K_g, K_g) arrays
        C_ℓℓ for every factor.
    entries : tuple of (m, K) arrays or None
        C on the couplings of every peeled factor to the core; None where nobody asked.
    parents : tuple of dicts
        C on its couplings to factors peeled later: parent position → (q, K_parent, K).
    core : DenseInverse, SparseInverse or None
    """

    diagonal: tuple[Float, ...]
    entries: tuple[Float | None, ...]
    parents: tuple[dict[int, Float], ...]
    core: DenseInverse | SparseInverse | None


def core_rows(plan: Plan, parts: list[Float]) -> Float:
    """Parts of a vector that belong to the core, as (core rows, m)."""
    core = np.zeros((plan.core.size, parts[0].shape[2]))
    for h in plan.core.blocks:
        core[plan.core.rows(h, parts[h].shape[1])] = parts[h].reshape(-1, core.shape[1])
    return core


def split_core(plan: Plan, core: Float, parts: list[Float]) -> None:
    """Write (core rows, m) back into a list of parts, in place."""
    for h in plan.core.blocks:
        parts[h] = core[plan.core.rows(h, parts[h].shape[1])].reshape(parts[h].shape)


def blocks_times(blocks: Float, x: Float, transposed: bool = False) -> Float:
    """B x for every block, or Bᵀ x: (q, K, m)."""
    out = np.empty_like(x)
    vectors.blocks_times(blocks, x, transposed, out)
    return out


def multiply(plan: Plan, values: Values, c: list[Float]) -> list[Float]:
    """ZᵀWZ c for a vector c of random effects."""
    c = [np.ascontiguousarray(part) for part in c]
    out = [blocks_times(block, part) for block, part in zip(values.diagonal, c, strict=True)]
    for (g, h), link in plan.core.links.items():
        vectors.add_pairs(link.first, link.second, values.core_pairs[g, h], c[h], 1.0, out[g])
        vectors.add_pairs_transposed(link.first, link.second, values.core_pairs[g, h], c[g], 1.0, out[h])
    core_in, core_out = core_rows(plan, c), np.zeros((plan.core.size, c[0].shape[2]))
    for i, part in enumerate(plan.peeled):
        g, every = part.block, np.arange(part.n_levels, dtype=np.int32)
        for j, parent in part.parents.items():
            h, block = plan.peeled[j].block, values.parents[i][j]
            vectors.add_pairs_transposed(parent, every, block, c[h], 1.0, out[g])
            vectors.add_pairs(parent, every, block, c[g], 1.0, out[h])
        vectors.add_from_core(part.indptr, part.rows, values.entries[i], core_in, 1.0, out[g])
        vectors.add_to_core(part.indptr, part.rows, values.entries[i], c[g], 1.0, core_out)
    for h in plan.core.blocks:
        out[h] += core_out[plan.core.rows(h, out[h].shape[1])].reshape(out[h].shape)
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

    Attributes
    ----------
    lost : (float, float)
        `Losses.pivots` and `Losses.pivot`.
    """

    def __init__(self, plan: Plan, values: Values, templates: list[Float]) -> None:
        self.plan = plan
        lam = {part.block: templates[part.block] for part in plan.peeled}
        diagonal = {g: transformed(lam[g], values.diagonal[g], lam[g], 1.0) for g in lam}
        # elimination overwrites the diagonal of M that its pivots come from
        before = {g: np.diagonal(blocks, axis1=1, axis2=2).copy() for g, blocks in diagonal.items()}
        entries = [scaled_entries(plan, part, values.entries[i], templates) for i, part in enumerate(plan.peeled)]
        parents = [
            {
                j: transformed(lam[plan.peeled[j].block], block, lam[part.block])
                for j, block in values.parents[i].items()
            }
            for i, part in enumerate(plan.peeled)
        ]
        factors: list[LeafFactor] = []
        for i, part in enumerate(plan.peeled):
            factors.append(_eliminated(part, diagonal[part.block], entries[i], parents[i]))
            _update_parents(plan, part, factors[-1], diagonal, entries, parents)
        self.leaves = tuple(factors)
        self.core: DenseFactor | SparseFactor | None = None
        if plan.core.matrix is not None:
            couplings = [factor.couplings for factor in factors]
            self.core = plan.core.matrix.factorize(core_values(plan, values, templates), plan.core.places, couplings)
        for h in plan.core.blocks:
            before[h] = np.diagonal(transformed(templates[h], values.diagonal[h], templates[h], 1.0), axis1=1, axis2=2)
        self.lost = self._check_pivots(before)

    def _check_pivots(self, before: dict[int, Float]) -> tuple[float, float]:
        """Refuse a factor whose pivots are what rounding has left of much larger diagonal entries of M.

        Otherwise say how much larger these were: the sum of d/l² − 1, and the largest d/l².

        ``before`` holds these entries, (q, K) for every factor.  M − I is positive semidefinite, so that in exact
        arithmetic no pivot is below 1 either.
        """
        pivots = [
            (p.block, np.diagonal(f.l, axis1=1, axis2=2)) for p, f in zip(self.plan.peeled, self.leaves, strict=True)
        ]
        if self.core is not None:
            of_core = self.core.pivots
            for h in self.plan.core.blocks:
                pivots.append((h, of_core[self.plan.core.rows(h, before[h].shape[1])].reshape(before[h].shape)))
        total, largest = 0.0, 1.0
        for block, l in pivots:
            square = l**2
            if not (square > np.maximum(SMALLEST_PIVOT, SMALLEST_REMAINDER * before[block])).all():
                raise FactorizationError(TOO_LARGE)
            shares = before[block] / square
            total, largest = total + float(shares.sum()) - shares.size, max(largest, float(shares.max(initial=1.0)))
        return total, largest

    @property
    def logdet(self) -> float:
        """log|M|."""
        total = 0.0 if self.core is None else self.core.logdet
        for factor in self.leaves:
            total += 2.0 * float(np.log(np.diagonal(factor.l, axis1=1, axis2=2)).sum())
        return total

    def forward(self, right: list[Float]) -> list[Float]:
        """L⁻¹ right."""
        plan, out = self.plan, [np.ascontiguousarray(part) for part in right]
        core = core_rows(plan, out)
        for part in plan.peeled:
            if part.is_parent:
                out[part.block] = out[part.block].copy()
        for part, factor in zip(plan.peeled, self.leaves, strict=True):
            g, every = part.block, np.arange(part.n_levels, dtype=np.int32)
            out[g] = blocks_times(factor.l_inverse, out[g])
            for j, parent in part.parents.items():
                vectors.add_pairs(parent, every, factor.w_parents[j], out[g], -1.0, out[plan.peeled[j].block])
            vectors.add_to_core(part.indptr, part.rows, factor.couplings.w, out[g], -1.0, core)
        if self.core is not None:
            split_core(plan, self.core.forward(core), out)
        return out

    def backward(self, right: list[Float]) -> list[Float]:
        """L⁻ᵀ right."""
        plan, out = self.plan, list(right)
        core = core_rows(plan, out)
        if self.core is not None:
            core = np.ascontiguousarray(self.core.backward(core))
            split_core(plan, core, out)
        for part, factor in reversed(list(zip(plan.peeled, self.leaves, strict=True))):
            g, every = part.block, np.arange(part.n_levels, dtype=np.int32)
            x = np.array(out[g], order="C")
            for j, parent in part.parents.items():
                vectors.add_pairs_transposed(parent, every, factor.w_parents[j], out[plan.peeled[j].block], -1.0, x)
            vectors.add_from_core(part.indptr, part.rows, factor.couplings.w, core, -1.0, x)
            out[g] = blocks_times(factor.l_inverse, x, transposed=True)
        return out

    def selected_inverse(self, couplings: bool = False) -> SelectedInverse:
        """C = M⁻¹ on its diagonal blocks and on the couplings between peeled factors.

        Parameters
        ----------
        couplings : bool
            Also on the couplings of every peeled factor to the core.
        """
        plan = self.plan
        core = None if self.core is None else self.core.inverse()
        diagonal = self._core_diagonal(core)
        entries: list[Float | None] = [None for _ in plan.peeled]
        parents: list[dict[int, Float]] = [{} for _ in plan.peeled]
        for i in range(len(plan.peeled) - 1, -1, -1):
            part, factor = plan.peeled[i], self.leaves[i]
            q, K, w = part.n_levels, part.size, factor.couplings
            wCw = np.zeros((q, K, K))
            on_core = {j: entry for j in part.parents if (entry := entries[j]) is not None}
            if core is not None and not (couplings or part.is_parent or part.parents):
                wCw = core.quadratic(w)
            elif core is not None:
                Cw = core.times(w)
                for j, inverse in on_core.items():
                    kernels.add_from_parent(part.indptr, part.targets[j], inverse, factor.w_parents[j], Cw)
                kernels.add_entry_products(part.indptr, w.w, Cw, wCw)
                entries[i] = _times_blocks(Cw, part.indptr, factor.l_inverse)
            for j, parent in part.parents.items():
                w_parent = factor.w_parents[j]
                Cw_parent = diagonal[plan.peeled[j].block][parent] @ w_parent
                if j in on_core:
                    kernels.add_from_entries(part.indptr, part.targets[j], on_core[j], w.w, Cw_parent)
                for k, other in part.parents.items():
                    if k > j:
                        Cw_parent += parents[j][k][parent].transpose(0, 2, 1) @ factor.w_parents[k]
                    elif k < j:
                        Cw_parent += parents[k][j][other] @ factor.w_parents[k]
                wCw += w_parent.transpose(0, 2, 1) @ Cw_parent
                by_entry = Cw_parent.reshape(-1, K)
                on_parent = _times_blocks(by_entry, part.parent_indptr(w_parent.shape[1]), factor.l_inverse)
                parents[i][j] = on_parent.reshape(w_parent.shape)
            diagonal[part.block] = np.empty_like(wCw)
            kernels.inverse_blocks(factor.l_inverse, wCw, diagonal[part.block])
        ordered = tuple(diagonal[g] for g in range(len(diagonal)))
        return SelectedInverse(ordered, tuple(entries), tuple(parents), core)

    def _core_diagonal(self, core: DenseInverse | SparseInverse | None) -> dict[int, Float]:
        """Diagonal blocks of the core's inverse by factor."""
        diagonal: dict[int, Float] = {}
        if core is None:
            return diagonal
        for h in self.plan.core.blocks:
            q, K = self.plan.shapes[h]
            rows = np.broadcast_to(self.plan.core.rows(h, K).reshape(q, K, 1), (q, K, K))
            diagonal[h] = core.at(rows.ravel(), rows.transpose(0, 2, 1).ravel()).reshape(q, K, K)
        return diagonal


def _eliminated(part: PeeledBlock, diagonal: Float, entries: Float, parents: dict[int, Float]) -> LeafFactor:
    """Numbers of one peeled factor from its part of M, what was peeled before having been subtracted."""
    l, l_inverse = np.empty_like(diagonal), np.empty_like(diagonal)
    if kernels.factor_blocks(diagonal, l, l_inverse) >= 0:
        raise FactorizationError(TOO_LARGE)
    w = np.empty_like(entries)
    kernels.multiply_rows(entries, part.indptr, l_inverse, True, 1.0, w)
    w_parents = {}
    for j, block in parents.items():
        w_parents[j] = np.empty_like(block)
        by_entry, out = block.reshape(-1, part.size), w_parents[j].reshape(-1, part.size)
        kernels.multiply_rows(by_entry, part.parent_indptr(block.shape[1]), l_inverse, True, 1.0, out)
    return LeafFactor(l, l_inverse, Couplings(part.indptr, part.rows, w), w_parents)


def _update_parents(
    plan: Plan,
    part: PeeledBlock,
    factor: LeafFactor,
    diagonal: dict[int, Float],
    entries: list[Float],
    parents: list[dict[int, Float]],
) -> None:
    """Subtract the products of a peeled factor from the factors peeled later, in place."""
    for j, parent in part.parents.items():
        w, other = factor.w_parents[j], plan.peeled[j]
        kernels.subtract_parent_products(parent, w, w, diagonal[other.block])
        kernels.subtract_parent_entries(part.indptr, part.targets[j], factor.couplings.w, w, entries[j])
        for k in other.parents:
            kernels.subtract_parent_products(parent, factor.w_parents[k], w, parents[j][k])


def _times_blocks(Cw: Float, indptr: NDArray[np.int64], l_inverse: Float) -> Float:
    """C_{r,ℓ} = −(C w) l⁻¹ on the entries of every leaf."""
    out = np.empty_like(Cw)
    kernels.multiply_rows(Cw, indptr, l_inverse, False, -1.0, out)
    return out
