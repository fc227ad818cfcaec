"""Fit one model several times with lmmsparse in this process and print the measurement as JSON.

python -m benchmarks.run_one NAME REPEATS
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict

from benchmarks.measurement import Measurement, PeakMemory
from benchmarks.models import MODELS, BenchmarkModel
from lmmsparse import LinearMixedModel, lmer


def measure(model: BenchmarkModel, repeats: int) -> Measurement:
    """Seconds and peak memory of fits; the data are loaded before the clock starts."""
    data = model.load()

    def timed() -> tuple[float, LinearMixedModel]:
        began = time.perf_counter()
        fitted = lmer(model.formula, data, REML=model.reml)
        return time.perf_counter() - began, fitted

    memory = PeakMemory()
    first, fitted = timed()
    peak = memory.above_start()
    later = tuple(timed()[0] for _ in range(repeats))
    return Measurement(first, later, peak, fitted.criterion, fitted.optinfo.evaluations)


if __name__ == "__main__":
    print(json.dumps(asdict(measure(MODELS[sys.argv[1]], int(sys.argv[2])))))
