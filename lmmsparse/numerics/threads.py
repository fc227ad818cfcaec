"""How many threads a fit may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Any
from weakref import WeakSet

from threadpoolctl import ThreadpoolController


class _Holder:
    """Somebody who wants one thread; forgotten with the frame that it belongs to."""


class _Limit:
    """One thread for BLAS while anybody wants that.

    The limit is the whole process's: fits that overlap must share one, for the second would find the first one's
    limit and set it again for good when it ends last.

    An interrupt may come between any two lines.  Nothing is counted that could be left behind: holders are known by
    weak references, what there was before is written down before it is changed and forgotten after it is restored, and
    `settle` makes what is so into what is wanted, however often it is called.
    """

    def __init__(self) -> None:
        self.unlock()
        self._holders: WeakSet[_Holder] = WeakSet()
        self._original: Any = None
        self._controller: ThreadpoolController | None = None

    def unlock(self) -> None:
        """Begin with a lock of one's own: in a forked process the thread that held the old one does not exist."""
        self._lock = RLock()

    def settle(self) -> None:
        """Limit BLAS if anybody wants that, and restore it if nobody does."""
        with self._lock:
            if len(self._holders):
                if self._original is None:
                    self._controller = self._controller or ThreadpoolController()
                    self._original = [
                        (one, one.num_threads) for one in self._controller.select(user_api="blas").lib_controllers
                    ]
                    for library, _ in self._original:
                        library.set_num_threads(1)
            elif self._original is not None:
                for library, threads in self._original:
                    library.set_num_threads(threads)
                self._original = None

    def begin(self, holder: _Holder) -> None:
        """From now on until `end`, or until the holder is gone."""
        self._holders.add(holder)
        self.settle()

    def end(self, holder: _Holder) -> None:
        """Give the threads back, unless somebody else still wants one."""
        self._holders.discard(holder)
        self.settle()


_LIMIT = _Limit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_LIMIT.unlock)


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """A context in which BLAS has one thread.

    Threads of a BLAS library spin while they wait for each other, which costs a hundredfold where the processors are
    shared.  Large cores have threads of our own, which sleep.
    """
    holder = _Holder()
    try:
        try:
            _LIMIT.begin(holder)
            yield
        finally:
            _LIMIT.end(holder)
    finally:
        _LIMIT.end(holder)  # again: an interrupt may have ended the first


@cache
def available_threads() -> int:
    """Threads for our own kernels: the processors this process may run on, or OMP_NUM_THREADS if that is less."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    readable = wanted.isdecimal() and len(wanted) < 10  # "²" is a digit and no number
    return max(1, min(processors, int(wanted))) if readable else processors
