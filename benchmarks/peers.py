"""The programs that are measured: one adapter each, with a process of its own for every model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path

from benchmarks.measurement import Measurement
from benchmarks.models import BenchmarkModel

HERE = Path(__file__).resolve().parent


class Unavailable(Exception):
    """The program is not installed here; the message says what is missing."""


class Peer(ABC):
    """A program that fits mixed models."""

    name: str

    @abstractmethod
    def measure(self, model: BenchmarkModel, repeats: int) -> Measurement:
        """Fit a model in a new process.

        Raises
        ------
        Unavailable
            The program is not there.
        """


class Lmmsparse(Peer):
    """The library of this repository."""

    name = "lmmsparse"

    def measure(self, model: BenchmarkModel, repeats: int) -> Measurement:
        """Fit a model in a new process."""
        return _measured([sys.executable, "-m", "benchmarks.run_one", model.name, str(repeats)])


class Lme4(Peer):
    """R's lme4, on the same data through a CSV file."""

    name = "lme4"

    def __init__(self) -> None:
        self._rscript = shutil.which("Rscript")

    def measure(self, model: BenchmarkModel, repeats: int) -> Measurement:
        """Fit a model in a new process."""
        self._check()
        data = model.load()
        factors = [str(name) for name in data.columns if data[name].dtype.kind == "O"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "data.csv"
            data.to_csv(path, index=False)
            reml = "TRUE" if model.reml else "FALSE"
            arguments = [str(path), model.formula, reml, str(repeats), ",".join(factors)]
            return _measured([str(self._rscript), str(HERE / "lme4.R"), *arguments])

    def _check(self) -> None:
        if self._rscript is None:
            raise Unavailable("Rscript is not on the path")
        question = 'quit(status = !requireNamespace("lme4", quietly = TRUE))'
        if subprocess.run([self._rscript, "-e", question], capture_output=True, check=False).returncode:
            raise Unavailable("R has no package lme4")


PEERS: tuple[Peer, ...] = (Lmmsparse(), Lme4())


def _measured(command: list[str]) -> Measurement:
    """Run a command that prints a measurement as the last line of its output."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with status {done.returncode}:\n{done.stderr.strip()}")
    record = json.loads(done.stdout.strip().splitlines()[-1])
    peak = float("nan") if record["bytes"] is None else record["bytes"]
    return Measurement(
        record["first_seconds"], tuple(record["seconds"]), peak, record["criterion"], record["evaluations"]
    )
