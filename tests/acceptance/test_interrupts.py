"""Ctrl-C, or no memory, at any line: what comes after is as if nothing had been."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from linecache import getline
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import lmmsparse
from lmmsparse import LmmError
from tests.answers import ROOT
from tests.designs import needs_cholmod, sparse_cores
from tests.fits import quietly

PACKAGE = str(Path(lmmsparse.__file__).parent)
POINTS = 12  # lines of each task
FIRST_LINES = 5000  # fewer than those of a first fit


class Interruption:
    """A context in which an exception is raised at the `stop`th line of the package; 0: lines are only counted.

    Not at the line of a `with`, which is traced once more before its end: no signal is handled there.
    """

    def __init__(self, stop: int, error: type[BaseException]) -> None:
        self.stop, self.error = stop, error
        self.lines, self.where = 0, ""

    def __enter__(self) -> Interruption:
        self._traced = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._traced)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line" and not getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith("with "):
            self.lines += 1
            if self.lines == self.stop:
                self.where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                raise self.error
        return self._trace


def settings() -> tuple[Any, ...]:
    """What a fit may change for a while only."""
    blas = sorted(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
    threads = sorted(thread.name for thread in threading.enumerate())
    return np.geterr(), list(warnings.filters), blas, threads, multiprocessing.active_children()


def bits(*arrays: Any) -> bytes:
    return b"".join(np.ascontiguousarray(array, dtype=float).tobytes() for array in arrays)


def design() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    n = 60
    g, h, x = np.arange(n) % 6, rng.integers(0, 5, n), rng.normal(size=n)
    y = x + rng.normal(size=6)[g] + rng.normal(size=5)[h] + 0.5 * rng.normal(size=n)
    return {"y": y, "x": x, "g": g, "h": h}


FORMULA = "y ~ x + np.abs(x) + (1 | g) + (1 | h)"
DATA = design()


def fit() -> bytes:
    m = quietly(FORMULA, DATA)
    return bits(m.theta, m.fixef, m.vcov(), m.sigma, m.loglik)


def new_model() -> Any:
    return quietly("y ~ x + (1 | g) + (1 | h)", DATA)


def profiled(model: Any) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bits(model.profile("sigma").conf_int())


def bootstrapped(model: Any) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model.bootstrap(3, seed=1)
    return bits(found.theta, found.sigma)


def bootstrapped_in_processes(model: Any) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model.bootstrap(101, seed=1, workers=2)
    return bits(found.theta, found.sigma)


def answers(model: Any) -> bytes:
    return bits(model.anova(ddf="Kenward-Roger").iloc[:, 2:], model.fitted, model.ranef()["g"])


def survives(task: Callable[[], bytes], after: Callable[[], bytes], seed: int, points: int = POINTS) -> None:
    """Interrupt `task` at drawn lines; then `after` must answer as before."""
    expected = after()
    with Interruption(0, KeyboardInterrupt) as whole:
        task()
    before = settings()
    assert whole.lines > points
    for i, stop in enumerate(np.random.default_rng(seed).integers(1, whole.lines, points)):
        error = (KeyboardInterrupt, MemoryError)[i % 2]
        interruption = Interruption(int(stop), error)
        try:
            with interruption:
                task()
        except (error, LmmError) as raised:  # want of memory may be an error that says what for
            assert error is MemoryError or isinstance(raised, KeyboardInterrupt), interruption.where
        else:
            pytest.fail(f"{error.__name__} at {interruption.where} was swallowed")
        assert settings() == before, interruption.where
        assert after() == expected, interruption.where


@pytest.mark.parametrize("use", [profiled, bootstrapped, bootstrapped_in_processes, answers])
def test_a_model_answers_after_an_interrupt(use: Callable[[Any], bytes]) -> None:
    """The model is the same one: nothing that it keeps may be half done."""
    with threadpool_limits(2, user_api="blas"):
        expected = use(new_model())
        before = settings()
        model = new_model()
        with Interruption(0, KeyboardInterrupt) as whole:
            use(model)
        for i, stop in enumerate(np.random.default_rng(1).integers(1, whole.lines, POINTS)):
            model = new_model()
            interruption = Interruption(int(stop), (KeyboardInterrupt, MemoryError)[i % 2])
            with pytest.raises((KeyboardInterrupt, MemoryError, LmmError)), interruption:
                use(model)
            assert settings() == before, interruption.where
            assert use(model) == expected, interruption.where


def test_fits_after_an_interrupted_fit() -> None:
    with threadpool_limits(2, user_api="blas"):
        survives(fit, fit, 2)


@needs_cholmod
def test_fits_after_an_interrupted_fit_with_a_sparse_core() -> None:
    with threadpool_limits(2, user_api="blas"), sparse_cores():
        survives(fit, fit, 3)


def first_fits() -> None:
    """Interrupt the first fit of a process, with all that it imports; every time in a process of its own."""
    _in_child(lambda: print(_lines_of_a_first_fit(), fit().hex(), flush=True))
    lines = int(sys.argv[1])
    for i, stop in enumerate(np.random.default_rng(4).integers(1, lines, POINTS)):
        _in_child(partial(_interrupted_first_fit, int(stop), (KeyboardInterrupt, MemoryError)[i % 2]))


def _lines_of_a_first_fit() -> int:
    with Interruption(0, KeyboardInterrupt) as whole:
        fit()
    return whole.lines


def _interrupted_first_fit(stop: int, error: type[BaseException]) -> None:
    with suppress(error, LmmError), Interruption(stop, error) as interruption:
        fit()
    print(interruption.where, fit().hex(), flush=True)


def _in_child(task: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        try:
            task()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="other systems do not fork")
def test_fits_after_an_interrupted_first_fit() -> None:
    """The first fit imports what no other does: a module half imported must not stay."""
    code = "from tests.acceptance.test_interrupts import first_fits; first_fits()"
    command = [sys.executable, "-c", code, str(FIRST_LINES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    (lines, expected), *found = (line.split() for line in done.stdout.splitlines())
    assert int(lines) > FIRST_LINES
    assert len(found) == POINTS, done.stderr
    assert [where for where, answer in found if answer != expected] == []
