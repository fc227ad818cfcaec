"""The only place that touches scikit-sparse: one small adapter for its 0.4 and 0.5 interfaces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csc_matrix

from lmmsparse.errors import MemoryLimitError, MissingDependencyError

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


def minimum_degree(pattern: csc_array) -> NDArray[np.int64]:
    """Order of elimination that keeps the factor of a symmetric matrix sparse: row at each step.

    Parameters
    ----------
    pattern : csc_array
        Lower triangle, sorted indices; values are not used.
    """
    cholmod = load_cholmod()
    try:
        return _order(cholmod, pattern, "amd")
    except cholmod.CholmodOutOfMemoryError as error:
        raise MemoryLimitError("CHOLMOD ran out of memory while it ordered the levels of the core") from error


def nested_dissection(pattern: csc_array) -> NDArray[np.int64] | None:
    """Another such order, which takes longer to find and is better where the factor fills a lot.

    None where CHOLMOD was built without it, or has no memory for it.
    """
    cholmod = load_cholmod()
    try:
        return _order(cholmod, pattern, "nesdis")
    except cholmod.CholmodError:
        return None


def _order(cholmod: Any, pattern: csc_array, method: str) -> NDArray[np.int64]:
    # CHOLMOD's own supernodes, which count entries in 32 bits, are not wanted; 0.5 does not order unless it is told to
    matrix = csc_matrix(pattern)
    if hasattr(cholmod, "CholeskyFactor"):
        order = cholmod.CholeskyFactor(matrix, lower=True, order=method, supernodal_mode="simplicial").perm
    else:
        order = cholmod.analyze(matrix, mode="simplicial", ordering_method=method).P()
    return np.array(order, dtype=np.int64)
