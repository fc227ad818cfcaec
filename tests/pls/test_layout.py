"""Where the numbers of the cross-products go, against dictionaries of pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal

from lmmsparse.crossproducts.sums import Coupling
from lmmsparse.pls import layout
from lmmsparse.pls.plan import elimination_order
from tests.designs import Case, cases, generated, make_case
from tests.kernels.dense_twins import owners


def pairs_of(link: Coupling) -> dict[tuple[int, int], np.ndarray]:
    return {(int(i), int(j)): block for i, j, block in zip(link.first, link.second, link.values, strict=True)}


def test_oriented_turns_a_coupling_round() -> None:
    products = make_case("crossed", [[(2, True)], [(1, True)]]).objective().working.products
    stored, turned = layout.oriented(products, 0, 1), layout.oriented(products, 1, 0)
    assert stored is products.coupling[0, 1]
    assert_array_equal(np.lexsort((turned.second, turned.first)), np.arange(len(turned.first)))
    there = pairs_of(stored)
    for (j, i), block in pairs_of(turned).items():
        assert_array_equal(block, there.pop((i, j)).T)
    assert not there


def test_pointer() -> None:
    assert_array_equal(layout.pointer(np.array([0, 0, 2, 2, 2], dtype=np.int32), 4), [0, 2, 2, 5, 5])
    assert_array_equal(layout.pointer(np.zeros(0, dtype=np.int32), 2), [0, 0, 0])
    assert layout.pointer(np.array([0], dtype=np.int32), 1).dtype == np.int64


@generated
@given(cases())
def test_entries(case: Case) -> None:
    """Every entry is the value of its pair of levels, whatever the order of the core's rows."""
    products = case.objective().working.products
    peeled, core = elimination_order(products)
    shapes = [d.shape[:2] for d in products.diagonal]
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
        pattern = layout.leaf_pattern(products, g, core)
        assert len(pattern.nodes) == sum(len(layout.oriented(products, g, h).first) for h in core)
        entries = layout.sort_entries(pattern, first_row, n_rows, shapes)
        values = layout.entry_values(pattern, entries, shapes[g][1])
        assert entries.rows.dtype == np.int32 and entries.indptr.dtype == np.int64
        wanted = {h: pairs_of(layout.oriented(products, g, h)) for h in core}
        assert len(values) == sum(len(block) * shapes[h][1] for h, block in wanted.items())
        for leaf, row, value in zip(owners(entries.indptr), entries.rows, values, strict=True):
            h, level, a = meaning[row]
            assert_array_equal(value, wanted[h][leaf, level][:, a])
        same = np.diff(owners(entries.indptr)) == 0
        assert (np.diff(entries.rows)[same] > 0).all()
        made[g] = entries
    for i, g in enumerate(peeled):
        for h in peeled[i + 1 :]:
            parent = layout.oriented(products, g, h).second
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
    link = Coupling(np.array([0, 2], np.int32), np.array([1, 0], np.int32), np.zeros((2, *K)))
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
