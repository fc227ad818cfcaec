"""Orders of elimination from both interfaces of scikit-sparse, and from machines that have none."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csc_array

from lmmsparse.errors import LmmError, MemoryLimitError, MissingDependencyError
from lmmsparse.pls.core.ordering import minimum_degree, nested_dissection
from tests.designs import needs_cholmod
from tests.kernels.sparse_twins import SHAPES, eliminated, symmetric_pattern


def lower(S: np.ndarray) -> csc_array:
    return csc_array(np.tril(S).astype(float))


def module_of_the_second_generation() -> ModuleType:
    """Stands for sksparse.cholmod 0.5, which keeps the order of a matrix unless it is told to change it."""
    module = ModuleType("sksparse.cholmod")
    module.installed = ("amd", "nesdis")  # type: ignore[attr-defined]

    class CholmodError(Exception):
        pass

    class CholmodOutOfMemoryError(MemoryError, CholmodError):
        pass

    class CholeskyFactor:
        def __init__(
            self, A: csc_array, *, lower: bool = True, order: str | None = None, supernodal_mode: str | None = None
        ) -> None:
            assert lower and supernodal_mode == "simplicial"
            if order not in module.installed:
                raise CholmodOutOfMemoryError if order == "amd" else CholmodError
            degree = np.asarray((A + A.T).astype(bool).sum(axis=0)).ravel()
            self.perm = np.argsort(degree, kind="stable")
            self.perm.setflags(write=False)

    for kind in (CholmodError, CholmodOutOfMemoryError, CholeskyFactor):
        setattr(module, kind.__name__, kind)
    return module


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The second interface in place of what is installed."""
    package = ModuleType("sksparse")
    package.cholmod = module_of_the_second_generation()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sksparse", package)
    return package.cholmod


def check_orders(shape: str) -> None:
    S = symmetric_pattern(shape, 40)
    for order in (minimum_degree(lower(S)), nested_dissection(lower(S))):
        if order is not None:
            assert order.dtype == np.int64
            assert_array_equal(np.sort(order), np.arange(40))


@needs_cholmod
@pytest.mark.parametrize("shape", SHAPES)
def test_orders(shape: str) -> None:
    check_orders(shape)


@pytest.mark.usefixtures("second")
@pytest.mark.parametrize("shape", SHAPES)
def test_orders_of_the_second_interface(shape: str) -> None:
    check_orders(shape)


def fill_of_a_star() -> int:
    S = symmetric_pattern("star backwards", 40)
    order = minimum_degree(lower(S))
    return int(eliminated(S[np.ix_(order, order)]).sum())


@needs_cholmod
def test_the_order_reduces_fill() -> None:
    assert fill_of_a_star() == 79


@pytest.mark.usefixtures("second")
def test_the_second_interface_is_told_to_order() -> None:
    assert fill_of_a_star() == 79


def test_without_nested_dissection_there_is_no_such_order(second: ModuleType) -> None:
    second.installed = ("amd",)  # type: ignore[attr-defined]
    assert nested_dissection(lower(np.eye(3))) is None


def test_an_order_for_which_there_is_no_memory_is_refused(second: ModuleType) -> None:
    second.installed = ()  # type: ignore[attr-defined]
    with pytest.raises(MemoryLimitError, match="CHOLMOD ran out of memory"):
        minimum_degree(lower(np.eye(3)))


def test_without_scikit_sparse_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sksparse", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'lmmsparse\[cholmod\]'") as caught:
        minimum_degree(lower(np.eye(3)))
    assert isinstance(caught.value, LmmError) and isinstance(caught.value, ImportError)
