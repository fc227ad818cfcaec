"""The symbolic plan: which factors are peeled, in which order, and what the core looks like.

Made once from the pattern of the cross-products; every factorization then only writes numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.sums import Coupling, CrossProducts
from lmmsparse.errors import MemoryLimitError
from lmmsparse.kernels import leaves as kernels
from lmmsparse.pls.core.choose import choose_core
from lmmsparse.pls.core.dense import DenseCore
from lmmsparse.pls.core.graph import CoreGraph
from lmmsparse.pls.core.sparse import SparseCore
from lmmsparse.pls.layout import (
    LeafPattern,
    core_positions,
    entry_values,
    leaf_pattern,
    oriented,
    parent_targets,
    sort_entries,
)

Float = NDArray[np.float64]
Index = NDArray[np.int32]
Pointer = NDArray[np.int64]


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
    indptr : (q + 1,) array
        First entry of each leaf, entries being its couplings to the core.
    rows : (m,) array
        Core row of each entry, increasing within a leaf.
    targets : dict
        Position of a later peeled factor → (m,) entry of the parent at the same core row.
    is_parent : bool
        Whether a factor peeled earlier is nested in this one.
    """

    block: int
    n_levels: int
    size: int
    parents: dict[int, Index]
    indptr: Pointer
    rows: Index
    targets: dict[int, Index]
    is_parent: bool

    def parent_indptr(self, size: int) -> Pointer:
        """`indptr` of blocks (q, size, K) that are read as ``size`` entries a leaf."""
        return np.arange(self.n_levels + 1, dtype=np.int64) * size


@dataclass(frozen=True)
class Core:
    """The factors that are left when no more can be peeled.

    Attributes
    ----------
    blocks : tuple of int
        Factors, in order.
    first_row : dict
        Factor → (q,) first core row of each of its levels, the K rows of a level being adjacent.
    level_start, owner : (size,) arrays
        First row of the level of each core row, and the position of its factor in ``blocks``.
    places : (own entries,) array
        Where the core stores its own entries.
    matrix : DenseCore, SparseCore or None
        How it is held and factored; None when every factor is peeled.
    """

    blocks: tuple[int, ...]
    first_row: dict[int, Pointer]
    level_start: Index
    owner: Index
    places: Pointer
    matrix: DenseCore | SparseCore | None

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.owner)

    @property
    def kind(self) -> str:
        """``"none"``, ``"dense"`` or ``"sparse"``."""
        return "none" if self.matrix is None else self.matrix.kind

    def rows(self, block: int, size: int) -> Pointer:
        """Core rows of a factor with ``size`` columns, level after level: (q K,)."""
        return (self.first_row[block][:, None] + np.arange(size)).ravel()


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
        Predicted for one factorization; the bytes with the vectors that the derivatives take beside it.
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
        lines.append(f"  about {self.flops:.3g} flops and {self.bytes / 1e6:.3g} MB for one evaluation")
        return "\n".join(lines)


