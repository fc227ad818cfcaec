"""Measurements as a table, and what breaks a bound."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.measurement import Measurement
from benchmarks.models import Bounds

HEADER = ("model", "program", "seconds", "first", "evaluations", "MB", "criterion", "time ratio", "memory ratio")


def table(results: Mapping[tuple[str, str], Measurement], reference: str) -> str:
    """One row for each model and program; ratios are those of a program to the reference.

    Parameters
    ----------
    results : mapping of (model, program) to Measurement
    reference : str
        Program whose ratios are 1.
    """
    rows = [HEADER]
    for (model, program), measured in results.items():
        base = results.get((model, reference))
        ratios = ("", "")
        if base is not None:
            time_ratio = measured.median_seconds / base.median_seconds
            ratios = (f"{time_ratio:.2f}", f"{measured.bytes / max(base.bytes, 1.0):.2f}")
        rows.append(
            (
                model,
                program,
                f"{measured.median_seconds:.4f}",
                f"{measured.first_seconds:.4f}",
                str(measured.evaluations),
                f"{measured.bytes / 1e6:.1f}",
                f"{measured.criterion:.6f}",
                *ratios,
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    return "\n".join("  ".join(_aligned(row, widths)).rstrip() for row in rows)


def _aligned(row: tuple[str, ...], widths: list[int]) -> list[str]:
    return [
        cell.ljust(width) if i < 2 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def broken_bounds(model: str, measured: Measurement, bounds: Bounds) -> list[str]:
    """A sentence for each bound that a measurement breaks."""
    broken = []
    if bounds.seconds is not None and measured.median_seconds > bounds.seconds:
        broken.append(f"{model} takes {measured.median_seconds:.4f} s; the bound is {bounds.seconds:g} s")
    if bounds.bytes is not None and not measured.bytes <= bounds.bytes:
        broken.append(
            f"{model} takes {measured.bytes / 1e6:.0f} MB above its data; the bound is {bounds.bytes / 1e6:.0f} MB"
        )
    return broken
