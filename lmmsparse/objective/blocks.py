"""Where each term stands: in θ, among the entries of covariance matrices, and among the columns of its factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmsparse.covariance.charts import places
from lmmsparse.covariance.structure import Covariance
from lmmsparse.pls.solution import Entries


@dataclass(frozen=True)
class Block:
    """One term.

    Attributes
    ----------
    structure : Covariance
    parameters : slice
        In θ.
    support : slice
        Of its entries of Σ among those of all terms.
    factor : int
        Grouping factor.
    columns : slice
        Its columns among those of the factor.
    """

    structure: Covariance
    parameters: slice
    support: slice
    factor: int
    columns: slice


def blocks_of(structures: Sequence[Covariance], members: Sequence[tuple[int, ...]]) -> tuple[Block, ...]:
    """Blocks of all terms.

    Parameters
    ----------
    structures : sequence of Covariance
        Of every term.
    members : sequence of tuples of int
        Terms of every grouping factor, in the order of their columns.
    """
    where: dict[int, tuple[int, slice]] = {}
    for g, terms in enumerate(members):
        for t, columns in zip(terms, places([structures[t].size for t in terms]), strict=True):
            where[t] = g, columns
    parameters = places([structure.n_theta for structure in structures])
    supports = places([len(structure.support[0]) for structure in structures])
    return tuple(Block(structure, parameters[t], supports[t], *where[t]) for t, structure in enumerate(structures))


def entries_of(blocks: Sequence[Block]) -> Entries:
    """Factor, row and column of the entries of covariance matrices that parameters move."""
    owner, rows, columns = [], [], []
    for block in blocks:
        a, b = block.structure.support
        owner.append(np.full(len(a), block.factor))
        rows.append(block.columns.start + a)
        columns.append(block.columns.start + b)
    which, row, column = (np.concatenate(part).astype(np.int32) for part in (owner, rows, columns))
    return which, row, column
