"""Covariance parameters that a design cannot tell apart."""

from __future__ import annotations

import numpy as np

from lmmsparse.design.coordinates import working_design
from lmmsparse.design.identifiability import redundant_terms
from tests.designs import make_term

N = 50
GROUP = np.arange(N) % 6
WEIGHTS = np.random.default_rng(0).uniform(0.1, 5.0, size=N)
ONE, (X, Z) = np.ones(N), np.random.default_rng(3).normal(size=(2, N))


def redundant(*columns_and_kind: tuple[list[np.ndarray], bool], groups: str = "gggg") -> tuple[int, ...]:
    made = [
        make_term(GROUP, np.column_stack(columns), group, correlated)
        for (columns, correlated), group in zip(columns_and_kind, groups, strict=False)
    ]
    return redundant_terms(working_design(np.ones((N, 1)), made, WEIGHTS), made, WEIGHTS)


def test_an_intercept_twice() -> None:
    assert redundant(([ONE], True), ([ONE, X], True)) == (0, 1)


def test_the_intercept_twice_in_disguise() -> None:
    dummies = [(GROUP % 2 == i).astype(float) for i in range(2)]
    assert redundant(([ONE], True), (dummies, True)) == (0, 1)


def test_independent_columns() -> None:
    assert redundant(([ONE], True), ([X], True)) == ()
    assert redundant(([ONE, X], False), ([Z], True)) == ()


def test_overlapping_spans_without_the_same_variances() -> None:
    """1 and 1 + x have different squares: their variances can be told apart."""
    assert redundant(([ONE], True), ([ONE + X], True)) == ()
    assert redundant(([ONE], True), ([X], True), ([ONE + X], True)) == ()


def test_other_factors_do_not_count() -> None:
    assert redundant(([ONE], True), ([ONE], True), groups="gh") == ()
