"""The symbolic plan: which factors are peeled, in which order, and what the core looks like.

Made once from the pattern of the cross-products; every factorization then only writes numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from lmmsparse.crossproducts import Coupling, CrossProducts
from lmmsparse.pls.cores import DenseCore, SparseCore, choose_core

Float = NDArray[np.float64]
Index = NDArray[np.int32]


@dataclass(frozen=True)
class PeeledBlock:
    """One peeled factor: where its levels couple to what is eliminated after them.

    Attributes
    ----------
    block : int
        Position of the factor in the cross-products.
    n_levels, size : int
        q and K.
    parents : dict
        Position in `Plan.peeled` of a factor peeled later → (q,) level of it that each leaf is coupled to.
    leaf, rows : (m,) arrays
        Entries: couplings to the core, sorted by leaf and row; leaf and core row of each.
    indptr : (q + 1,) array
        First entry of each leaf.
    segments : dict
        Core factor h → (pairs,) first entry of each coupled level; its K_h rows are adjacent entries.
    targets : dict
        Position of a later peeled factor → (m,) entry of the parent at the same core row.
    """

    block: int
    n_levels: int
    size: int
    parents: dict[int, Index]
    indptr: Index
    leaf: Index
    rows: Index
    segments: dict[int, Index]
    targets: dict[int, Index]

    def matrix(self, values: Float, n_rows: int) -> csc_array:
        """Entries (m, K) as a sparse matrix (core rows, K q): column a q + ℓ holds column a of leaf ℓ."""
        if self.size == 1:
            return csc_array((values[:, 0], self.rows, self.indptr), shape=(n_rows, self.n_levels))
        m = len(self.rows)
        starts = np.concatenate([self.indptr[:-1] + a * m for a in range(self.size)] + [[self.size * m]])
        indices = np.tile(self.rows, self.size)
        data = np.ascontiguousarray(values.T).ravel()
        return csc_array((data, indices, starts.astype(np.int64)), shape=(n_rows, self.n_levels * self.size))


@dataclass(frozen=True)
class Core:
    """The factors that are left when no more can be peeled.

    Attributes
    ----------
    blocks : tuple of int
        Factors, in order.
    offsets : dict
        Factor → its first row in the core.
    size : int
        Rows.
    matrix : DenseCore, SparseCore or None
        How it is held and factored; None when every factor is peeled.
    """

    blocks: tuple[int, ...]
    offsets: dict[int, int]
    size: int
    matrix: DenseCore | SparseCore | None

    @property
    def kind(self) -> str:
        """``"none"``, ``"dense"`` or ``"sparse"``."""
        return "none" if self.matrix is None else self.matrix.shape.kind


@dataclass(frozen=True)
class Plan:
    """Order of elimination with its predicted cost.

    Attributes
    ----------
    peeled : tuple of PeeledBlock
        Leading factors, in the order of elimination.
    core : Core
    groups : tuple of str
        Names of the factors.
    flops, bytes : float
        Predicted for one factorization.
    shapes : tuple of (int, int)
        Levels and columns of every factor.
    """

    peeled: tuple[PeeledBlock, ...]
    core: Core
    groups: tuple[str, ...]
    flops: float
    bytes: float
    shapes: tuple[tuple[int, int], ...]

    @property
    def q(self) -> int:
        """Number of random effects."""
        return sum(levels * size for levels, size in self.shapes)

    def __str__(self) -> str:
        lines = [f"plan for {self.q} random effects"]
        for part in self.peeled:
            lines.append(
                f"  peel {self.groups[part.block]}: {part.n_levels} levels x {part.size}, "
                f"{len(part.rows)} couplings to the core"
            )
        names = ", ".join(self.groups[b] for b in self.core.blocks) or "nothing"
        lines.append(f"  core of {names}: {self.core.size} rows, {self.core.kind}")
        lines.append(f"  about {self.flops:.3g} flops and {self.bytes / 1e6:.3g} MB for one factorization")
        return "\n".join(lines)


@dataclass(frozen=True)
class Values:
    """The blocks of ZᵀWZ in the layout of a plan."""

    diagonal: tuple[Float, ...]  # by factor, (q, K, K)
    parents: tuple[dict[int, Float], ...]  # by peeled position: parent position → (q, K_parent, K)
    entries: tuple[Float, ...]  # by peeled position: (m, K)
    core_pairs: dict[tuple[int, int], Coupling]  # factors of the core, first < second in core order


def oriented(products: CrossProducts, g: int, h: int) -> Coupling:
    """Coupling of factors g and h with g first, whichever way it is stored."""
    if g < h:
        return products.coupling[g, h]
    stored = products.coupling[h, g]
    order = np.lexsort((stored.first, stored.second))
    return Coupling(stored.second[order], stored.first[order], stored.values[order].transpose(0, 2, 1))


def elimination_order(products: CrossProducts) -> tuple[list[int], list[int]]:
    """Factors to peel, in order, and factors of the core.

    The factor with most random effects goes first, but none before a factor nested in it.  A further factor can be
    peeled when every level of the factors peeled so far occurs with one level of it only.
    """
    levels = [len(d) for d in products.diagonal]
    sizes = [d.shape[0] * d.shape[1] for d in products.diagonal]

    def pairs(g: int, h: int) -> int:
        return len(products.coupling[min(g, h), max(g, h)].first)

    def nested(child: int, parent: int) -> bool:
        return levels[child] > levels[parent] and pairs(child, parent) == levels[child]

    order: list[int] = []
    remaining = list(range(len(levels)))
    while remaining:
        free = [g for g in remaining if not any(nested(h, g) for h in remaining if h != g)]
        order.append(max(free, key=lambda g: sizes[g]))
        remaining.remove(order[-1])
    peeled: list[int] = []
    for g in order:
        if all(pairs(g, h) == levels[h] for h in peeled):
            peeled.append(g)
    return peeled, [g for g in order if g not in peeled]


def make_plan(products: CrossProducts, groups: tuple[str, ...], memory_limit: float) -> tuple[Plan, Values]:
    """Choose the order of elimination and lay the cross-products out for it.

    Parameters
    ----------
    products : CrossProducts
    groups : tuple of str
        Names of the factors, for messages.
    memory_limit : float
        Bytes that one factorization may take; a plan that needs more is refused with `MemoryLimitError`.
    """
    peeled_blocks, core_blocks = elimination_order(products)
    shape_of = [d.shape[:2] for d in products.diagonal]
    offsets, size = {}, 0
    for h in core_blocks:
        offsets[h] = size
        size += shape_of[h][0] * shape_of[h][1]

    layouts = [_leaf_entries(products, g, core_blocks, offsets) for g in peeled_blocks]
    peeled, values_parents, values_entries = [], [], []
    for i, g in enumerate(peeled_blocks):
        leaf, rows, segments, entry_values = layouts[i]
        parents, targets, parent_values = {}, {}, {}
        for j in range(i + 1, len(peeled_blocks)):
            link = oriented(products, g, peeled_blocks[j])
            parents[j] = link.second
            parent_values[j] = np.ascontiguousarray(link.values.transpose(0, 2, 1))
            parent_leaf, parent_rows = layouts[j][:2]
            keys = parent_leaf.astype(np.int64) * size + parent_rows
            targets[j] = np.searchsorted(keys, link.second[leaf].astype(np.int64) * size + rows).astype(np.int32)
        q, K = shape_of[g]
        indptr = np.concatenate([[0], np.cumsum(np.bincount(leaf, minlength=q))]).astype(np.int32)
        peeled.append(PeeledBlock(g, q, K, parents, indptr, leaf, rows, segments, targets))
        values_parents.append(parent_values)
        values_entries.append(entry_values)

    core_pairs = {(g, h): oriented(products, g, h) for a, g in enumerate(core_blocks) for h in core_blocks[a + 1 :]}
    core_at = _core_positions(core_blocks, core_pairs, offsets, shape_of)
    matrix = choose_core(size, *core_at, [(p.indptr, p.rows) for p in peeled], memory_limit)
    core = Core(tuple(core_blocks), offsets, size, matrix)
    pairs = [float((np.diff(p.indptr).astype(float) ** 2).sum() * p.size) for p in peeled]
    entries = sum(p.size * len(p.rows) for p in peeled)
    leaves = sum(p.n_levels * p.size**2 for p in peeled)
    plan = Plan(
        peeled=tuple(peeled),
        core=core,
        groups=groups,
        flops=sum(pairs) + (0.0 if matrix is None else matrix.shape.flops),
        bytes=8.0 * (3 * leaves + 2 * entries) + (0.0 if matrix is None else matrix.shape.bytes),
        shapes=tuple((q, K) for q, K in shape_of),
    )
    values = Values(products.diagonal, tuple(values_parents), tuple(values_entries), core_pairs)
    return plan, values


def _leaf_entries(
    products: CrossProducts, g: int, core_blocks: list[int], offsets: dict[int, int]
) -> tuple[Index, Index, dict[int, Index], Float]:
    """Entries of a peeled factor: leaf, core row, first entries by core factor, and values (m, K)."""
    K = products.diagonal[g].shape[1]
    leaves, rows, values, owners = [], [], [], []
    for h in core_blocks:
        link = oriented(products, g, h)
        K_h = link.values.shape[2]
        first_row = offsets[h] + link.second.astype(np.int64) * K_h
        leaves.append(np.repeat(link.first, K_h))
        rows.append((first_row[:, None] + np.arange(K_h)).ravel())
        values.append(link.values.transpose(0, 2, 1).reshape(-1, K))
        owners.append(np.repeat(h, len(link.first) * K_h))
    if not core_blocks:
        empty = np.zeros(0, dtype=np.int32)
        return empty, empty, {}, np.zeros((0, K))
    leaf, row, owner = np.concatenate(leaves), np.concatenate(rows), np.concatenate(owners)
    order = np.lexsort((row, leaf)) if len(core_blocks) > 1 else np.arange(len(leaf))
    segments = {}
    for h in core_blocks:
        K_h = products.diagonal[h].shape[1]
        segments[h] = np.flatnonzero(owner[order] == h)[::K_h].astype(np.int32)
    return (
        leaf[order].astype(np.int32),
        row[order].astype(np.int32),
        segments,
        np.ascontiguousarray(np.concatenate(values)[order]),
    )


def _core_positions(
    core_blocks: list[int],
    core_pairs: dict[tuple[int, int], Coupling],
    offsets: dict[int, int],
    shape_of: list[tuple[int, int]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the core's own entries: diagonal blocks (lower triangles), then pairs of factors."""
    rows, columns = [], []
    for h in core_blocks:
        q, K = shape_of[h]
        first = offsets[h] + K * np.arange(q)
        a, b = np.tril_indices(K)
        rows.append((first[:, None] + a).ravel())
        columns.append((first[:, None] + b).ravel())
    for (g, h), link in core_pairs.items():
        K_g, K_h = link.values.shape[1:]
        column = offsets[g] + link.first.astype(np.int64)[:, None, None] * K_g + np.arange(K_g)[None, :, None]
        row = offsets[h] + link.second.astype(np.int64)[:, None, None] * K_h + np.arange(K_h)[None, None, :]
        rows.append(np.broadcast_to(row, link.values.shape).ravel())
        columns.append(np.broadcast_to(column, link.values.shape).ravel())
    if not rows:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty
    return np.concatenate(rows), np.concatenate(columns)


