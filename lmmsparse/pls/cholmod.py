"""The only place that touches scikit-sparse: one small adapter for its 0.4 and 0.5 interfaces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csc_matrix

from lmmsparse.errors import FactorizationError, MissingDependencyError

Float = NDArray[np.float64]

INSTALL_HINT = (
    "this model has a sparse core, which needs CHOLMOD through scikit-sparse: install SuiteSparse (Debian/Ubuntu: "
    "apt-get install libsuitesparse-dev; Fedora: dnf install suitesparse-devel; macOS: brew install suite-sparse; "
    "conda: conda install -c conda-forge scikit-sparse) and then pip install 'lmmsparse[cholmod]'"
)


def load_cholmod() -> Any:
    """The module ``sksparse.cholmod``; `MissingDependencyError` says how to get it."""
    try:
        from sksparse import cholmod
    except ImportError as error:
        raise MissingDependencyError(INSTALL_HINT) from error
    return cholmod


class SparseCholesky:
    """Cholesky factorization P M Pᵀ = L Lᵀ of matrices that share one pattern.

    The symbolic analysis is made once, on the structural pattern; each `factorize` works on a copy of it, because
    a numeric factorization may change the form of the symbolic one.

    Parameters
    ----------
    pattern : csc_array
        Lower triangle, sorted indices; values are not used.
    """

    def __init__(self, pattern: csc_array) -> None:
        self._cholmod = load_cholmod()
        self._modern = hasattr(self._cholmod, "CholeskyFactor")
        matrix = csc_matrix(pattern)
        overflow = self._cholmod.CholmodOverflowError if self._modern else self._cholmod.CholmodTooLargeError
        try:
            self._symbolic = self._analyse(matrix, "auto")
        except overflow:  # supernodes count entries in 32 bits; the order alone still tells what the factor would need
            self._symbolic = self._analyse(matrix, "simplicial")
        permutation = self._symbolic.perm if self._modern else self._symbolic.P()
        self.permutation = np.array(permutation, dtype=np.int64)

    def _analyse(self, matrix: csc_matrix, mode: str) -> Any:
        if self._modern:
            return self._cholmod.CholeskyFactor(matrix, lower=True, supernodal_mode=mode)
        return self._cholmod.analyze(matrix, mode=mode)

    def factorize(self, matrix: csc_array) -> csc_array:
        """Lower triangular L (csc, in permuted order) of a matrix with the analysed pattern."""
        try:
            if self._modern:
                factor = self._symbolic.copy()
                factor.factorize(csc_matrix(matrix), ldl=False)
                L = factor.factor.copy()
            else:
                L = self._symbolic.cholesky(csc_matrix(matrix)).L()
        except self._cholmod.CholmodNotPositiveDefiniteError as error:
            raise FactorizationError("the core of M(theta) is not positive definite; is theta finite?") from error
        except self._cholmod.CholmodOutOfMemoryError as error:
            raise FactorizationError("CHOLMOD ran out of memory while it factored the core") from error
        L = csc_array(L)
        L.sort_indices()
        diagonal = L.data[L.indptr[:-1]]
        # simplicial CHOLMOD accepts an indefinite matrix without a word
        if not (np.isfinite(diagonal).all() and (diagonal > 0).all()):
            raise FactorizationError("the core of M(theta) is not positive definite; is theta finite?")
        return L
