"""The blocks of A = [Z X y]ᵀW[Z X y] against that product, and their sums over parts of the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.crossproducts.sums import CrossProducts, cross_products, replace_response, response_products
from lmmsparse.design.coordinates import WorkingDesign, working_design, working_response
from tests.designs import Case, cases, generated, make_case


def made(case: Case) -> tuple[WorkingDesign, np.ndarray]:
    design = working_design(case.X, case.terms, case.weights)
    return design, working_response(case.y, design)[0]


def rows_of(design: WorkingDesign, rows: np.ndarray) -> WorkingDesign:
    """Some rows in the same coordinates, with the same levels."""
    blocks = tuple(replace(b, codes=b.codes[rows], columns=b.columns[rows]) for b in design.blocks)
    weights = None if design.weights is None else design.weights[rows]
    return replace(design, X=design.X[rows], blocks=blocks, weights=weights)


def indicator_columns(design: WorkingDesign) -> list[np.ndarray]:
    """Z_g of every factor as (n, q, K)."""
    return [np.eye(b.n_levels)[b.codes][:, :, None] * b.columns[:, None, :] for b in design.blocks]


def assert_same(a: CrossProducts, b: CrossProducts) -> None:
    assert a.n == b.n
    assert a.sum_log_weights == pytest.approx(b.sum_log_weights, abs=1e-12)
    for x, y in zip((*a.diagonal, *a.rhs, a.fixed), (*b.diagonal, *b.rhs, b.fixed), strict=True):
        assert_allclose(x, y, rtol=1e-12, atol=1e-12)
    assert a.coupling.keys() == b.coupling.keys()
    for key, block in a.coupling.items():
        assert_array_equal(block.first, b.coupling[key].first)
        assert_array_equal(block.second, b.coupling[key].second)
        assert_allclose(block.values, b.coupling[key].values, rtol=1e-12, atol=1e-12)


@generated
@given(cases())
def test_blocks_are_those_of_the_product(case: Case) -> None:
    design, y = made(case)
    products, Z = cross_products(design, y), indicator_columns(design)
    w = np.ones(len(y)) if case.weights is None else case.weights
    Xy = np.column_stack([design.X, y])
    assert products.n == len(y) and products.p == case.X.shape[1]
    assert products.sum_log_weights == pytest.approx(np.log(w).sum(), abs=1e-12)
    assert_allclose(products.fixed, (Xy.T * w) @ Xy, atol=1e-11)
    for g, Z_g in enumerate(Z):
        assert_allclose(products.diagonal[g], np.einsum("i,ila,ilb->lab", w, Z_g, Z_g), atol=1e-11)
        assert_allclose(products.rhs[g], np.einsum("i,ila,ij->laj", w, Z_g, Xy), atol=1e-11)
        for h in range(g + 1, len(Z)):
            link = products.coupling[g, h]
            dense = np.einsum("i,ila,imb->lmab", w, Z_g, Z[h])
            assert_allclose(link.values, dense[link.first, link.second], atol=1e-11)
            # all pairs of levels that occur together, each once, in order
            pairs = np.unique(np.stack([design.blocks[g].codes, design.blocks[h].codes], axis=1), axis=0)
            assert_array_equal(np.stack([link.first, link.second], axis=1), pairs)


@generated
@given(cases(), st.integers(0, 100))
def test_parts_of_the_data_add_up(case: Case, seed: int) -> None:
    design, y = made(case)
    part = np.random.default_rng(seed).integers(3, size=len(y))
    pieces = [cross_products(rows_of(design, part == i), y[part == i]) for i in range(3)]
    whole = cross_products(design, y)
    assert_same(pieces[0] + pieces[1] + pieces[2], whole)
    assert_same(pieces[0].update(rows_of(design, part != 0), y[part != 0]), whole)


def test_adding_changes_neither_summand() -> None:
    design, y = made(make_case("crossed", [[(2, True)], [(1, True)]]))
    half = np.arange(len(y)) < 20
    a, b = (cross_products(rows_of(design, rows), y[rows]) for rows in (half, ~half))
    before = a.fixed.copy(), a.diagonal[0].copy(), a.coupling[0, 1].values.copy()
    a + b
    assert_array_equal(a.fixed, before[0])
    assert_array_equal(a.diagonal[0], before[1])
    assert_array_equal(a.coupling[0, 1].values, before[2])


@generated
@given(cases())
def test_another_response_is_as_if_built_anew(case: Case) -> None:
    design, y = made(case)
    other = np.random.default_rng(1).normal(size=len(y))
    products = cross_products(design, y)
    before = [r.copy() for r in products.rhs]
    assert_same(replace_response(products, design, other), cross_products(design, other))
    for now, then in zip(products.rhs, before, strict=True):
        assert_array_equal(now, then)


def test_products_that_cancel_keep_their_place() -> None:
    """The pattern is that of the levels, not of the numbers."""
    case = make_case("crossed", [[(1, True)], [(2, True)]], n=48)
    columns = np.column_stack([np.ones(48), np.zeros(48)])
    terms = (case.terms[0], replace(case.terms[1], columns=columns))
    products = cross_products(*made(replace(case, terms=terms)))
    link = products.coupling[0, 1]
    assert not link.values[:, :, 1].any()
    assert len(link.first) == len(np.unique(case.terms[0].codes * 100 + case.terms[1].codes))


@generated
@given(cases(), st.integers(1, 5))
def test_many_responses_are_as_one_after_the_other(case: Case, m: int) -> None:
    design, y = made(case)
    products = cross_products(design, y)
    Y = np.random.default_rng(m).normal(size=(len(y), m))
    rhs, fixed, squares = response_products(design, Y)
    for j in range(m):
        one = replace_response(products, design, Y[:, j])
        for many, single in zip(rhs, one.rhs, strict=True):
            assert_allclose(many[:, :, j], single[:, :, -1], rtol=1e-12, atol=1e-12)
        assert_allclose(fixed[:, j], one.fixed[:-1, -1], rtol=1e-12, atol=1e-12)
        assert_allclose(squares[j], one.fixed[-1, -1], rtol=1e-12)


def test_chunks_of_rows_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than one chunk holds; each layout of the responses."""
    design, y = made(make_case("crossed", [[(2, True)], [(1, True)]], p=3, n=333, weighted=True))
    Y = np.random.default_rng(0).normal(size=(333, 4))
    whole, rhs = cross_products(design, y), response_products(design, Y)
    monkeypatch.setattr("lmmsparse.numerics.dense.CHUNK", 1)
    monkeypatch.setattr("lmmsparse.numerics.dense.CHUNK_ROWS", 40)
    assert_same(cross_products(design, y), whole)
    for layout in (Y, np.asfortranarray(Y)):
        for found, expected in zip(response_products(design, layout)[0], rhs[0], strict=True):
            assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
        assert_allclose(response_products(design, layout)[1], rhs[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("code", [-1, 8])
def test_codes_outside_of_the_levels_are_refused(code: int) -> None:
    """The kernels would write beside their arrays."""
    design, y = made(make_case("crossed", [[(1, True)], [(1, True)]]))
    codes = design.blocks[0].codes.copy()
    codes[3] = code
    astray = replace(design, blocks=(replace(design.blocks[0], codes=codes), design.blocks[1]))
    with pytest.raises(ValueError, match="between 0 and 7"):
        cross_products(astray, y)
    with pytest.raises(ValueError, match="between 0 and 7"):
        response_products(astray, y[:, None])


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint8, np.int64])
def test_codes_of_any_width(dtype: type) -> None:
    design, y = made(make_case("three crossed", [[(2, True)], [(1, True)], [(1, True)]]))
    blocks = tuple(replace(block, codes=block.codes.astype(dtype)) for block in design.blocks)
    assert_same(cross_products(replace(design, blocks=blocks), y), cross_products(design, y))
