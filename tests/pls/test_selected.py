"""Selected inverse against the inverse, entry by entry of the factor's pattern."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csc_array

from lmmsparse.pls.ordering import Supernodes, amalgamate, supernodes
from lmmsparse.pls.selected import fill_panels, panel_layout, selected_inverse
from tests.pls.test_ordering import SHAPES, as_lower, eliminated, symmetric_pattern


def definite(S: np.ndarray, seed: int) -> np.ndarray:
    """A positive definite matrix of a pattern."""
    values = np.where(S, np.random.default_rng(seed).normal(size=S.shape), 0.0)
    values = np.tril(values, -1) + np.tril(values, -1).T
    return values + np.diag(np.abs(values).sum(axis=1) + 0.5)


def inverse_on_pattern(nodes: Supernodes, L: np.ndarray) -> np.ndarray:
    """Lower triangle of the selected inverse, zero elsewhere."""
    n, layout = len(L), panel_layout(nodes)
    factor = csc_array(L)
    factor.sort_indices()
    values = selected_inverse(fill_panels(factor, nodes, layout), nodes, layout)
    return np.tril(csc_array((values, layout.indices, layout.indptr), shape=(n, n)).toarray())


@pytest.mark.parametrize("merge", [False, True], ids=["fundamental", "merged"])
@pytest.mark.parametrize(("shape", "n"), [(shape, n) for shape in SHAPES for n in (1, 2, 3, 40)])
def test_selected_inverse(shape: str, n: int, merge: bool) -> None:
    S = symmetric_pattern(shape, n, seed=n)
    M = definite(S, seed=1)
    nodes = supernodes(as_lower(S))
    found = inverse_on_pattern(amalgamate(nodes) if merge else nodes, np.linalg.cholesky(M))
    on_pattern = eliminated(S)
    assert_allclose(found[on_pattern], np.linalg.inv(M)[on_pattern], rtol=1e-11, atol=1e-14)


def test_zeros_where_no_panel_has_a_place_are_passed_over() -> None:
    S = symmetric_pattern("sparser", 30, seed=2)
    M = definite(S, seed=3)
    L = np.linalg.cholesky(M)
    rows, columns = np.nonzero(np.tril(np.ones_like(L)))
    padded = csc_array((L[rows, columns], (rows, columns)), shape=L.shape)  # every entry is stored, zero or not
    assert padded.nnz == 30 * 31 / 2
    nodes = supernodes(as_lower(S))
    layout = panel_layout(nodes)
    trimmed = csc_array(L)
    trimmed.sort_indices()
    assert_allclose(fill_panels(padded, nodes, layout), fill_panels(trimmed, nodes, layout))
