"""Measure from which size and up to which fill a sparse core is faster than a dense one.

python -m benchmarks.core_choice [--sizes 200,400,...] [--repeats N]

Every design has two crossed factors.  The levels of the larger one, twice as many, are peeled; those of the smaller
one, the core, lie on a line or on a square, and a peeled level is coupled to some that are near each other, and now
and then to any other.  One evaluation is timed in both representations: factorization, inverse, and the entries of
the inverse that the gradient needs.  The last lines say from which size on the sparse core wins at all, and up to
which fill (entries of the factor over the dense triangle): the measurements behind SMALL_CORE and DENSE_FILL in
`lmmsparse.pls.core.choose`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.pls.core.dense import DenseCore, dense_core
from lmmsparse.pls.core.graph import CoreGraph
from lmmsparse.pls.core.sparse import SparseCore, sparse_core
from lmmsparse.pls.couplings import Couplings

Float = NDArray[np.float64]
Index = NDArray[np.int64]

SIZES = (100, 200, 400, 800, 1600, 3200)
# Share of couplings that reach beyond the neighbourhood: mobility fills the factor.
FAR_SHARES = (0.0, 0.01, 0.03, 0.1, 0.2, 0.4, 1.0)
COUPLINGS = (3, 8)
PEELED_PER_CORE = 2
# Rows of a level of the core.
ROWS = 1


@dataclass(frozen=True)
class CoreDesign:
    """A core of one factor with the couplings of peeled levels to it, as the plan hands them over.

    Attributes
    ----------
    graph : CoreGraph
    label : str
    """

    graph: CoreGraph
    label: str

    @property
    def size(self) -> int:
        """Rows of the core."""
        return self.graph.n_rows


@dataclass(frozen=True)
class Timing:
    """Seconds of one evaluation in both representations, and the fill of the factor."""

    design: CoreDesign
    fill: float
    dense: float
    sparse: float

    @property
    def ratio(self) -> float:
        """Sparse over dense seconds."""
        return self.sparse / self.dense


def neighbours(size: int, places: str, rng: np.random.Generator) -> Callable[[Float], Index]:
    """For centres in the unit line or square: the core's levels, nearest first."""
    dimension = {"line": 1, "square": 2}[places]
    points = rng.random((size, dimension))

    def nearest(centre: Float) -> Index:
        return np.argsort(((points - centre[:dimension]) ** 2).sum(axis=1))

    return nearest


def make_design(size: int, places: str, couplings: int, far_share: float) -> CoreDesign:
    """A partly crossed design with a fixed seed."""
    rng = np.random.default_rng([size, couplings, int(1000 * far_share), places == "line"])
    nearest = neighbours(size, places, rng)
    columns = []
    for _ in range(PEELED_PER_CORE * size):
        near = nearest(rng.random(2))[: 2 * couplings]
        chosen = rng.choice(near, min(couplings, len(near)), replace=False)
        far = rng.random(len(chosen)) < far_share
        columns.append(np.unique(np.where(far, rng.integers(0, size, len(chosen)), chosen)))
    indptr = np.concatenate([[0], np.cumsum([len(column) for column in columns])])
    none = np.zeros(0, dtype=np.int32)
    cliques = (indptr.astype(np.int64), np.concatenate(columns).astype(np.int32))
    label = f"{places}, {couplings} couplings, {100 * far_share:g} % far"
    return CoreDesign(CoreGraph(np.full(size, ROWS, dtype=np.int32), none, none, (cliques,)), label)


def designs(sizes: tuple[int, ...]) -> Iterator[CoreDesign]:
    """All designs, by size."""
    for size in sizes:
        for places in ("line", "square"):
            for couplings in COUPLINGS:
                for far_share in FAR_SHARES:
                    yield make_design(size, places, couplings, far_share)


def numbers(core: DenseCore | SparseCore, design: CoreDesign) -> tuple[Float, Index, Couplings]:
    """Diagonal of the core and couplings for unit variances, in the rows of a core."""
    indptr, nodes = design.graph.cliques[0]
    leaf = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr) * ROWS)
    rows = (core.first_row[nodes][:, None] + np.arange(ROWS)).ravel()
    rows = rows[np.lexsort((rows, leaf))]
    w = np.repeat(1.0 / np.sqrt(np.diff(indptr) * ROWS + 1.0), np.diff(indptr) * ROWS)[:, None]
    diagonal = np.arange(core.n_rows)
    own = 1.0 + np.bincount(rows, minlength=core.n_rows)
    return own, core.locate(diagonal, diagonal), Couplings(indptr * ROWS, rows.astype(np.int32), w)


def best_seconds(core: DenseCore | SparseCore, design: CoreDesign, repeats: int) -> float:
    """Shortest time of one factorization with the parts of its inverse that the gradient needs."""
    own, places, couplings = numbers(core, design)
    diagonal = np.arange(core.n_rows)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        inverse = core.factorize(own, places, [couplings]).inverse()
        inverse.quadratic(couplings)
        inverse.at(diagonal, diagonal)
        times.append(time.perf_counter() - began)
    return min(times)


def measure(design: CoreDesign, repeats: int) -> Timing:
    """Both representations of one design."""
    dense, sparse = dense_core(design.graph), sparse_core(design.graph)
    assert isinstance(sparse, SparseCore)  # there is no limit
    fill = sparse.factor_entries / dense.factor_entries
    return Timing(design, fill, best_seconds(dense, design, repeats), best_seconds(sparse, design, repeats))


def crossing(timings: list[Timing]) -> float | None:
    """Fill that divides sparse from dense with the least time lost; None when the dense core always wins."""
    ordered = sorted(timings, key=lambda timing: timing.fill)
    losses = []
    for split in range(len(ordered) + 1):
        taken = [timing.sparse for timing in ordered[:split]] + [timing.dense for timing in ordered[split:]]
        best = [min(timing.sparse, timing.dense) for timing in ordered]
        losses.append(float(np.log(np.array(taken) / np.array(best)).sum()))
    split = int(np.argmin(losses))
    if split == 0:
        return None
    if split == len(ordered):
        return ordered[-1].fill
    return float(np.sqrt(ordered[split - 1].fill * ordered[split].fill))


def main() -> None:
    """Print the timings, then the crossing of every size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.core_choice", description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    sizes = tuple(int(size) for size in args.sizes.split(","))
    timings = []
    print(f"{'size':>5}  {'fill':>6}  {'dense ms':>9}  {'sparse ms':>9}  sparse/dense  design")
    for design in designs(sizes):
        timing = measure(design, args.repeats)
        timings.append(timing)
        print(
            f"{design.size:5d}  {timing.fill:6.3f}  {1e3 * timing.dense:9.2f}  {1e3 * timing.sparse:9.2f}  "
            f"{timing.ratio:12.2f}  {design.label}",
            flush=True,
        )
    print()
    for size in sizes:
        fill = crossing([timing for timing in timings if timing.design.size == size])
        print(f"{size:5d} rows: " + ("dense always" if fill is None else f"sparse up to a fill of {fill:.2f}"))


if __name__ == "__main__":
    main()
