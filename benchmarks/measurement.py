"""What is recorded of the fits of one process, and how its peak memory is read."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measurement:
    """Fits of one model by one program, in a process of their own.

    Attributes
    ----------
    first_seconds : float
        The first fit, which also loads and compiles what is loaded late.
    seconds : tuple of float
        The fits after it.
    bytes : float
        Peak memory of the first fit above that of the process with its data loaded.
    criterion : float
        REML criterion or −2 log-likelihood.
    evaluations : int
        Evaluations of the objective.
    """

    first_seconds: float
    seconds: tuple[float, ...]
    bytes: float
    criterion: float
    evaluations: int

    @property
    def median_seconds(self) -> float:
        """Median of the fits after the first."""
        return median(self.seconds)


def _status(field: str) -> float:
    for line in STATUS.read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024.0 * float(line.split()[1])
    raise OSError(f"{STATUS} has no {field}")


def _largest() -> float:
    unit = 1.0 if sys.platform == "darwin" else 1024.0
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class PeakMemory:
    """Peak resident memory above what is resident when the object is made, in bytes.

    The kernel's high-water mark is reset where it allows that; elsewhere a peak lower than an earlier one reads as
    zero.
    """

    def __init__(self) -> None:
        try:
            CLEAR.write_text("5")
            self._start, self._resets = _status("VmRSS"), True
        except OSError:
            self._start, self._resets = _largest(), False

    def above_start(self) -> float:
        """Bytes so far."""
        return (_status("VmHWM") if self._resets else _largest()) - self._start
