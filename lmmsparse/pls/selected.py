"""Selected inverse of a sparse Cholesky factor: the entries of M⁻¹ on the pattern of L.

Takahashi's recurrence, one supernode at a time from the root of the elimination tree to its leaves.  The rows R below a
supernode's columns J all lie in the front of its parent, which hands Z_RR down:

    Z_RJ = −Z_RR L_RJ L_JJ⁻¹,   Z_JJ = L_JJ⁻ᵀ L_JJ⁻¹ − (L_RJ L_JJ⁻¹)ᵀ Z_RJ
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dgemm
from scipy.linalg.lapack import dtrtri
from scipy.sparse import csc_array

from lmmsparse.pls.ordering import Supernodes

Float = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class PanelLayout:
    """Where the entries of L and of its selected inverse are stored.

    A supernode's columns J are one dense panel with the rows J and R, column after column: all panels together are the
    data of a compressed column matrix.

    Attributes
    ----------
    starts : (S + 1,) array
        First number of every panel.
    indptr, indices : arrays
        Columns and rows of the panels, in elimination order.
    below : array of bool
        True for the entries in R, False for those in the square block J × J.
    """

    starts: Index
    indptr: Index
    indices: NDArray[np.int32]
    below: NDArray[np.bool_]


def panel_layout(nodes: Supernodes) -> PanelLayout:
    """Storage of the panels of L."""
    widths = np.diff(nodes.starts)
    heights = widths + np.array([len(r) for r in nodes.rows], dtype=np.int64)
    indices = [
        np.tile(np.concatenate([np.arange(nodes.starts[s], nodes.starts[s + 1]), rows]).astype(np.int32), widths[s])
        for s, rows in enumerate(nodes.rows)
    ]
    below = [np.tile(np.arange(heights[s]) >= widths[s], widths[s]) for s in range(len(widths))]
    return PanelLayout(
        starts=np.concatenate([[0], np.cumsum(widths * heights)]),
        indptr=np.concatenate([[0], np.cumsum(np.repeat(heights, widths))]),
        indices=np.concatenate(indices),
        below=np.concatenate(below),
    )


def fill_panels(L: csc_array, nodes: Supernodes, layout: PanelLayout) -> Float:
    """Values of L in panel storage; panel entries that L does not hold are zero.

    CHOLMOD merges supernodes in its own way, so that L may hold zeros where no panel has a place.
    """
    panels = np.zeros(layout.starts[-1])
    place = np.full(L.shape[0], -1, dtype=np.int64)
    for s, rows in enumerate(nodes.rows):
        first, last = int(nodes.starts[s]), int(nodes.starts[s + 1])
        place[first:last] = np.arange(last - first)
        place[rows] = np.arange(last - first, last - first + len(rows))
        for j in range(first, last):
            column = slice(L.indptr[j], L.indptr[j + 1])
            where = place[L.indices[column]]
            held = where >= 0
            panels[layout.indptr[j] + where[held]] = L.data[column][held]
        place[first:last] = -1
        place[rows] = -1
    return panels


def selected_inverse(panels: Float, nodes: Supernodes, layout: PanelLayout) -> Float:
    """M⁻¹ on the pattern of L in panel storage, both triangles of each J × J block.

    A supernode hands Z_RR to each of its children and is done: what waits are the children's blocks, not whole fronts.
    """
    inverse = np.empty_like(panels)
    children: list[list[int]] = [[] for _ in nodes.rows]
    for s, parent in enumerate(nodes.parent):
        if parent >= 0:
            children[parent].append(s)
    waiting: dict[int, Float] = {}
    for s in range(len(nodes.rows) - 1, -1, -1):
        first, last = int(nodes.starts[s]), int(nodes.starts[s + 1])
        width, below = last - first, nodes.rows[s]
        height = width + len(below)
        panel = panels[layout.starts[s] : layout.starts[s + 1]].reshape((height, width), order="F")
        triangle = np.tril(dtrtri(panel[:width], lower=1)[0])
        corner = dgemm(1.0, triangle, triangle, trans_a=True)
        front = np.empty((height, height), order="F")
        if len(below):
            rest = waiting.pop(s)
            scaled = dgemm(1.0, panel[width:], triangle)
            side = dgemm(-1.0, rest, scaled)
            corner = dgemm(-1.0, scaled, side, beta=1.0, c=corner, trans_a=True)
            front[width:, width:] = rest
            front[width:, :width] = side
            front[:width, width:] = side.T
        front[:width, :width] = corner
        inverse[layout.starts[s] : layout.starts[s + 1]] = front[:, :width].ravel(order="F")
        for child in children[s]:
            inside = np.searchsorted(nodes.rows[child], last)
            where = np.concatenate(
                [nodes.rows[child][:inside] - first, width + np.searchsorted(below, nodes.rows[child][inside:])]
            )
            # symmetric, so its transpose is the same matrix in the order that BLAS wants
            waiting[child] = front.T[where].take(where, axis=1).T
    return inverse
