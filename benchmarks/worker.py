"""Fit one model with one program in this process.

python -m benchmarks.worker ADAPTER MODEL FOLDER REPEATS BUDGET

Prints a line of JSON after the first fit and after every further one; the last line holds everything so far, so that
a process that is stopped leaves what it has measured.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.columns import Columns, read, read_matrix, rows
from benchmarks.memory import PeakMemory
from benchmarks.models import MODELS, Model
from benchmarks.peers.base import Adapter, Outcome, Unsupported


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def _say(record: dict[str, Any]) -> None:
    clean = {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in record.items()}
    print(json.dumps(clean), flush=True)


def _tasks(
    adapter: Adapter, model: Model, columns: Columns, folder: Path
) -> tuple[Callable[[], Any], Callable[[Any], Outcome]]:
    """What is timed, and how its result is read."""
    data = adapter.prepare(model, columns)
    if not model.refits:
        return (lambda: adapter.fit(model, data)), adapter.outcome
    refits = adapter.refits(model, data, read_matrix(folder, rows(columns)))
    return refits, lambda criteria: Outcome(math.fsum(criteria) / len(criteria), "REML", note="mean criterion")


def measure(adapter: Adapter, model: Model, folder: Path, repeats: int, budget: float) -> None:
    """Fit once and again, and say after each fit what is known."""
    work, read_outcome = _tasks(adapter, model, read(folder), folder)
    memory = PeakMemory()
    first, fitted = _timed(work)
    record: dict[str, Any] = {"status": "ok", "first_seconds": first, "bytes": memory.above_start(), "seconds": []}
    outcome = read_outcome(fitted)
    record |= vars(outcome) | {"version": adapter.versions()}
    _say(record)
    ends = time.perf_counter() + budget - first
    for _ in range(repeats):
        if time.perf_counter() > ends:
            break
        record["seconds"].append(_timed(work)[0])
        _say(record)
    if not model.refits:
        record["criterion_ml"] = adapter.criterion_ml(fitted)
        _say(record)


def main(arguments: list[str]) -> int:
    """Measure, and turn what goes wrong into a record."""
    module, name, folder, repeats, budget = arguments
    warnings.simplefilter("ignore")
    try:
        adapter: Adapter = importlib.import_module(f"benchmarks.peers.{module}").ADAPTER()
    except ImportError as error:
        _say({"status": "missing", "reason": f"{error} (set --peer-python to an environment that has it)"})
        return 0
    try:
        measure(adapter, MODELS[name], Path(folder), int(repeats), float(budget))
    except Unsupported as error:
        _say({"status": "unsupported", "reason": str(error), "version": adapter.versions()})
    except MemoryError as error:
        _say({"status": "failed", "reason": f"out of memory: {error}", "version": adapter.versions()})
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        _say({"status": "failed", "reason": f"{type(error).__name__}: {text}", "version": adapter.versions()})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
