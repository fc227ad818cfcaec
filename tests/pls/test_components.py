"""Which levels chains of rows connect."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from lmmsparse.pls.components import level_components, places_in_components
from tests.designs import Case, cases, generated, make_case


def by_union(case: Case) -> np.ndarray:
    """Component of every level, factor after factor, by joining the levels of each row."""
    blocks = case.objective().design.blocks
    starts = np.cumsum([0, *(block.n_levels for block in blocks)])
    component = np.arange(starts[-1])
    for row in np.column_stack([start + block.codes for start, block in zip(starts, blocks, strict=False)]):
        joined = np.isin(component, component[row])
        component[joined] = component[row].min()
    return component


@generated
@given(cases())
def test_components(case: Case) -> None:
    found = level_components(case.objective().products.pattern)
    _, expected = np.unique(by_union(case), return_inverse=True)
    pairs = set(zip(found.tolist(), expected.ravel().tolist(), strict=True))
    assert len(pairs) == len(set(found.tolist())) == expected.max() + 1


def test_levels_of_one_factor_are_alone() -> None:
    found = level_components(make_case("one", [[(2, "us")]]).objective().products.pattern)
    assert len(set(found.tolist())) == 7


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_places(labels: list[int]) -> None:
    component = np.array(labels, dtype=np.int32)
    expected = [labels[:i].count(label) for i, label in enumerate(labels)]
    assert_array_equal(places_in_components(component), expected)
