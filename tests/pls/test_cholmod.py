"""The adapter for both interfaces of scikit-sparse, and for machines that have none."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csc_array

from lmmsparse.errors import FactorizationError, LmmError, MissingDependencyError
from lmmsparse.fitting import fit
from lmmsparse.pls.cholmod import SparseCholesky
from tests.designs import Case, make_term, needs_cholmod
from tests.pls.test_ordering import as_lower, symmetric_pattern
from tests.pls.test_selected import definite


def module_of_the_second_generation() -> ModuleType:
    """Stands for sksparse.cholmod 0.5: symbolic when made, numeric after ``factorize``, ``factor`` a read-only view."""
    module = ModuleType("sksparse.cholmod")
    module.silent = False  # type: ignore[attr-defined]

    class CholmodError(Exception):
        pass

    class CholmodNotPositiveDefiniteError(CholmodError):
        pass

    class CholmodOutOfMemoryError(MemoryError, CholmodError):
        pass

    class CholmodOverflowError(CholmodError):
        pass

    class CholeskyFactor:
        def __init__(self, A: csc_array, *, lower: bool = True, supernodal_mode: str | None = None) -> None:
            assert lower
            self.pattern = (A.indptr.copy(), A.indices.copy())
            self.perm = np.arange(A.shape[0])[::-1]
            self.perm.setflags(write=False)
            self.L: csc_array | None = None

        def copy(self) -> CholeskyFactor:
            twin = object.__new__(CholeskyFactor)
            twin.__dict__ |= self.__dict__
            return twin

        def factorize(self, A: csc_array, ldl: bool | None = None) -> CholeskyFactor:
            assert ldl is False
            assert self.L is None, "a numeric factorization may have changed the symbolic one: factor a copy"
            assert_array_equal(A.indptr, self.pattern[0])
            assert_array_equal(A.indices, self.pattern[1])
            M = np.tril(A.toarray()) + np.tril(A.toarray(), -1).T
            try:
                self.L = csc_array(np.linalg.cholesky(M[np.ix_(self.perm, self.perm)]))
            except np.linalg.LinAlgError:
                if not module.silent:  # type: ignore[attr-defined]
                    raise CholmodNotPositiveDefiniteError from None
                self.L = csc_array(np.diag(np.where(np.diag(M) < 0, np.nan, 1.0)))
            return self

        @property
        def factor(self) -> csc_array:
            assert self.L is not None
            self.L.data.setflags(write=False)
            return self.L

    for kind in (
        CholmodError,
        CholmodNotPositiveDefiniteError,
        CholmodOutOfMemoryError,
        CholmodOverflowError,
        CholeskyFactor,
    ):
        setattr(module, kind.__name__, kind)
    return module


@pytest.fixture(params=[pytest.param("first", marks=needs_cholmod), "second"])
def generation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both interfaces, one after the other."""
    if request.param == "second":
        package = ModuleType("sksparse")
        package.cholmod = module_of_the_second_generation()  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "sksparse", package)
    elif hasattr(pytest.importorskip("sksparse.cholmod"), "CholeskyFactor"):
        pytest.skip("the scikit-sparse of this machine has the second interface")
    return str(request.param)


@pytest.mark.parametrize("shape", ["random", "sparser", "star backwards", "dense", "diagonal"])
def test_factor_of_the_permuted_matrix(generation: str, shape: str) -> None:
    S = symmetric_pattern(shape, 40)
    cholesky = SparseCholesky(as_lower(S))
    order = cholesky.permutation
    for seed in (1, 2):  # the second time on the same analysis
        M = definite(S, seed)
        L = cholesky.factorize(csc_array(as_lower(np.where(S, M, 0.0))))
        assert_allclose(L.toarray(), np.linalg.cholesky(M[np.ix_(order, order)]), rtol=1e-10, atol=1e-13)
        assert L.has_sorted_indices


def test_zeros_in_the_analysed_pattern_are_values_like_any_other(generation: str) -> None:
    S = symmetric_pattern("dense", 30)
    cholesky = SparseCholesky(as_lower(S))
    lower = as_lower(S)
    diagonal = csc_array(
        (
            np.where(lower.indices == np.repeat(np.arange(30), np.diff(lower.indptr)), 4.0, 0.0),
            lower.indices,
            lower.indptr,
        ),
        shape=(30, 30),
    )
    assert diagonal.nnz == lower.nnz
    assert_allclose(cholesky.factorize(diagonal).toarray(), 2 * np.eye(30))
    M = definite(S, 3)
    L = cholesky.factorize(as_lower(M)).toarray()
    assert_allclose(L, np.linalg.cholesky(M[np.ix_(cholesky.permutation, cholesky.permutation)]), atol=1e-12)


@pytest.mark.parametrize("shape", ["sparser", "dense"])
def test_an_indefinite_matrix_is_refused(generation: str, shape: str) -> None:
    S = symmetric_pattern(shape, 40)
    M = definite(S, 1)
    M[7, 7] = -1.0
    cholesky = SparseCholesky(as_lower(S))
    with pytest.raises(FactorizationError, match="not positive definite"):
        cholesky.factorize(as_lower(M))


def test_an_indefinite_matrix_that_cholmod_has_accepted_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("sksparse")
    package.cholmod = module_of_the_second_generation()  # type: ignore[attr-defined]
    package.cholmod.silent = True
    monkeypatch.setitem(sys.modules, "sksparse", package)
    S = symmetric_pattern("dense", 5)
    M = definite(S, 1)
    M[3, 3] = -1.0
    with pytest.raises(FactorizationError, match="not positive definite"):
        SparseCholesky(as_lower(S)).factorize(as_lower(M))


def test_without_scikit_sparse_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sksparse", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'lmmsparse\[cholmod\]'") as caught:
        SparseCholesky(as_lower(np.eye(3, dtype=bool)))
    assert isinstance(caught.value, LmmError) and isinstance(caught.value, ImportError)


class TestWithoutScikitSparse:
    """Dense cores need no CHOLMOD; sparse ones that are not too large are factored densely."""

    def ring(self, levels: int) -> Case:
        """Levels of two factors that meet one after the other: a core that is sparse when it is large."""
        rng = np.random.default_rng(levels)
        a = np.repeat(np.arange(levels), 2)
        b = np.roll(a, 1)
        y = rng.normal(size=levels)[a] + rng.normal(size=levels)[b] + 0.5 * rng.normal(size=2 * levels)
        return Case(y, np.ones((2 * levels, 1)), (make_term(a, None, "a"), make_term(b, None, "b")))

    def test_dense_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = fit(self.ring(60).objective())[0].criterion
        monkeypatch.setitem(sys.modules, "sksparse", None)
        estimates, info = fit(self.ring(60).objective())
        assert info.plan.core.kind == "dense"
        assert estimates.criterion == expected

    @needs_cholmod
    def test_small_sparse_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sparse, info = fit(self.ring(800).objective())
        assert info.plan.core.kind == "sparse"
        monkeypatch.setitem(sys.modules, "sksparse", None)
        dense, info = fit(self.ring(800).objective())
        assert info.plan.core.kind == "dense"
        assert dense.criterion == pytest.approx(sparse.criterion, rel=1e-10)

    def test_large_sparse_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sksparse", None)
        with pytest.raises(MissingDependencyError, match="pip install"):
            self.ring(10_000).objective()
