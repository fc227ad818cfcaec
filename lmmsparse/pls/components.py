"""Connected levels: levels that no chain of rows connects have nothing to do with each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lmmsparse.crossproducts.blocks import Pattern


def level_components(pattern: Pattern) -> NDArray[np.int32]:
    """Connected component of every level, factor after factor."""
    starts = np.cumsum([0, *(q for q, _ in pattern.shapes)])
    rows = [starts[g] + link.first for (g, _), link in pattern.pairs.items()]
    columns = [starts[h] + link.second for (_, h), link in pattern.pairs.items()]
    first = np.concatenate([np.zeros(0, np.int64), *rows])
    second = np.concatenate([np.zeros(0, np.int64), *columns])
    total = int(starts[-1])
    graph = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(total, total)).tocsr()
    return np.asarray(connected_components(graph, directed=False)[1])


def places_in_components(component: NDArray[np.int32]) -> NDArray[np.int64]:
    """Position of every level among those of its component."""
    order = np.argsort(component, kind="stable")
    sorted_components = component[order]
    heads = np.concatenate([[True], sorted_components[1:] != sorted_components[:-1]])
    first = np.maximum.accumulate(np.where(heads, np.arange(len(order)), 0))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) - first
    return place
