"""Sums of stored cross-products: rows whose precision is Σ c_b E_b, on the union of the patterns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from lmmsparse.crossproducts.blocks import CrossProducts, Pattern, combination
from lmmsparse.crossproducts.sums import cross_products
from lmmsparse.pls.factor import Factor
from lmmsparse.pls.plan import plan_of
from lmmsparse.pls.values import lay_out
from tests.crossproducts.test_sums import assert_same, made, products_of
from tests.designs import Case, cases, generated, make_case


def strata(n: int, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(count, size=n)


def summed(
    coefficients: Sequence[float], parts: Sequence[CrossProducts], n: int, log_det: float = 0.0
) -> CrossProducts:
    return combination(coefficients, parts, n=n, log_det=log_det)


@generated
@given(cases(), st.integers(0, 100))
def test_a_sum_of_stored_products_is_that_of_weighted_rows(case: Case, seed: int) -> None:
    """One precision a stratum of rows; each stratum meets pairs of levels of its own."""
    design, y = made(case)
    stratum, c = strata(len(y), 3, seed), np.random.default_rng(seed).uniform(0.2, 4.0, size=3)
    stored = [products_of(design, y, None, stratum == s) for s in range(3)]
    w = c[stratum]
    assert_same(summed(c, stored, len(y), float(np.log(w).sum())), cross_products(design, y, w))


def test_coefficients_may_be_negative() -> None:
    design, y = made(make_case("crossed", [[(2, True)], [(1, True)]]))
    whole, part = cross_products(design, y, None), products_of(design, y, None, np.arange(len(y)) < 20)
    rest = products_of(design, y, None, np.arange(len(y)) >= 20)
    difference = summed((1.0, -1.0), (whole, part), rest.n)
    for key, blocks in rest.on(whole.pattern).coupling.items():
        assert_allclose(difference.coupling[key], blocks, atol=1e-12)
    assert_allclose(difference.fixed, rest.fixed, atol=1e-11)


def test_a_plan_of_the_union_serves_every_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five stored bases, a hundred coefficients: nothing is searched, sorted or ordered again."""
    case = make_case("crossed", [[(2, True)], [(1, True)]], n=200, p=2)
    design, y = made(case)
    stratum = strata(len(y), 5)
    parts = [products_of(design, y, None, stratum == s) for s in range(5)]
    union = summed(np.ones(5), parts, len(y)).pattern
    stored = [part.on(union) for part in parts]
    plan = plan_of(union, 2, ("a", "b"), np.inf)

    def refused(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(Pattern, "oriented", refused)
    monkeypatch.setattr(np, "union1d", refused)
    monkeypatch.setattr(np, "searchsorted", refused)
    rng = np.random.default_rng(1)
    for _ in range(100):
        c = rng.uniform(0.1, 3.0, size=5)
        products = summed(c, stored, len(y))
        assert products.pattern is union
        logdet = Factor(plan, lay_out(plan, products), [np.eye(2), np.eye(1)]).logdet
    monkeypatch.undo()
    anew = cross_products(design, y, c[stratum])
    other = plan_of(anew.pattern, 2, ("a", "b"), np.inf)
    assert Factor(other, lay_out(other, anew), [np.eye(2), np.eye(1)]).logdet == pytest.approx(logdet, rel=1e-12)


def test_numbers_on_another_pattern_are_refused() -> None:
    design, y = made(make_case("crossed", [[(1, True)], [(1, True)]], n=200))
    whole, part = cross_products(design, y, None), products_of(design, y, None, np.arange(200) < 20)
    plan = plan_of(whole.pattern, 2, ("a", "b"), np.inf)
    with pytest.raises(ValueError, match="another pattern"):
        lay_out(plan, part)
    assert_allclose(lay_out(plan, part.on(whole.pattern)).diagonal[0], part.diagonal[0])


def test_factors_of_other_sizes_do_not_add_up() -> None:
    one, other = (cross_products(*made(make_case("crossed", [[(k, True)], [(1, True)]])), None) for k in (1, 2))
    with pytest.raises(ValueError, match="different factors"):
        one + other
