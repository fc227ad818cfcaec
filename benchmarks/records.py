"""What is recorded of a model fitted by a program, and the file of such records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

STATUSES = ("ok", "missing", "unsupported", "failed", "timeout")
Key = tuple[str, str]


@dataclass(frozen=True)
class Record:
    """Fits of one model by one program, in a process of their own.

    Attributes
    ----------
    model, peer : str
    status : {"ok", "missing", "unsupported", "failed", "timeout"}
    reason : str
        Why there are no fits, or "".
    first_seconds : float or None
        The first fit, which also loads and compiles what is loaded late.
    seconds : tuple of float
        The fits after it.
    bytes : float or None
        Peak memory of the first fit above that of the process with its data loaded.
    criterion : float or None
        REML criterion or −2 log-likelihood, with all the constants that lme4 counts.
    kind : str
        "REML" or "ML", whichever the program minimised.
    criterion_ml : float or None
        −2 log-likelihood of the same model by ML where a program gives both, to compare those that have ML only.
    evaluations : int or None
        Of the objective, in the search that won; None when the program does not tell.
    evaluations_all : int or None
        In all searches.
    limit : float
        Seconds after which the process was, or would have been, stopped.
    note : str
    version : str
        Of the program and of what it stands on.
    threads : str
        How many the program was allowed.
    n, q : int
        Observations and random effects.
    """

    model: str
    peer: str
    status: str
    reason: str = ""
    first_seconds: float | None = None
    seconds: tuple[float, ...] = ()
    bytes: float | None = None
    criterion: float | None = None
    kind: str = ""
    criterion_ml: float | None = None
    evaluations: int | None = None
    evaluations_all: int | None = None
    limit: float = 0.0
    note: str = ""
    version: str = ""
    threads: str = ""
    n: int = 0
    q: int = 0

    @property
    def key(self) -> Key:
        """Model and program."""
        return self.model, self.peer

    @property
    def median_seconds(self) -> float | None:
        """Median of the fits after the first; the first where there is no other."""
        return median(self.seconds) if self.seconds else self.first_seconds


_NAMES = {field.name for field in fields(Record)}


def record(values: Mapping[str, Any]) -> Record:
    """A record from the values of a JSON object; names that it does not know are left out.

    Raises
    ------
    ValueError
        If the status is not one of `STATUSES`.
    """
    if values.get("status") not in STATUSES:
        raise ValueError(f"{values.get('status')!r} is no status of a record")
    known = {name: value for name, value in values.items() if name in _NAMES}
    return Record(**(known | {"seconds": tuple(known.get("seconds", ()))}))


def last_line(output: str) -> dict[str, Any] | None:
    """The last line of a worker's output that is a whole JSON object with a status."""
    for line in reversed(output.splitlines()):
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(values, dict) and "status" in values:
            return values
    return None


@dataclass(frozen=True)
class Results:
    """Records of one machine.

    Attributes
    ----------
    machine : dict
    records : dict
        From (model, peer) to its record.
    """

    machine: dict[str, Any]
    records: dict[Key, Record]

    def merged(self, new: Iterable[Record]) -> Results:
        """With new records in the place of the old ones of the same model and program."""
        return Results(self.machine, self.records | {one.key: one for one in new})

    def ok(self, model: str, peer: str) -> Record | None:
        """The record of a fit, None where there is none."""
        found = self.records.get((model, peer))
        return found if found is not None and found.status == "ok" else None


def load(path: Path) -> Results:
    """Results from a file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    records = [record(values) for values in content["records"]]
    return Results(content["machine"], {one.key: one for one in records})


def save(results: Results, path: Path) -> None:
    """Write results into a file, in one step: a run that is interrupted leaves the old or the new one."""
    content = {"machine": results.machine, "records": [asdict(one) for one in results.records.values()]}
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
