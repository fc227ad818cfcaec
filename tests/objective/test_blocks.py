"""Where terms stand, whatever their order and that of the factors."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from numpy.testing import assert_array_equal

from lmmsparse.covariance import STRUCTURES
from lmmsparse.objective.blocks import blocks_of, entries_of
from tests.designs import Case, cases, generated


def test_terms_of_two_factors() -> None:
    structures = [STRUCTURES["us"](2), STRUCTURES["homcs"](3), STRUCTURES["diag"](2)]
    first, second, third = blocks_of(structures, [(0, 2), (1,)])
    assert [block.structure for block in (first, second, third)] == structures
    assert (first.parameters, second.parameters, third.parameters) == (slice(0, 3), slice(3, 5), slice(5, 7))
    assert (first.support, second.support, third.support) == (slice(0, 3), slice(3, 9), slice(9, 11))
    assert (first.factor, second.factor, third.factor) == (0, 1, 0)
    assert (first.columns, second.columns, third.columns) == (slice(0, 2), slice(0, 3), slice(2, 4))
    owner, rows, columns = entries_of((first, second, third))
    assert_array_equal(owner, [0] * 3 + [1] * 6 + [0] * 2)
    assert_array_equal(rows, [0, 1, 1, 0, 1, 2, 1, 2, 2, 2, 3])
    assert_array_equal(columns, [0, 0, 1, 0, 0, 0, 1, 1, 2, 2, 3])


@generated
@given(cases())
def test_every_parameter_and_column_has_one_place(case: Case) -> None:
    objective = case.objective()
    assert [block.structure for block in objective.blocks] == [term.structure for term in case.terms]
    theta = np.concatenate([np.arange(block.parameters.start, block.parameters.stop) for block in objective.blocks])
    assert_array_equal(theta, np.arange(case.n_theta))
    for g, shape in enumerate(objective.plan.shapes):
        held = [np.arange(*b.columns.indices(shape[1])) for b in objective.blocks if b.factor == g]
        assert_array_equal(np.sort(np.concatenate(held)), np.arange(shape[1]))
    for block, term in zip(objective.blocks, case.terms, strict=True):
        assert objective.design.blocks[block.factor].group == term.group
        assert block.columns.stop - block.columns.start == term.columns.shape[1]
    owner, rows, columns = entries_of(objective.blocks)
    assert len(owner) == objective.blocks[-1].support.stop and (rows >= columns).all()
    assert len(set(zip(owner.tolist(), rows.tolist(), columns.tolist(), strict=True))) == len(owner)
