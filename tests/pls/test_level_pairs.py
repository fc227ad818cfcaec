"""Blocks of M⁻¹ for pairs of levels that do not occur together, gathered or solved for."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from lmmsparse import LmmWarning, lmer
from lmmsparse.pls import level_pairs as unseen

Float = NDArray[np.float64]

THETA = np.array([0.9, 0.4, 1.2, -0.3, 0.7])


@pytest.fixture(scope="module")
def crossed() -> Any:
    """Two crossed factors of two columns each; most pairs have no row, and the second is a dense core."""
    rng = np.random.default_rng(5)
    data = {"y": rng.normal(size=120), "x": rng.normal(size=120)}
    data |= {"a": rng.permutation(np.arange(120) % 40), "b": rng.integers(0, 15, 120), "w": rng.uniform(1.0, 3.0, 120)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        return lmer("y ~ x + (x || a) + (x | b)", data, weights="w")


def dense_inverse(m: Any, templates: tuple[Float, ...]) -> Float:
    """M⁻¹ in working coordinates, written out."""
    design, columns = m.objective.design, []
    for block, lam in zip(design.blocks, templates, strict=True):
        Z = np.zeros((len(design.X), block.n_levels, len(lam)))
        Z[np.arange(len(Z)), block.codes] = block.columns @ lam
        columns.append(Z.reshape(len(Z), -1))
    ZL = np.hstack(columns)
    return np.linalg.inv(ZL.T @ (m.frame.weights[:, None] * ZL) + np.eye(ZL.shape[1]))


@pytest.mark.parametrize("chunk", [40, unseen.CHUNK_NUMBERS])
def test_gathered_and_solved_products_are_those_of_the_dense_inverse(
    crossed: Any, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unseen, "CHUNK_NUMBERS", chunk)
    working, rng = crossed.objective.working, np.random.default_rng(6)
    solution = working.exact(THETA).solution
    assert working.plan.core.kind == "dense"
    assert [part.block for part in working.plan.peeled] == [0]
    left = (0, rng.integers(0, 40, 60), rng.normal(size=(60, 2)))
    right = (1, rng.integers(0, 15, 60), rng.normal(size=(60, 2)))
    C = dense_inverse(crossed, solution.templates)
    rows, columns = 2 * left[1][:, None] + np.arange(2), 80 + 2 * right[1][:, None] + np.arange(2)
    expected = np.einsum("ia,iab,ib->i", left[2], C[rows[:, :, None], columns[:, None, :]], right[2])
    inverse = solution.factor.selected_inverse()
    assert_allclose(unseen.unseen_products(solution.factor, inverse, left, right), expected, rtol=1e-9, atol=1e-13)
    assert_allclose(unseen.unseen_products(solution.factor, inverse, right, left), expected, rtol=1e-9, atol=1e-13)
    assert_allclose(unseen._solved_products(solution.factor, left, right), expected, rtol=1e-9, atol=1e-13)


def test_blocks_at_hand(crossed: Any) -> None:
    """Those of pairs that occur together, and all within a dense core."""
    working = crossed.objective.working
    together = np.zeros((40, 15), dtype=bool)
    together[tuple(block.codes for block in crossed.objective.design.blocks)] = True
    a, b = np.repeat(np.arange(40), 15), np.tile(np.arange(15), 40)
    assert np.array_equal(unseen.have_blocks(working.plan, (0, 1), a, b), together.ravel())
    assert np.array_equal(unseen.have_blocks(working.plan, (1, 0), b, a), together.ravel())
    assert unseen.have_blocks(working.plan, (1, 1), b, b).all()
