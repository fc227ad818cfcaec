"""The blocks of A = [Z X y]ᵀW[Z X y] against that product, and their sums over parts of the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.crossproducts.blocks import CrossProducts, Pattern
from lmmsparse.crossproducts.responses import response_products
from lmmsparse.crossproducts.sums import cross_products, row_order
from lmmsparse.design.coordinates import WorkingDesign, working_design, working_response
from lmmsparse.pls.plan import plan_of
from lmmsparse.pls.values import lay_out
from tests.designs import Case, cases, generated, make_case


def made(case: Case) -> tuple[WorkingDesign, np.ndarray]:
    design = working_design(case.X, case.terms, case.weights)
    return design, working_response(case.y, design, case.weights)[0]


def rows_of(design: WorkingDesign, rows: np.ndarray) -> WorkingDesign:
    """Some rows in the same coordinates, with the same levels."""
    blocks = tuple(replace(b, codes=b.codes[rows], columns=b.columns[rows]) for b in design.blocks)
    return replace(design, X=design.X[rows], blocks=blocks)


def products_of(design: WorkingDesign, y: np.ndarray, weights: np.ndarray | None, rows: np.ndarray) -> CrossProducts:
    """Cross-products of some rows."""
    return cross_products(rows_of(design, rows), y[rows], None if weights is None else weights[rows])


def indicator_columns(design: WorkingDesign) -> list[np.ndarray]:
    """Z_g of every factor as (n, q, K)."""
    return [np.eye(b.n_levels)[b.codes][:, :, None] * b.columns[:, None, :] for b in design.blocks]


def assert_same(a: CrossProducts, b: CrossProducts) -> None:
    assert a.n == b.n
    assert a.log_det == pytest.approx(b.log_det, abs=1e-12)
    for x, y in zip((*a.diagonal, *a.rhs, a.fixed), (*b.diagonal, *b.rhs, b.fixed), strict=True):
        assert_allclose(x, y, rtol=1e-12, atol=1e-12)
    assert a.pattern.same(b.pattern)
    assert a.coupling.keys() == b.coupling.keys() == a.pattern.pairs.keys()
    for key, block in a.coupling.items():
        assert_allclose(block, b.coupling[key], rtol=1e-12, atol=1e-12)


@generated
@given(cases())
def test_blocks_are_those_of_the_product(case: Case) -> None:
    design, y = made(case)
    products, Z = cross_products(design, y, case.weights), indicator_columns(design)
    w = np.ones(len(y)) if case.weights is None else case.weights
    Xy = np.column_stack([design.X, y])
    assert products.n == len(y) and products.p == case.X.shape[1]
    assert products.log_det == pytest.approx(np.log(w).sum(), abs=1e-12)
    assert_allclose(products.fixed, (Xy.T * w) @ Xy, atol=1e-11)
    for g, Z_g in enumerate(Z):
        assert_allclose(products.diagonal[g], np.einsum("i,ila,ilb->lab", w, Z_g, Z_g), atol=1e-11)
        assert_allclose(products.rhs[g], np.einsum("i,ila,ij->laj", w, Z_g, Xy), atol=1e-11)
        for h in range(g + 1, len(Z)):
            link = products.pattern.pairs[g, h]
            dense = np.einsum("i,ila,imb->lmab", w, Z_g, Z[h])
            assert_allclose(products.coupling[g, h], dense[link.first, link.second], atol=1e-11)
            # all pairs of levels that occur together, each once, in order
            pairs = np.unique(np.stack([design.blocks[g].codes, design.blocks[h].codes], axis=1), axis=0)
            assert_array_equal(np.stack([link.first, link.second], axis=1), pairs)


@generated
@given(cases(), st.integers(0, 100))
def test_parts_of_the_data_add_up(case: Case, seed: int) -> None:
    design, y = made(case)
    part = np.random.default_rng(seed).integers(3, size=len(y))
    pieces = [products_of(design, y, case.weights, part == i) for i in range(3)]
    assert_same(pieces[0] + pieces[1] + pieces[2], cross_products(design, y, case.weights))


def test_adding_changes_neither_summand() -> None:
    design, y = made(make_case("crossed", [[(2, True)], [(1, True)]]))
    half = np.arange(len(y)) < 20
    a, b = (products_of(design, y, None, rows) for rows in (half, ~half))
    before = a.fixed.copy(), a.diagonal[0].copy(), a.coupling[0, 1].copy()
    a + b
    assert_array_equal(a.fixed, before[0])
    assert_array_equal(a.diagonal[0], before[1])
    assert_array_equal(a.coupling[0, 1], before[2])


def test_products_that_cancel_keep_their_place() -> None:
    """The pattern is that of the levels, not of the numbers."""
    case = make_case("crossed", [[(1, True)], [(2, True)]], n=48)
    columns = np.column_stack([np.ones(48), np.zeros(48)])
    terms = (case.terms[0], replace(case.terms[1], columns=columns))
    products = cross_products(*made(replace(case, terms=terms)), None)
    assert not products.coupling[0, 1][:, :, 1].any()
    assert len(products.pattern.pairs[0, 1]) == len(np.unique(case.terms[0].codes * 100 + case.terms[1].codes))


def test_chunks_of_rows_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than one chunk holds; each layout of the responses."""
    case = make_case("crossed", [[(2, True)], [(1, True)]], p=3, n=333, weighted=True)
    (design, y), w = made(case), case.weights
    Y = np.random.default_rng(0).normal(size=(333, 4))
    whole, rhs = cross_products(design, y, w), response_products(design, Y, w)
    monkeypatch.setattr("lmmsparse.numerics.dense.CHUNK", 1)
    monkeypatch.setattr("lmmsparse.numerics.dense.CHUNK_ROWS", 40)
    assert_same(cross_products(design, y, w), whole)
    for layout in (Y, np.asfortranarray(Y)):
        for found, expected in zip(response_products(design, layout, w)[0], rhs[0], strict=True):
            assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
        assert_allclose(response_products(design, layout, w)[1], rhs[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("code", [-1, 8])
def test_codes_outside_of_the_levels_are_refused(code: int) -> None:
    """The kernels would write beside their arrays."""
    design, y = made(make_case("crossed", [[(1, True)], [(1, True)]]))
    codes = design.blocks[0].codes.copy()
    codes[3] = code
    astray = replace(design, blocks=(replace(design.blocks[0], codes=codes), design.blocks[1]))
    with pytest.raises(ValueError, match="between 0 and 7"):
        cross_products(astray, y, None)
    with pytest.raises(ValueError, match="between 0 and 7"):
        response_products(astray, y[:, None], None)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint8, np.int64])
