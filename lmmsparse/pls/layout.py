"""Where the numbers of the cross-products go in the layout of a plan: array-only functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lmmsparse.crossproducts.blocks import Factors, Oriented, Pattern

Float = NDArray[np.float64]
Index = NDArray[np.int32]
Pointer = NDArray[np.int64]
Shapes = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class LeafPattern:
    """Pairs of the levels of a peeled factor and those of the core, by leaf.

    Attributes
    ----------
    indptr : (q + 1,) array
        First pair of each leaf.
    nodes : (pairs,) array
        Level of the core of each pair, counted over all core factors.
    order : (pairs,) array or None
        Position of each pair among those of the core factors one after another; None when it is that order.
    links : tuple of Oriented
        Those pairs, the peeled factor first.
    blocks, offsets : tuples of int
        The core factors, and the node of the first level of each.
    """

    indptr: Pointer
    nodes: Index
    order: Pointer | None
    links: tuple[Oriented, ...]
    blocks: tuple[int, ...]
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class SortedEntries:
    """Entries of a peeled factor in core rows, sorted by leaf and row.

    Attributes
    ----------
    indptr : (q + 1,) array
    rows : (m,) array
    starts : tuple of arrays
        For each core factor, the first entry of each of its pairs; the K_h rows of a level are adjacent entries.
    """

    indptr: Pointer
    rows: Index
    starts: tuple[Index, ...]


def leaf_pattern(pattern: Pattern, g: int, core_blocks: list[int]) -> LeafPattern:
    """Which levels of the core each level of a peeled factor is coupled to."""
    q = pattern.shapes[g][0]
    links = tuple(pattern.oriented(g, h) for h in core_blocks)
    levels = [pattern.shapes[h][0] for h in core_blocks]
    offsets = tuple(int(o) for o in np.cumsum([0, *levels])[:-1])
    leaf = np.concatenate([np.zeros(0, np.int32), *(link.first for link in links)])
    nodes = np.concatenate(
        [np.zeros(0, np.int32), *(link.second + o for link, o in zip(links, offsets, strict=True))]
    ).astype(np.int32)
    order = None
    if len(links) > 1:
        order = np.argsort(leaf, kind="stable")
        nodes = nodes[order]
    return LeafPattern(pointer(leaf, q), nodes, order, links, tuple(core_blocks), offsets)


def pointer(index: Index, size: int) -> Pointer:
    """First position of each value 0 … size−1 in a sorted index, and its length at the end."""
    return np.concatenate([[0], np.cumsum(np.bincount(index, minlength=size))]).astype(np.int64)


def sort_entries(pattern: LeafPattern, first_row: dict[int, Pointer], n_rows: int, shapes: Shapes) -> SortedEntries:
    """Number the pairs of a pattern by core rows, and sort them by leaf and row.

    Parameters
    ----------
    first_row : dict
        Core factor → first core row of each of its levels.
    """
    if not pattern.blocks:
        return SortedEntries(pattern.indptr, np.zeros(0, np.int32), ())
    rows_of_node = np.concatenate([first_row[h] for h in pattern.blocks])
    sizes = np.concatenate([np.full(*shapes[h], dtype=np.int64) for h in pattern.blocks])
    # rows, and the first entry of each pair in the order of links, are kept as long as the plan: hence small, and made
    # before what is not, so that no memory is left free below them
    place = np.empty(len(pattern.nodes), dtype=np.int32)
    rows = np.empty(int(np.bincount(pattern.nodes, minlength=len(sizes)) @ sizes), dtype=np.int32)
    # two transpositions of a compressed matrix sort every leaf by row, in time proportional to the pairs
    pairs = np.arange(len(pattern.nodes), dtype=np.int32)
    leaves = csr_array((pairs, rows_of_node[pattern.nodes], pattern.indptr), shape=(len(pattern.indptr) - 1, n_rows))
    by_row = leaves.tocsc().tocsr()
    order = by_row.data
    counts = sizes[pattern.nodes[order]]
    start = np.cumsum(counts) - counts
    rows[:] = by_row.indices if len(rows) == len(order) else np.repeat(by_row.indices - start, counts)
    if len(rows) > len(order):
        rows += np.arange(len(rows), dtype=np.int32)
    place[order if pattern.order is None else pattern.order[order]] = start
    edges = np.cumsum([len(link.first) for link in pattern.links])[:-1]
    ends = np.concatenate([[0], np.cumsum(counts)])[pattern.indptr]
    return SortedEntries(ends.astype(np.int64), rows, tuple(np.split(place, edges)))


def parent_targets(part: SortedEntries, other: SortedEntries, parent: Index, n_rows: int) -> Index:
    """Entry of each leaf's parent at the row of each of the leaf's entries, (m,).

    Parameters
    ----------
    part, other : SortedEntries
        Those of a factor, and of a later one in which it is nested.
    parent : (q,) array
    """
    keys = np.repeat(np.arange(len(other.indptr) - 1), np.diff(other.indptr)) * n_rows + other.rows
    wanted = np.repeat(parent.astype(np.int64), np.diff(part.indptr)) * n_rows + part.rows
    return np.searchsorted(keys, wanted).astype(np.int32)


def core_positions(
    core_blocks: list[int],
    core_pairs: dict[Factors, Oriented],
    first_row: dict[int, Pointer],
    shapes: Shapes,
) -> tuple[Pointer, Pointer]:
    """Rows and columns of the core's own entries in its lower triangle: diagonal blocks, then pairs of factors."""
    rows, columns = [], []
    for h in core_blocks:
        a, b = np.tril_indices(shapes[h][1])
        rows.append((first_row[h][:, None] + a).ravel())
        columns.append((first_row[h][:, None] + b).ravel())
    for (g, h), link in core_pairs.items():
        K_g, K_h = shapes[g][1], shapes[h][1]
        one = first_row[g][link.first][:, None, None] + np.arange(K_g)[None, :, None]
        other = first_row[h][link.second][:, None, None] + np.arange(K_h)[None, None, :]
        rows.append(np.maximum(one, other).ravel())
        columns.append(np.minimum(one, other).ravel())
    return np.concatenate(rows), np.concatenate(columns)
