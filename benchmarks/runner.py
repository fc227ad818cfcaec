"""Every fit in a process of its own: writes the data, starts the process, watches the clock, reads the record."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import columns, data, machine
from benchmarks.models import Model
from benchmarks.peers import Peer, Programs
from benchmarks.records import Record, last_line, record

PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Settings:
    """How fits are measured.

    Attributes
    ----------
    programs : Programs
    repeats : int or None
        Fits after the first; None for each model's own number.
    timeout : float
        Seconds after which a process is stopped, its start and loading of data included.
    budget : float
        No repeat begins when this many seconds of fitting have passed.
    threads : int or None
        None: as many as the program takes by itself.
    memory : float
        Bytes that a process may take before its allocations fail.
    """

    programs: Programs = field(default_factory=Programs)
    repeats: int | None = None
    timeout: float = 900.0
    budget: float = 60.0
    threads: int | None = None
    memory: float = 0.9 * machine.memory()


def run(models: Iterable[Model], peers: Iterable[Peer], settings: Settings) -> Iterator[Record]:
    """Records one by one; the data of a model are written once, and removed with its last record."""
    peers = list(peers)
    for model in models:
        with prepared(model) as job:
            for peer in peers:
                yield measure(job, peer, settings)


@dataclass(frozen=True)
class Job:
    """A model whose data are written.

    Attributes
    ----------
    model : Model
    folder : Path
        Of the data.
    suite : Path
        Holds a link to this package alone. Processes import it from there: beside the package lies the library's
        source, which a process of another version must not see.
    n, q : int
    """

    model: Model
    folder: Path
    suite: Path
    n: int
    q: int


@contextmanager
def prepared(model: Model) -> Iterator[Job]:
    """Write a model's data for its processes, and remove them afterwards."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        folder, suite = Path(name, "data"), Path(name, "suite")
        folder.mkdir()
        suite.mkdir()
        (suite / PACKAGE.name).symlink_to(PACKAGE)
        loaded = data.load(model)
        columns.write(loaded, folder)
        if model.refits:
            columns.write_matrix(data.responses(model, loaded), folder)
        n, q = data.sizes(model, loaded)
        del loaded
        yield Job(model, folder, suite, n, q)


def measure(job: Job, peer: Peer, settings: Settings) -> Record:
    """One model by one program."""
    model = job.model
    threads = settings.threads if model.threads is None else model.threads
    repeats = model.repeats if settings.repeats is None else settings.repeats
    command = peer.command(model, job.folder, repeats, settings.budget, settings.programs)
    values = _said(command, machine.environment(threads), job.suite, settings)
    known = {"model": model.name, "peer": peer.name, "n": job.n, "q": job.q, "limit": settings.timeout}
    return record(values | known | {"threads": f"up to {machine.cores()}" if threads is None else str(threads)})


def _said(command: list[str], environment: dict[str, str], suite: Path, settings: Settings) -> dict[str, Any]:
    """What a process says, or why it says nothing."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        try:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=errors,
                env=environment | {"PYTHONPATH": str(suite)},
                cwd=suite,
                start_new_session=True,
                preexec_fn=partial(machine.limit_memory, int(settings.memory)),
            )
        except FileNotFoundError:
            return {"status": "missing", "reason": f"{command[0]} is not on the path"}
        stopped = False
        try:
            process.wait(settings.timeout)
        except subprocess.TimeoutExpired:
            stopped = True
        finally:
            _end(process)
        output.seek(0)
        errors.seek(0)
        said = last_line(output.read())
        if said is not None:
            return said
        if stopped:
            return {"status": "timeout", "reason": f"no fit within {settings.timeout:g} s"}
        last = (errors.read().strip().splitlines() or ["without a message"])[-1]
        return {"status": "failed", "reason": f"{_ending(process.returncode)}: {last[:300]}"}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a process and its children, if it still runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ending(status: int) -> str:
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
