"""Working coordinates: exact factorizations of the columns, whatever their scale and origin, and maps back."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.covariance.protocols import Keeps
from lmmsparse.design.coordinates import (
    WorkingDesign,
    orthonormal_columns,
    term_coordinates,
    theta_maps,
    working_design,
    working_response,
    working_responses,
)
from lmmsparse.numerics.orthonormal import orthonormalized
from tests.designs import make_term, random_theta
from tests.oracle import KEYWORDS

N = 50
GROUP = np.arange(N) % 6
WEIGHTS = np.random.default_rng(0).uniform(0.1, 5.0, size=N)


@pytest.fixture(params=["few rows", "many rows"], autouse=True)
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty rows are few; as many rows are treated, fifty are worked on in four blocks by Cholesky's way."""
    if request.param == "many rows":
        monkeypatch.setattr("lmmsparse.numerics.orthonormal.FEW_NUMBERS", 0)
        monkeypatch.setattr("lmmsparse.numerics.dense.CHUNK", 0)
        monkeypatch.setattr("lmmsparse.numerics.dense.CHUNK_ROWS", 13)


@pytest.fixture(params=[False, True], ids=["unweighted", "weighted"])
def weights(request: pytest.FixtureRequest) -> np.ndarray | None:
    return WEIGHTS if request.param else None


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def gram(Q: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return Q.T @ (Q if weights is None else weights[:, None] * Q) / len(Q)


SCALES = [(1.0, 0.0), (1e6, 0.0), (1e-6, 0.0), (1.0, 1e9), (1e6, 1e9), (1e-6, 1e3), (1e6, -1e15)]


class TestFixedColumns:
    @pytest.mark.parametrize(("scale", "shift"), SCALES)
    def test_exact_and_orthonormal(
        self, weights: np.ndarray | None, scale: float, shift: float, rng: np.random.Generator
    ) -> None:
        X = np.column_stack([np.ones(N), shift + scale * rng.normal(size=N), rng.normal(size=N)])
        before = X.copy()
        Q, B = orthonormal_columns(X, weights)
        assert_allclose(gram(Q, weights), np.eye(3), atol=1e-12)
        size = np.abs(Q) @ np.abs(B)
        assert (np.abs(Q @ B - X) <= 1e-14 * size).all()
        assert_array_equal(X, before)

    @pytest.mark.parametrize(("scale", "shift"), SCALES)
    def test_the_spread_survives_the_origin(
        self, weights: np.ndarray | None, scale: float, shift: float, rng: np.random.Generator
    ) -> None:
        x = rng.normal(size=N)
        column = shift + scale * x
        Q, _ = orthonormal_columns(np.column_stack([np.ones(N), column]), weights)
        centred = (column - shift) / scale  # what rounding has left of x
        centred = centred - np.average(centred, weights=weights)
        expected = centred / np.sqrt(gram(centred[:, None], weights)[0, 0])
        assert_allclose(np.abs(Q[:, 1]), np.abs(expected), rtol=1e-6, atol=1e-6)

    def test_without_an_intercept_nothing_is_centred(
        self, weights: np.ndarray | None, rng: np.random.Generator
    ) -> None:
        X = 100 + rng.normal(size=(N, 2))
        Q, B = orthonormal_columns(X, weights)
        assert_allclose(Q @ B, X, rtol=1e-12)
        assert_allclose(np.triu(B), B)
        assert_allclose(gram(Q, weights), np.eye(2), atol=1e-10)

    def test_a_constant_that_is_not_the_first_column(
        self, weights: np.ndarray | None, rng: np.random.Generator
    ) -> None:
        X = np.column_stack([1e9 + rng.normal(size=N), np.full(N, -7.0)])
        Q, B = orthonormal_columns(X, weights)
        assert_allclose(gram(Q, weights), np.eye(2), atol=1e-12)
        assert_allclose(Q @ B, X, rtol=1e-14)

    def test_no_columns(self) -> None:
        Q, B = orthonormal_columns(np.zeros((N, 0)), None)
        assert Q.shape == (N, 0) and B.shape == (0, 0)


class TestTermColumns:
    @pytest.mark.parametrize(("scale", "shift"), SCALES[:6])
    @pytest.mark.parametrize("keeps", Keeps)
    def test_exact(
        self, weights: np.ndarray | None, scale: float, shift: float, keeps: Keeps, rng: np.random.Generator
    ) -> None:
        C = np.column_stack([np.ones(N), shift + scale * rng.normal(size=N), rng.normal(size=N)])
        before = C.copy()
        working, L = term_coordinates(C, weights, keeps)
        assert_array_equal(L, np.tril(L))
        assert (np.diag(L) > 0).all()
        assert (np.abs(working @ L - C) <= 1e-13 * (np.abs(working) @ np.abs(L))).all()
        assert_array_equal(C, before)
        squares = np.diag(gram(working, weights))
        if keeps is Keeps.SCALE:  # one unit for all columns
            assert_array_equal(np.diag(L), L[0, 0])
            assert squares.mean() == pytest.approx(1.0, rel=1e-12)
        else:
            assert_allclose(squares, 1, rtol=1e-12)
        if keeps is Keeps.TRIANGULAR:
            assert_allclose(gram(working, weights), np.eye(3), atol=1e-6 if shift else 1e-12)
        else:
            assert_array_equal(L, np.diag(np.diag(L)))

    def test_an_intercept_stays_one_number(self, weights: np.ndarray | None) -> None:
        column = np.broadcast_to(1.0, (N, 1))
        working, L = term_coordinates(column, weights, Keeps.TRIANGULAR)
        assert working.shape == (N, 1) and working.strides[0] == 0
        assert_allclose(gram(working, weights), [[1]])
        assert_allclose(working @ L, column)

    def test_dependent_columns_are_only_scaled(self, rng: np.random.Generator) -> None:
        x = rng.normal(size=N)
        working, L = term_coordinates(np.column_stack([x, 2 * x, np.zeros(N)]), None, Keeps.TRIANGULAR)
        assert_array_equal(L, np.diag(np.diag(L)))
        assert_allclose(working @ L, np.column_stack([x, 2 * x, np.zeros(N)]))
        assert_allclose(np.diag(gram(working, None)), [1, 1, 0])

    def test_more_columns_than_rows(self, rng: np.random.Generator) -> None:
        C = rng.normal(size=(2, 3))
        working, L = term_coordinates(C, None, Keeps.TRIANGULAR)
        assert_allclose(working @ L, C)


def example(weights: np.ndarray | None = None, kind: str = "diag") -> tuple[WorkingDesign, list]:
    rng = np.random.default_rng(2)
    x, z = 3 + rng.normal(size=N), rng.normal(size=N)
    terms = [
        make_term(GROUP, np.column_stack([np.ones(N), x]), "g"),
        make_term(GROUP % 3, None, "h"),
        make_term(GROUP, np.column_stack([z, x]), "g", kind),
    ]
    return working_design(np.column_stack([np.ones(N), x]), terms, weights), terms


class TestDesign:
    def test_terms_of_one_factor_are_one_block(self, weights: np.ndarray | None) -> None:
        design, terms = example(weights)
        assert [block.group for block in design.blocks] == ["g", "h"]
        assert [block.terms for block in design.blocks] == [(0, 2), (1,)]
        assert design.blocks[0].columns.shape == (N, 4)
        maps = design.coordinates.term_maps
        assert_allclose(design.blocks[0].columns[:, :2] @ maps[0], terms[0].columns, rtol=1e-12)
        assert_allclose(design.blocks[0].columns[:, 2:] @ maps[2], terms[2].columns, rtol=1e-12)
        assert_array_equal(design.blocks[1].codes, GROUP % 3)
        assert (design.blocks[0].n_levels, design.blocks[1].n_levels) == (6, 3)

    @pytest.mark.parametrize("kind", KEYWORDS)
    def test_templates_map_as_columns_do(self, kind: str, rng: np.random.Generator) -> None:
        """C λ = C_working λ_working for every θ."""
        design, terms = example(None, kind)
        T = theta_maps(design.coordinates.term_maps, terms)
        theta = np.concatenate([random_theta(t.structure.keyword, t.structure.size, rng) for t in terms])
        working, start = T @ theta, 0
        for term, L in zip(terms, design.coordinates.term_maps, strict=True):
            part = slice(start, start + term.structure.n_theta)
            assert_allclose(
                term.structure.template(working[part]), L @ term.structure.template(theta[part]), atol=1e-14
            )
            start = part.stop


class TestResponse:
    @pytest.mark.parametrize("shift", [0.0, 1e9])
    @pytest.mark.parametrize("scale", [1.0, 1e-8, 1e8])
    def test_residual_of_unit_mean_square(
        self, weights: np.ndarray | None, shift: float, scale: float, rng: np.random.Generator
    ) -> None:
        design, _ = example(weights)
        y = scale * (shift + rng.normal(size=N))
        before = y.copy()
        working, coordinates = working_response(y, design, weights)
        assert_allclose(gram(working[:, None], weights), [[1]])
        w = np.ones(N) if weights is None else weights
        assert_allclose(design.X.T @ (w * working) / N, 0, atol=1e-14)
        # start belongs to the user's X = Q B
        X = design.X @ design.coordinates.fixed_map
        assert_allclose(
            X @ coordinates.start + coordinates.scale * working, y, rtol=1e-13, atol=1e-13 * scale * (1 + shift)
        )
        assert not coordinates.exact
        assert_array_equal(y, before)

    def test_without_fixed_effects(self, rng: np.random.Generator) -> None:
        design = working_design(np.zeros((N, 0)), [make_term(GROUP)], None)
        y = 5 + rng.normal(size=N)
        working, coordinates = working_response(y, design, None)
        assert_allclose(coordinates.scale * working, y)
        assert coordinates.start.shape == (0,)

    @pytest.mark.parametrize("shift", [0.0, 3.0, 1e9])
    @pytest.mark.parametrize("scale", [1.0, 1e-8, 1e8])
    def test_a_response_in_the_span_of_x_is_exact(self, weights: np.ndarray | None, shift: float, scale: float) -> None:
        design, _ = example(weights)
        X = design.X @ design.coordinates.fixed_map
        y = scale * (shift + 2 * X[:, 1])
        _, coordinates = working_response(y, design, weights)
        assert coordinates.exact
        assert_allclose(X @ coordinates.start, y, rtol=1e-12)

    def test_noise_of_one_in_a_million_is_not_exact(self, rng: np.random.Generator) -> None:
        design, _ = example()
        X = design.X @ design.coordinates.fixed_map
        _, coordinates = working_response(1e9 + 2 * X[:, 1] + 1e-4 * rng.normal(size=N), design, None)
        assert not coordinates.exact

    @pytest.mark.parametrize("unit", [1e-26, 1e26])
    def test_units_of_the_weights_make_nothing_exact(self, rng: np.random.Generator, unit: float) -> None:
        design, _ = example(unit * WEIGHTS)
        x = (design.X @ design.coordinates.fixed_map)[:, 1]
        assert not working_response(3 + 2 * x + 1e-6 * rng.normal(size=N), design, unit * WEIGHTS)[1].exact
        assert working_response(3 + 2 * x, design, unit * WEIGHTS)[1].exact


class TestManyResponses:
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_each_is_as_if_alone(self, weights: np.ndarray | None, order: str, rng: np.random.Generator) -> None:
        design, _ = example(weights)
        X = design.X @ design.coordinates.fixed_map
        Y = np.column_stack([rng.normal(size=N), 1e9 + rng.normal(size=N), np.zeros(N), 3 - X[:, 1], 1e-200 * X[:, 0]])
        Y = np.asarray(Y, order=order)
        before = Y.copy()
        working, many = working_responses(Y, design, weights)
        assert_array_equal(Y, before)
        for j in range(Y.shape[1]):
            y, one = working_response(Y[:, j], design, weights)
            assert one.exact == many.exact[j]
            assert_allclose(many.start[:, j], one.start, rtol=1e-12, atol=1e-15 * np.abs(Y[:, j]).max())
            if not one.exact:
                assert_allclose(working[:, j], y, atol=1e-6)  # 1e9 costs nine digits
                assert_allclose(many.scale[j], one.scale, rtol=1e-7)
        assert_array_equal(many.exact, [False, False, True, True, True])


class TestOrthonormalized:
    """Columns from nearly independent to all but dependent: both ways are taken."""

    @pytest.mark.parametrize("lower", [False, True])
    @pytest.mark.parametrize("closeness", [1.0, 1e-3, 1e-5, 1e-7, 1e-9])
    def test_orthonormal_and_exact(self, closeness: float, lower: bool, rng: np.random.Generator) -> None:
        C = rng.normal(size=(N, 4))
        C[:, 3] = C[:, 0] - C[:, 1] + closeness * C[:, 3]
        C[:, 2] *= 1e-3
        Q, R = orthonormalized(np.array(C, order="F"), lower)
        assert_array_equal(R, np.tril(R) if lower else np.triu(R))
        assert_allclose(gram(Q, None), np.eye(4), atol=1e-14)
        assert_allclose(Q @ R, C, rtol=0, atol=1e-14 * np.abs(C).max())
        assert_allclose(Q @ R[:, 2], C[:, 2], rtol=0, atol=1e-14 * np.abs(C[:, 2]).max() / (1 if lower else 1e-3))

    def test_the_same_by_either_way(self, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
        C = rng.normal(size=(N, 3))
        Q, R = orthonormalized(np.array(C, order="F"))
        monkeypatch.setattr("lmmsparse.numerics.orthonormal.WELL_CONDITIONED", 0.0)
        other, beside = orthonormalized(np.array(C, order="F"))
        signs = np.sign(np.diag(R)) * np.sign(np.diag(beside))
        assert_allclose(other * signs, Q, atol=1e-14)
        assert_allclose(beside * signs[:, None], R, atol=1e-14)
