"""How many threads BLAS may use during a fit."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

# Below this many rows of a dense core a second thread gains nothing, and costs a hundredfold where the cores are busy:
# threads that wait for each other spin.
THREADED_CORE = 2000


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def blas_threads(core_size: int) -> AbstractContextManager[Any]:
    """A context in which BLAS has one thread for small cores, and as many as it likes for large ones."""
    if core_size >= THREADED_CORE:
        return nullcontext()
    return _controller().limit(limits=1, user_api="blas")
