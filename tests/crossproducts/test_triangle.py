"""Rows to a triangle."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lmmsparse.crossproducts.triangle import triangular_rows
from tests.designs import make_case


@pytest.mark.parametrize("chunk", [7, 1 << 16])
@pytest.mark.parametrize("weighted", [False, True])
def test_its_square_is_that_of_the_rows(chunk: int, weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmmsparse.numerics.dense.CHUNK", chunk)
    monkeypatch.setattr("lmmsparse.numerics.dense.CHUNK_ROWS", chunk)
    case = make_case("crossed", [[(2, "us"), (1, "us")], [(1, "us")]], n=40, seed=3)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, 40) if weighted else None
    objective = case.objective(weights=weights)
    design = objective.design
    Z = [np.eye(b.n_levels)[b.codes][:, :, None] * b.columns[:, None, :] for b in design.blocks]
    rows = np.hstack([*(z.reshape(40, -1) for z in Z), design.X, objective.y[:, None]])
    R = triangular_rows(design, objective.y, weights)
    assert R.shape == (rows.shape[1],) * 2
    assert_allclose(R, np.triu(R))
    w = np.ones(40) if weights is None else weights
    assert_allclose(R.T @ R, rows.T @ (w[:, None] * rows), atol=1e-12)


def test_fewer_rows_than_columns() -> None:
    case = make_case("crossed", [[(1, "us")], [(1, "us")]], n=12, seed=1)
    objective = case.objective()
    R = triangular_rows(objective.design, objective.y, None)
    assert R.shape[0] == R.shape[1]
    assert R[-1, -1] ** 2 <= objective.y @ objective.y
