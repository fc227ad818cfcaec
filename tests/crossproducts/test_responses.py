"""Cross-products with other responses, one and many, against those built anew."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.crossproducts.responses import replace_response, response_products
from lmmsparse.crossproducts.sums import cross_products
from tests.crossproducts.test_sums import assert_same, made
from tests.designs import Case, cases, generated


@generated
@given(cases())
def test_another_response_is_as_if_built_anew(case: Case) -> None:
    design, y = made(case)
    other = np.random.default_rng(1).normal(size=len(y))
    products = cross_products(design, y, case.weights)
    before = [r.copy() for r in products.rhs]
    assert_same(replace_response(products, design, other, case.weights), cross_products(design, other, case.weights))
    for now, then in zip(products.rhs, before, strict=True):
        assert_array_equal(now, then)


@generated
@given(cases(), st.integers(1, 5))
def test_many_responses_are_as_one_after_the_other(case: Case, m: int) -> None:
    design, y = made(case)
    products = cross_products(design, y, case.weights)
    Y = np.random.default_rng(m).normal(size=(len(y), m))
    rhs, fixed, squares = response_products(design, Y, case.weights)
    for j in range(m):
        one = replace_response(products, design, Y[:, j], case.weights)
        for many, single in zip(rhs, one.rhs, strict=True):
            assert_allclose(many[:, :, j], single[:, :, -1], rtol=1e-12, atol=1e-12)
        assert_allclose(fixed[:, j], one.fixed[:-1, -1], rtol=1e-12, atol=1e-12)
        assert_allclose(squares[j], one.fixed[-1, -1], rtol=1e-12)
