"""The limit on BLAS's threads, and the number of our own."""

from __future__ import annotations

import os

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from lmmsparse.numerics import threads
from lmmsparse.numerics.threads import available_threads, single_threaded_blas


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_the_limit_is_taken_back() -> None:
    before = blas_threads()
    with single_threaded_blas():
        assert blas_threads() == {1}
        with single_threaded_blas():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == before
    with pytest.raises(ValueError, match="within"), single_threaded_blas():
        raise ValueError("within")
    assert blas_threads() == before


def test_the_limit_is_taken_back_after_contexts_that_overlap() -> None:
    """The first to begin may be the first to end: two fits in two threads."""
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        first, second = single_threaded_blas(), single_threaded_blas()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == before == {2}


@pytest.mark.parametrize(
    ("wanted", "threads"),
    [
        *[("1", 1), ("0", 1), ("100000", None), ("", None), ("2,1", None)],
        *[("²", None), ("-1", None), ("1.5", None), ("one", None), ("9" * 5000, None), ("\u0661", 1)],
    ],
)
def test_available_threads(wanted: str, threads: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity else os.cpu_count()
    assert available_threads.__wrapped__() == (threads or processors)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="other systems do not fork")
def test_a_forked_process_has_a_lock_of_its_own() -> None:
    """A worker that is forked while a thread holds the lock must not wait for it for ever."""
    with threads._LIMIT._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if threads._LIMIT._lock.acquire(timeout=5) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
