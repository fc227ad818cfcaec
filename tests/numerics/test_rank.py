"""Columns that later ones are dropped for, on any scale and from any origin."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.numerics.rank import _clearly_independent, independent_columns, spanning_coefficients


@pytest.fixture
def X() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.column_stack([np.ones(40), rng.normal(size=(40, 3))])


def test_independent_columns_are_all_kept(X: np.ndarray) -> None:
    assert_array_equal(independent_columns(X), [0, 1, 2, 3])


def test_the_later_column_is_dropped(X: np.ndarray) -> None:
    aliased = np.column_stack([X[:, :2], 3 * X[:, 1] - 2, X[:, 2], X[:, 0] + X[:, 2], X[:, 3]])
    assert_array_equal(independent_columns(aliased), [0, 1, 3, 5])


def test_zeros_and_repeated_constants_are_dropped(X: np.ndarray) -> None:
    columns = np.column_stack([np.zeros(40), X[:, 0], np.full(40, 7.0), X[:, 1]])
    assert_array_equal(independent_columns(columns), [1, 3])


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6, 1e12, 1e-300, 1e300])
def test_units_do_not_matter(X: np.ndarray, scale: float) -> None:
    scaled = np.column_stack([X, X[:, 1] - X[:, 2]])
    scaled[:, 2] *= scale
    assert_array_equal(independent_columns(scaled), [0, 1, 2, 3])


def test_a_year_and_its_powers_are_not_a_constant() -> None:
    year = np.tile(np.arange(2001.0, 2021.0), 3)
    powers = np.column_stack([np.ones(60), year, year**2])
    assert_array_equal(independent_columns(powers), [0, 1, 2])
    assert_array_equal(independent_columns(np.column_stack([powers, 2 * year - 5])), [0, 1, 2])


def test_an_origin_of_a_thousand_million_does_not_hide_a_slope(X: np.ndarray) -> None:
    shifted = np.column_stack([X[:, 0], X[:, 1] + 1e9])
    assert_array_equal(independent_columns(shifted), [0, 1])
    # ... and the rounding errors of such a column are no slope
    assert_array_equal(independent_columns(np.column_stack([shifted, shifted[:, 1] / 3])), [0, 1])


def test_more_columns_than_rows() -> None:
    wide = np.random.default_rng(1).normal(size=(3, 5))
    assert_array_equal(independent_columns(wide), [0, 1, 2])


def test_no_columns_or_no_rows() -> None:
    assert len(independent_columns(np.zeros((5, 0)))) == 0
    assert len(independent_columns(np.zeros((0, 2)))) == 0


def test_weights_take_part(X: np.ndarray) -> None:
    weights = np.full(40, 1e-18)
    weights[:20] = 1.0
    half = np.concatenate([X[:20, 1], X[20:, 2]])  # the same as column 1 where there is weight
    columns = np.column_stack([X[:, :2], half])
    assert_array_equal(independent_columns(columns), [0, 1, 2])
    assert_array_equal(independent_columns(columns, weights), [0, 1])


def test_the_input_is_not_changed(X: np.ndarray) -> None:
    before = X.copy()
    independent_columns(X, np.linspace(1, 2, 40))
    assert_array_equal(X, before)


@pytest.mark.parametrize("seed", range(60))
def test_the_quick_answer_is_never_another(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns of any scale, origin and closeness: where the Gram matrix is trusted, the basis agrees."""
    rng = np.random.default_rng(seed)
    n, p = 200, int(rng.integers(1, 6))
    X = rng.normal(size=(n, p)) * 10.0 ** rng.integers(-8, 9, size=p)
    X += 10.0 ** rng.integers(-8, 9, size=p) * rng.integers(2, size=p)
    if p > 2:
        X[:, 2] = X[:, 0] + X[:, 1] + 10.0 ** rng.integers(-12, 1) * X[:, 2]
    if rng.random() < 0.6:
        X[:, rng.integers(2) * (p - 1)] = 1.0
    weights = rng.uniform(0.1, 5, size=n) if rng.random() < 0.5 else None
    quick = _clearly_independent(X, weights)
    found = independent_columns(X, weights)
    monkeypatch.setattr("lmmsparse.numerics.rank._clearly_independent", lambda *_: False)
    assert_array_equal(independent_columns(X, weights), found)
    assert not quick or len(found) == p


def test_the_quick_answer_is_given() -> None:
    """... for ordinary columns; and not where one depends on others, repeats a constant, or where rows are few."""
    rng = np.random.default_rng(0)
    one, x, z = np.ones(100), 2010 + rng.normal(size=100), rng.normal(size=100)
    assert _clearly_independent(np.column_stack([one, x, z]), None)
    assert _clearly_independent(np.column_stack([x, z, x + z**2]), rng.uniform(1, 2, size=100))
    assert _clearly_independent(one[:, None], None)
    for columns in ([one, x, z, x - z], [x, one], [one, 2 * one], [0 * one, x], [one, 1e9 + z]):
        assert not _clearly_independent(np.column_stack(columns), None)
    assert not _clearly_independent(rng.normal(size=(3, 3)), None)


@pytest.mark.parametrize("weighted", [False, True])
def test_columns_that_are_dropped_are_given_by_the_others(X: np.ndarray, weighted: bool) -> None:
    columns = np.column_stack([X[:, :2], 3e8 * X[:, 1] - 2, np.zeros(40), X[:, 2], 1e-9 * (X[:, 0] + X[:, 2]), X[:, 3]])
    weights = np.linspace(0.1, 3.0, 40) if weighted else None
    found = spanning_coefficients(columns, independent_columns(columns, weights), weights)
    want = np.zeros((4, 3))
    want[[0, 1], 0], want[[0, 2], 2] = [-2.0, 3e8], 1e-9
    assert_allclose(found, want, rtol=1e-6, atol=1e-15)
    assert found[2, 0] == found[3, 0] == found[1, 2] == 0.0
    assert spanning_coefficients(X, np.arange(4)).shape == (4, 0)