def core_values(plan: Plan, values: Values, templates: list[Float]) -> Float:
    """ΛᵀZᵀWZΛ + I on the core's own entries, in the order in which the core was given them.

    Parameters
    ----------
    templates : list of (K, K) arrays
        λ of every factor.
    """
    from_blocks = []
    for h in plan.core.blocks:
        lam = templates[h]
        a, b = np.tril_indices(len(lam))
        scaled = lam.T @ values.diagonal[h] @ lam + np.eye(len(lam))
        from_blocks.append(scaled[:, a, b].ravel())
    for (g, h), link in values.core_pairs.items():
        from_blocks.append((templates[g].T @ link.values @ templates[h]).ravel())
    return np.concatenate(from_blocks) if from_blocks else np.zeros(0)


def scaled_entries(part: PeeledBlock, values: Float, templates: list[Float]) -> Float:
    """Couplings of leaves to the core in M: Λ_coreᵀ A λ on the entries, (m, K)."""
    scaled = values * templates[part.block] if part.size == 1 else values @ templates[part.block]
    for h, first in part.segments.items():
        lam = templates[h]
        if lam.size == 1:
            scaled[first] *= lam[0, 0]
        else:
            where = first[:, None] + np.arange(len(lam))
            scaled[where] = lam.T @ scaled[where]
    return scaled
