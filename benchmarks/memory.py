"""Peak memory of this process. Runs in every program's own environment: the standard library alone."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


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
