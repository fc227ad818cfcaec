"""Where each term stands: in θ, among the entries of covariance matrices, and among the columns of its factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.charts import places
from lmmsparse.covariance.structure import Covariance, raised
from lmmsparse.errors import FactorizationError
from lmmsparse.pls.layout import Shapes
from lmmsparse.pls.solution import Entries

Float = NDArray[np.float64]


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


def templates_of(blocks: Sequence[Block], shapes: Shapes, theta: Float) -> list[Float]:
    """λ of every grouping factor, block diagonal over its terms: (…, K_g, K_g) of θ (…, n_theta)."""
    leading = np.shape(theta)[:-1]
    out = [np.zeros((*leading, K, K)) for _, K in shapes]
    for block in blocks:
        template = block.structure.template(theta[..., block.parameters])
        out[block.factor][..., block.columns, block.columns] = template
    return out


def lifted(blocks: Sequence[Block], templates: list[Float], smallest: float) -> tuple[list[Float], bool]:
    """Templates in which no direction of a term has a standard deviation below the smallest, and whether none had.

    Raises
    ------
    FactorizationError
        They hold what is no number.
    """
    if not all(np.isfinite(lam).all() for lam in templates):
        raise FactorizationError("a standard deviation is beyond floating-point numbers at this theta")
    exact = True
    for block in blocks:
        own = templates[block.factor][block.columns, block.columns]
        higher = raised(own, smallest)
        if higher is not own:
            templates[block.factor][block.columns, block.columns], exact = higher, False
    return templates, exact


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
