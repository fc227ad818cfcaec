"""The symbolic plan: which factors are peeled, in which order, and what the core looks like.

Made once from the pattern of the cross-products; whatever numbers come on that pattern, they are only written down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.blocks import Factors, Oriented, Pattern
from lmmsparse.errors import MemoryLimitError
from lmmsparse.pls.core.choose import choose_core
from lmmsparse.pls.core.dense import DenseCore
from lmmsparse.pls.core.graph import CoreGraph
from lmmsparse.pls.core.sparse import SparseCore
from lmmsparse.pls.layout import (
    LeafPattern,
    Shapes,
    core_positions,
    leaf_pattern,
    parent_targets,
    sort_entries,
)

Index = NDArray[np.int32]
Pointer = NDArray[np.int64]

# Columns of a factor whose products take longer to sum than the model would to be refused.
WIDE = 50


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
    parent_links : dict
        The same position → pairs of the two factors, in the order of the leaves.
    indptr : (q + 1,) array
        First entry of each leaf, entries being its couplings to the core.
    rows : (m,) array
        Core row of each entry, increasing within a leaf.
    core_links, starts : tuples of Oriented and of arrays
        Pairs with every core factor, and the first entry of each pair: the K_h rows of a level are adjacent entries.
    targets : dict
        Position of a later peeled factor → (m,) entry of the parent at the same core row.
    is_parent : bool
        Whether a factor peeled earlier is nested in this one.
    """

    block: int
    n_levels: int
    size: int
    parents: dict[int, Index]
    parent_links: dict[int, Oriented]
    indptr: Pointer
    rows: Index
    core_links: tuple[Oriented, ...]
    starts: tuple[Index, ...]
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
    links : dict
        Two factors of the core, first < second in their order → their pairs.
    level_start, owner : (size,) arrays
        First row of the level of each core row, and the position of its factor in ``blocks``.
    places : (own entries,) array
        Where the core stores its own entries.
    matrix : DenseCore, SparseCore or None
        How it is held and factored; None when every factor is peeled.
    """

    blocks: tuple[int, ...]
    first_row: dict[int, Pointer]
    links: dict[Factors, Oriented]
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
    pattern : Pattern
        That it was made from.
    """

    peeled: tuple[PeeledBlock, ...]
    core: Core
    groups: tuple[str, ...]
    flops: float
    bytes: float
    shapes: tuple[tuple[int, int], ...]
    pattern: Pattern

    @property
    def q(self) -> int:
        """Number of random effects."""
        return sum(levels * size for levels, size in self.shapes)

    @property
    def solve_flops(self) -> float:
        """Predicted for one column of M⁻¹."""
        entries = 0.0 if self.core.matrix is None else self.core.matrix.factor_entries
        for part in self.peeled:
            entries += part.size * (len(part.rows) + part.n_levels * part.size)
        return 4.0 * entries

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


def elimination_order(pattern: Pattern) -> tuple[list[int], list[int]]:
    """Factors to peel, in order, and factors of the core.

    The factor with most random effects goes first, but none before a factor nested in it.  A further factor can be
    peeled when every level of the factors peeled so far occurs with one level of it only.
    """
    levels = [q for q, _ in pattern.shapes]
    sizes = [q * K for q, K in pattern.shapes]

    def pairs(g: int, h: int) -> int:
        return len(pattern.pairs[min(g, h), max(g, h)])

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


