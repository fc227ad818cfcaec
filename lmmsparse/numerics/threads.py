"""How many threads a fit may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController


class _Limit:
    """One thread for BLAS while anybody wants that.

    The limit is the whole process's: fits that overlap must share one, for the second would find the first one's
    limit and set it again for good when it ends last.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._holders = 0
        self._limit: Any = None
        self._controller: ThreadpoolController | None = None

    def acquire(self) -> None:
        """Begin, unless somebody has."""
        with self._lock:
            if self._holders == 0:
                self._controller = self._controller or ThreadpoolController()
                self._limit = self._controller.limit(limits=1, user_api="blas")
            self._holders += 1

    def unlock(self) -> None:
        """Begin with a lock of one's own: in a forked process the thread that held the old one does not exist."""
        self._lock = Lock()

    def release(self) -> None:
        """Give the threads back, unless somebody else still wants one."""
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._limit.restore_original_limits()


_LIMIT = _Limit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_LIMIT.unlock)


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """A context in which BLAS has one thread.

    Threads of a BLAS library spin while they wait for each other, which costs a hundredfold where the processors are
    shared.  Large cores have threads of our own, which sleep.
    """
    _LIMIT.acquire()
    try:
        yield
    finally:
        _LIMIT.release()


@cache
def available_threads() -> int:
    """Threads for our own kernels: the processors this process may run on, or OMP_NUM_THREADS if that is less."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    readable = wanted.isdecimal() and len(wanted) < 10  # "²" is a digit and no number
    return max(1, min(processors, int(wanted))) if readable else processors