@dataclass(frozen=True)
class Values:
    """The blocks of ZᵀWZ in the layout of a plan."""

    diagonal: tuple[Float, ...]  # by factor, (q, K, K)
    parents: tuple[dict[int, Float], ...]  # by peeled position: parent position → (q, K_parent, K)
    entries: tuple[Float, ...]  # by peeled position: (m, K)
    core_pairs: dict[tuple[int, int], Coupling]  # factors of the core, first < second in core order


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
        Bytes that one evaluation may take; a plan that needs more is refused with `MemoryLimitError`.
    """
    peeled_blocks, core_blocks = elimination_order(products)
    shapes = [d.shape[:2] for d in products.diagonal]
    patterns = [leaf_pattern(products, g, core_blocks) for g in peeled_blocks]
    core_pairs = {(g, h): oriented(products, g, h) for a, g in enumerate(core_blocks) for h in core_blocks[a + 1 :]}
    core = _make_core(core_blocks, core_pairs, shapes, patterns, memory_limit)
    entries = [sort_entries(pattern, core.first_row, core.size, shapes) for pattern in patterns]
    peeled: list[PeeledBlock] = []
    parent_values: list[dict[int, Float]] = []
    for i, g in enumerate(peeled_blocks):
        parents, targets, values = {}, {}, {}
        for j in range(i + 1, len(peeled_blocks)):
            link = oriented(products, g, peeled_blocks[j])
            parents[j] = link.second
            targets[j] = parent_targets(entries[i], entries[j], link.second, core.size)
            values[j] = np.ascontiguousarray(link.values.transpose(0, 2, 1))
        q, K = shapes[g]
        peeled.append(PeeledBlock(g, q, K, parents, entries[i].indptr, entries[i].rows, targets, i > 0))
        parent_values.append(values)
    matrix_flops, matrix_bytes = (0.0, 0.0) if core.matrix is None else (core.matrix.flops, core.matrix.bytes)
    pairs = sum(float((np.diff(p.indptr).astype(float) ** 2).sum() * p.size) for p in peeled)
    numbers = sum(4 * p.n_levels * p.size**2 + 2 * len(p.rows) * p.size for p in peeled)
    plan = Plan(
        peeled=tuple(peeled),
        core=core,
        groups=groups,
        flops=pairs + matrix_flops,
        bytes=8.0 * (numbers + _vector_numbers(shapes, products.p)) + matrix_bytes,
        shapes=tuple(shapes),
    )
    if plan.bytes > memory_limit:
        raise MemoryLimitError(
            f"one evaluation of this model needs about {plan.bytes:.3g} bytes ({plan.bytes / 2**30:.1f} GiB), "
            f"{matrix_bytes:.3g} of them for the core and the rest for {plan.q - core.size} random effects outside "
            f"it, and the limit is {memory_limit:.3g} bytes. Use fewer levels or fewer columns a level, or raise the "
            "limit with control={'memory_limit': bytes}."
        )
    on_entries = tuple(
        entry_values(pattern, place, shapes[g][1])
        for pattern, place, g in zip(patterns, entries, peeled_blocks, strict=True)
    )
    return plan, Values(products.diagonal, tuple(parent_values), on_entries, core_pairs)


def _vector_numbers(shapes: list[tuple[int, int]], p: int) -> float:
    """Numbers in the vectors of random effects that wait together while the derivatives are computed.

    A solution has p + 1 right-hand sides and about four vectors, the scores take three for each fixed effect, and the
    average information four for each entry of a covariance matrix.
    """
    entries = sum(size * (size + 1) // 2 for _, size in shapes)
    return sum(levels * size for levels, size in shapes) * (p + 5.0 + max(3 * p, 4 * entries))


def _make_core(
    core_blocks: list[int],
    core_pairs: dict[tuple[int, int], Coupling],
    shapes: list[tuple[int, int]],
    patterns: list[LeafPattern],
    memory_limit: float,
) -> Core:
    """Choose the core's representation and number its rows."""
    offsets = dict(zip(core_blocks, np.cumsum([0] + [shapes[h][0] for h in core_blocks]).tolist(), strict=False))
    sizes = np.concatenate([np.zeros(0, np.int32)] + [np.full(*shapes[h], dtype=np.int32) for h in core_blocks])
    links = [(offsets[g] + link.first, offsets[h] + link.second) for (g, h), link in core_pairs.items()]
    first, second = (np.concatenate([np.zeros(0, np.int32)] + [pair[i] for pair in links]) for i in range(2))
    cliques = tuple((pattern.indptr, pattern.nodes) for pattern in patterns)
    matrix = choose_core(CoreGraph(sizes, first.astype(np.int32), second.astype(np.int32), cliques), memory_limit)
    if matrix is None:
        none = np.zeros(0, dtype=np.int32)
        return Core((), {}, none, none, np.zeros(0, dtype=np.int64), None)
    first_row = {h: matrix.first_row[offsets[h] : offsets[h] + shapes[h][0]] for h in core_blocks}
    level_start, owner = np.empty((2, matrix.n_rows), dtype=np.int32)
    for position, h in enumerate(core_blocks):
        for a in range(shapes[h][1]):
            level_start[first_row[h] + a] = first_row[h]
            owner[first_row[h] + a] = position
    rows, columns = core_positions(core_blocks, core_pairs, first_row, shapes)
    return Core(tuple(core_blocks), first_row, level_start, owner, matrix.locate(rows, columns), matrix)


def core_values(plan: Plan, values: Values, templates: list[Float]) -> Float:
    """ΛᵀZᵀWZΛ + I on the core's own entries, in the order of `Core.places`.

    Parameters
    ----------
    templates : list of (K, K) arrays
        λ of every factor.
    """
    from_blocks = [np.zeros(0)]
    for h in plan.core.blocks:
        a, b = np.tril_indices(len(templates[h]))
        scaled = transformed(templates[h], values.diagonal[h], templates[h], 1.0)
        from_blocks.append(scaled[:, a, b].ravel())
    for (g, h), link in values.core_pairs.items():
        from_blocks.append(transformed(templates[g], link.values, templates[h]).ravel())
    return np.concatenate(from_blocks)


def transformed(left: Float, blocks: Float, right: Float, shift: float = 0.0) -> Float:
    """leftᵀ B right + shift I for every block B, (m, K_left, K_right)."""
    out = np.empty_like(blocks)
    kernels.transform_blocks(np.ascontiguousarray(left), blocks, np.ascontiguousarray(right), shift, out)
    return out


def scaled_entries(plan: Plan, part: PeeledBlock, values: Float, templates: list[Float]) -> Float:
    """Couplings of leaves to the core in M: Λ_coreᵀ A λ on the entries, (m, K)."""
    core = plan.core
    sizes = np.array([len(templates[h]) for h in core.blocks], dtype=np.int32)
    padded = np.zeros((len(sizes), sizes.max(initial=1), sizes.max(initial=1)))
    for position, h in enumerate(core.blocks):
        padded[position, : sizes[position], : sizes[position]] = templates[h]
    out = np.empty_like(values)
    own = np.ascontiguousarray(templates[part.block])
    kernels.scale_entries(values, part.rows, core.level_start, core.owner, sizes, padded, own, out)
    return out
