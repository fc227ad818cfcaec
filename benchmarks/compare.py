"""Two results of one machine, side by side: the regression check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.records import Key, Record, Results

# Differences below these are the noise of a process, whatever their ratio.
SECONDS_NOISE, BYTES_NOISE = 1e-4, 3e6


@dataclass(frozen=True)
class Comparison:
    """Head against base for one model and program.

    Attributes
    ----------
    key : (model, peer)
    seconds, bytes : float or None
        Ratio head / base; None where one is not measured.
    faults : tuple of str
        What is worse than the tolerance allows.
    """

    key: Key
    seconds: float | None
    bytes: float | None
    faults: tuple[str, ...]


def compare(base: Results, head: Results, tolerance: float) -> list[Comparison]:
    """Every fit that both have.

    Parameters
    ----------
    base, head : Results
    tolerance : float
        Ratio of seconds or of memory from which on head is worse.
    """
    keys = [key for key in base.records if key in head.records and base.records[key].status == "ok"]
    return [compare_rounds([base.records[key]], [head.records[key]], tolerance) for key in keys]


def compare_rounds(base: Sequence[Record], head: Sequence[Record], tolerance: float) -> Comparison:
    """Medians over rounds in which base and head were measured in turns."""
    failed = [one for one in head if one.status != "ok"]
    if failed:
        return Comparison(head[0].key, None, None, (f"{failed[0].status}: {failed[0].reason}",))
    seconds = _ratio((one.median_seconds for one in base), (one.median_seconds for one in head), SECONDS_NOISE)
    size = _ratio((one.bytes for one in base), (one.bytes for one in head), BYTES_NOISE)
    faults = []
    if seconds is not None and seconds > tolerance:
        faults.append(f"{seconds:.2f} times the seconds")
    if size is not None and size > tolerance:
        faults.append(f"{size:.2f} times the memory")
    return Comparison(head[0].key, seconds, size, tuple(faults))


def _ratio(base: Iterable[float | None], head: Iterable[float | None], noise: float) -> float | None:
    """Median of the ratios of the rounds, both sides lifted by what is noise."""
    pairs = [(b, h) for b, h in zip(base, head, strict=True) if b is not None and h is not None]
    return median((max(h, 0.0) + noise) / (max(b, 0.0) + noise) for b, h in pairs) if pairs else None


def comparison_text(one: Comparison) -> str:
    """A comparison on one line."""
    ratios = "  ".join(
        f"{name} {'-' if value is None else format(value, '.2f'):>5}"
        for name, value in (("seconds", one.seconds), ("memory", one.bytes))
    )
    verdict = "; ".join(one.faults) if one.faults else "ok"
    return f"{one.key[0]:<20} {one.key[1]:<11} {ratios}  {verdict}"