def test_codes_of_any_width(dtype: type) -> None:
    design, y = made(make_case("three crossed", [[(2, True)], [(1, True)], [(1, True)]]))
    blocks = tuple(replace(block, codes=block.codes.astype(dtype)) for block in design.blocks)
    assert_same(cross_products(replace(design, blocks=blocks), y, None), cross_products(design, y, None))


@generated
@given(cases(), st.integers(0, 100))
def test_other_weights_on_sorted_rows_are_as_if_built_anew(case: Case, seed: int) -> None:
    design, y = made(case)
    order = row_order(design)
    w = np.random.default_rng(seed).uniform(0.1, 5.0, size=len(y))
    for weights in (None, w):
        assert_same(cross_products(design, y, weights, order), cross_products(design, y, weights))


def test_weights_change_without_sorting_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in iteratively weighted least squares: rows, pattern and plan are looked at once."""
    case = make_case("three crossed", [[(2, True)], [(1, True)], [(1, True)]], n=200, p=3)
    design, y = made(case)
    order = row_order(design)
    plan = plan_of(order.pattern, design.X.shape[1], ("a", "b", "c"), np.inf)
    first = lay_out(plan, cross_products(design, y, None, order))

    def refused(*_: object) -> None:
        raise AssertionError("sorted again")

    for name in ("rows_by_level", "rows_by_pair", "count_pairs"):
        monkeypatch.setattr(f"lmmsparse.crossproducts.sums.{name}", refused)
    for name in ("choose_core", "leaf_pattern", "sort_entries", "parent_targets"):
        monkeypatch.setattr(f"lmmsparse.pls.plan.{name}", refused)
    monkeypatch.setattr(Pattern, "oriented", refused)
    rng = np.random.default_rng(0)
    for _ in range(100):
        products = cross_products(design, y, rng.uniform(0.1, 3.0, size=len(y)), order)
        assert products.pattern is order.pattern
        values = lay_out(plan, products)
        assert [e.shape for e in values.entries] == [e.shape for e in first.entries]
