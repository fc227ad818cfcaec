"""Where the numbers of the cross-products go, against dictionaries of pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal

from lmmsparse.crossproducts.blocks import Oriented
from lmmsparse.pls import layout
from lmmsparse.pls.plan import elimination_order
from tests.designs import Case, cases, generated
from tests.kernels.dense_twins import owners


def test_pointer() -> None:
    assert_array_equal(layout.pointer(np.array([0, 0, 2, 2, 2], dtype=np.int32), 4), [0, 2, 2, 5, 5])
    assert_array_equal(layout.pointer(np.zeros(0, dtype=np.int32), 2), [0, 0, 0])
    assert layout.pointer(np.array([0], dtype=np.int32), 1).dtype == np.int64


@generated
@given(cases())
def test_entries(case: Case) -> None:
    """Every pair of levels has its entries at the rows of its level, whatever the order of the core's rows."""
    pattern = case.objective().plan.pattern
    peeled, core = elimination_order(pattern)
    shapes = pattern.shapes
    # levels of all core factors in a random order
    rng = np.random.default_rng(0)
    nodes = [(h, level) for h in core for level in range(shapes[h][0])]
    first_row = {h: np.zeros(shapes[h][0], dtype=np.int64) for h in core}
    n_rows, meaning = 0, []
    for i in rng.permutation(len(nodes)):
        h, level = nodes[i]
        first_row[h][level] = n_rows
        meaning += [(h, level, a) for a in range(shapes[h][1])]
        n_rows += shapes[h][1]
    made = {}
    for g in peeled:
        leaves = layout.leaf_pattern(pattern, g, core)
        assert len(leaves.nodes) == sum(len(pattern.oriented(g, h).first) for h in core)
        entries = layout.sort_entries(leaves, first_row, n_rows, shapes)
        assert entries.rows.dtype == np.int32 and entries.indptr.dtype == np.int64
        leaf, seen = owners(entries.indptr), np.zeros(len(entries.rows), dtype=int)
        for h, link, starts in zip(core, leaves.links, entries.starts, strict=True):
            for one, level, start in zip(link.first, link.second, starts, strict=True):
                own = np.arange(start, start + shapes[h][1])
                assert (leaf[own] == one).all()
                assert [meaning[row] for row in entries.rows[own]] == [(h, level, a) for a in range(shapes[h][1])]
                seen[own] += 1
        assert (seen == 1).all()
        same = np.diff(owners(entries.indptr)) == 0
        assert (np.diff(entries.rows)[same] > 0).all()
        made[g] = entries
    for i, g in enumerate(peeled):
        for h in peeled[i + 1 :]:
            parent = pattern.oriented(g, h).second
            targets = layout.parent_targets(made[g], made[h], parent, n_rows)
            assert targets.dtype == np.int32
            assert_array_equal(made[h].rows[targets], made[g].rows)
            assert_array_equal(owners(made[h].indptr)[targets], parent[owners(made[g].indptr)])


@pytest.mark.parametrize(
    ("K", "first_row"),
    [((1, 1), {1: np.array([1, 4, 3]), 2: np.array([0, 2])}), ((2, 3), {1: np.array([3, 10, 8]), 2: np.array([0, 5])})],
)
def test_positions_of_the_cores_own_entries(K: tuple[int, int], first_row: dict[int, np.ndarray]) -> None:
    """All entries of the lower triangle that two factors, of three and two levels, have by themselves, each once."""
    shapes = [(0, 0), (3, K[0]), (2, K[1])]
    link = Oriented(np.array([0, 2], np.int32), np.array([1, 0], np.int32), None)
    rows, columns = layout.core_positions([1, 2], {(1, 2): link}, first_row, shapes)
    n = 3 * K[0] + 2 * K[1]
    found, wanted = np.zeros((n, n), dtype=int), np.zeros((n, n), dtype=int)
    np.add.at(found, (rows, columns), 1)
    for h in (1, 2):
        for start in first_row[h]:
            here = slice(start, start + K[h - 1])
            wanted[here, here] = 1
    for i, j in zip(link.first, link.second, strict=True):
        one = slice(first_row[1][i], first_row[1][i] + K[0])
        other = slice(first_row[2][j], first_row[2][j] + K[1])
        wanted[one, other] = wanted[other, one] = 1
    assert_array_equal(found, np.tril(wanted))
