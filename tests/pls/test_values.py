"""The blocks of ZᵀWZ in the layout of a plan, against dictionaries of pairs of levels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from lmmsparse.crossproducts.blocks import CrossProducts
from lmmsparse.crossproducts.sums import cross_products
from lmmsparse.pls.plan import plan_of
from lmmsparse.pls.values import lay_out
from tests.designs import Case, cases, generated
from tests.kernels.dense_twins import owners


def blocks_of(products: CrossProducts, g: int, h: int) -> dict[tuple[int, int], np.ndarray]:
    """Block of every pair of levels, whichever way it is stored."""
    if g > h:
        return {(j, i): block.T for (i, j), block in blocks_of(products, h, g).items()}
    link = products.pattern.pairs[g, h]
    pairs = zip(link.first.tolist(), link.second.tolist(), strict=True)
    return dict(zip(pairs, products.coupling[g, h], strict=True))


@generated
@given(cases())
def test_every_block_has_its_place(case: Case) -> None:
    objective = case.objective()
    plan, products = objective.plan, objective.working.products
    values, core = lay_out(plan, products), plan.core
    meaning = {}
    for h in core.blocks:
        for level, row in enumerate(core.first_row[h].tolist()):
            meaning |= {row + a: (h, level, a) for a in range(plan.shapes[h][1])}
    for part, entries, parents in zip(plan.peeled, values.entries, values.parents, strict=True):
        for leaf, row, value in zip(owners(part.indptr), part.rows.tolist(), entries, strict=True):
            h, level, a = meaning[row]
            assert_array_equal(value, blocks_of(products, part.block, h)[leaf, level][:, a])
        for j, blocks in parents.items():
            stored = blocks_of(products, part.block, plan.peeled[j].block)
            for leaf, (parent, block) in enumerate(zip(part.parents[j].tolist(), blocks, strict=True)):
                assert_array_equal(block, stored[leaf, parent].T)
    for (g, h), link in core.links.items():
        stored = blocks_of(products, g, h)
        for i, j, block in zip(link.first, link.second, values.core_pairs[g, h], strict=True):
            assert_array_equal(block, stored[i, j])
        assert len(stored) == len(link.first)


@generated
@given(cases(), st.integers(0, 100))
def test_an_old_plan_lays_out_other_weights_as_a_new_one(case: Case, seed: int) -> None:
    objective = case.objective()
    w = np.random.default_rng(seed).uniform(0.1, 5.0, size=len(case.y))
    products = cross_products(objective.design, objective.y, w)
    new_plan = plan_of(products.pattern, products.p, objective.plan.groups, np.inf)
    old, new = lay_out(objective.plan, products), lay_out(new_plan, products)
    for one, other in zip((*old.diagonal, *old.entries), (*new.diagonal, *new.entries), strict=True):
        assert_array_equal(one, other)
    for one, other in zip(old.parents, new.parents, strict=True):
        assert one.keys() == other.keys() and all(np.array_equal(one[j], other[j]) for j in one)
    assert all(np.array_equal(old.core_pairs[key], new.core_pairs[key]) for key in new.core_pairs)
