"""Pieces of work for several processes, in an order that does not depend on their number."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from lmmsparse.errors import ArgumentError, LmmError
from lmmsparse.numerics.threads import available_threads

# What a worker process works on: sent once, not with every piece.
_received: dict[str, Any] = {}


def default_start_method() -> str:
    """``"fork"`` on Linux, where a script then needs no ``__main__`` guard; else what Python uses.

    Polars keeps threads that do not survive a fork.
    """
    if sys.platform == "linux" and "polars" not in sys.modules:
        return "fork"
    return "spawn"


def in_processes(
    function: Callable[..., Any], shared: Any, pieces: Sequence[tuple[Any, ...]], workers: int, start_method: str
) -> Generator[Any, None, None]:
    """``function(shared, *piece)`` of every piece, in their order.

    Parameters
    ----------
    function : callable
        At the top of a module.
    shared : object
        Sent to every process once.
    pieces : sequence of tuples
    workers : int
        1: no further process.
    start_method : {"fork", "forkserver", "spawn"}
    """
    workers = min(workers, len(pieces))
    if workers <= 1:
        for piece in pieces:
            yield function(shared, *piece)
        return
    if start_method != "fork":
        _check_sendable(shared)
    threads = max(1, available_threads() // workers)
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context(start_method),
        initializer=_receive,
        initargs=(function, shared, threads),
    )
    try:
        with warnings.catch_warnings():
            # forking is safe here: our threads end with each factorization, and BLAS stops its own before a fork
            warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
            results = pool.map(_work, pieces)
        yield from results
    except BrokenProcessPool as error:
        if start_method == "fork":
            raise LmmError("bootstrap: a worker process ended abruptly, perhaps for want of memory") from error
        raise LmmError(
            "bootstrap: the worker processes could not start; in a script, put the call under "
            "`if __name__ == '__main__':`, since each of them imports the script again, or use workers=1"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _check_sendable(shared: Any) -> None:
    try:
        pickle.dumps(shared)
    except Exception as error:  # pickle raises what it likes
        raise ArgumentError(
            f"bootstrap: the statistic cannot be sent to other processes ({error}); define it with def at the top of "
            "a module, or use workers=1"
        ) from error


def _receive(function: Callable[..., Any], shared: Any, threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)
    available_threads.cache_clear()
    _received["function"], _received["shared"] = function, shared


def _work(piece: tuple[Any, ...]) -> Any:
    return _received["function"](_received["shared"], *piece)