def plan_of(pattern: Pattern, p: int, groups: tuple[str, ...], memory_limit: float) -> Plan:
    """Choose the order of elimination.

    Parameters
    ----------
    pattern : Pattern
    p : int
        Fixed-effect columns.
    groups : tuple of str
        Names of the factors, for messages.
    memory_limit : float
        Bytes that one evaluation may take; a plan that needs more is refused with `MemoryLimitError`.
    """
    peeled_blocks, core_blocks = elimination_order(pattern)
    shapes = pattern.shapes
    patterns = [leaf_pattern(pattern, g, core_blocks) for g in peeled_blocks]
    core_pairs = {(g, h): pattern.oriented(g, h) for a, g in enumerate(core_blocks) for h in core_blocks[a + 1 :]}
    core = _make_core(core_blocks, core_pairs, shapes, patterns, memory_limit)
    entries = [sort_entries(one, core.first_row, core.size, shapes) for one in patterns]
    peeled: list[PeeledBlock] = []
    for i, g in enumerate(peeled_blocks):
        links = {j: pattern.oriented(g, peeled_blocks[j]) for j in range(i + 1, len(peeled_blocks))}
        q, K = shapes[g]
        peeled.append(
            PeeledBlock(
                block=g,
                n_levels=q,
                size=K,
                parents={j: link.second for j, link in links.items()},
                parent_links=links,
                indptr=entries[i].indptr,
                rows=entries[i].rows,
                core_links=patterns[i].links,
                starts=entries[i].starts,
                targets={
                    j: parent_targets(entries[i], entries[j], link.second, core.size) for j, link in links.items()
                },
                is_parent=i > 0,
            )
        )
    matrix_flops, matrix_bytes = (0.0, 0.0) if core.matrix is None else (core.matrix.flops, core.matrix.bytes)
    pairs = sum(float((np.diff(p.indptr).astype(float) ** 2).sum() * p.size) for p in peeled)
    numbers = sum(4 * p.n_levels * p.size**2 + 2 * len(p.rows) * p.size for p in peeled)
    plan = Plan(
        peeled=tuple(peeled),
        core=core,
        groups=groups,
        flops=pairs + matrix_flops,
        bytes=8.0 * (numbers + _vector_numbers(shapes, p)) + matrix_bytes,
        shapes=shapes,
        pattern=pattern,
    )
    if plan.bytes > memory_limit:
        raise MemoryLimitError(
            f"one evaluation of this model needs about {plan.bytes:.3g} bytes ({plan.bytes / 2**30:.1f} GiB), "
            f"{matrix_bytes:.3g} of them for the core and the rest for {plan.q - core.size} random effects outside "
            f"it, and the limit is {memory_limit:.3g} bytes. Use fewer levels or fewer columns a level, or raise the "
            "limit with control={'memory_limit': bytes}."
        )
    return plan


def check_vectors(shapes: Shapes, p: int, memory_limit: float) -> None:
    """Refuse a wide term whose vectors alone are beyond memory, before its products are summed over the rows."""
    needed = 8.0 * _vector_numbers(shapes, p)
    levels, columns = max(shapes, key=lambda shape: shape[1])
    if columns > WIDE and needed > memory_limit:
        raise MemoryLimitError(
            f"one evaluation of this model needs {needed:.3g} bytes and more, and the limit is {memory_limit:.3g} "
            f"bytes: a factor of {levels} levels has {columns} columns. Use fewer columns a level, or raise the limit "
            "with control={'memory_limit': bytes}."
        )


def _vector_numbers(shapes: Shapes, p: int) -> float:
    """Numbers in the vectors of random effects that wait together while the derivatives are computed.

    A solution has p + 1 right-hand sides and about four vectors, the scores take three for each fixed effect, and the
    average information four for each entry of a covariance matrix.
    """
    entries = sum(size * (size + 1) // 2 for _, size in shapes)
    return sum(levels * size for levels, size in shapes) * (p + 5.0 + max(3 * p, 4 * entries))


def _make_core(
    core_blocks: list[int],
    core_pairs: dict[Factors, Oriented],
    shapes: Shapes,
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
        return Core((), {}, {}, none, none, np.zeros(0, dtype=np.int64), None)
    first_row = {h: matrix.first_row[offsets[h] : offsets[h] + shapes[h][0]] for h in core_blocks}
    level_start, owner = np.empty((2, matrix.n_rows), dtype=np.int32)
    for position, h in enumerate(core_blocks):
        for a in range(shapes[h][1]):
            level_start[first_row[h] + a] = first_row[h]
            owner[first_row[h] + a] = position
    rows, columns = core_positions(core_blocks, core_pairs, first_row, shapes)
    return Core(tuple(core_blocks), first_row, core_pairs, level_start, owner, matrix.locate(rows, columns), matrix)
