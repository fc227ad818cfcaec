"""Records as text."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.records import Record


def seconds_text(seconds: float) -> str:
    """Seconds with three digits, in milliseconds below a tenth."""
    return f"{_three(1e3 * seconds)} ms" if seconds < 0.1 else f"{_three(seconds)} s"


def megabytes(size: float) -> str:
    """Bytes as MB, or as GB from ten of them on."""
    return f"{_three(size / 1e9)} GB" if size >= 1e10 else f"{_three(size / 1e6)} MB"


def _three(value: float) -> str:
    """Three digits, and never an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")


def evaluations_text(record: Record) -> str:
    """Those of the search that won, and of all searches where there were others: "7 of 152"."""
    others = record.evaluations_all not in (None, record.evaluations)
    return f"{record.evaluations} of {record.evaluations_all}" if others else f"{record.evaluations}"


def line(record: Record) -> str:
    """One record on one line."""
    head = f"{record.model:<20} {record.peer:<11}"
    if record.status != "ok" or record.median_seconds is None or record.first_seconds is None:
        return f"{head} {record.status}: {record.reason}"
    memory = "" if record.bytes is None else megabytes(record.bytes)
    evaluations = "" if record.evaluations is None else f"{evaluations_text(record)} evaluations"
    criterion = "" if record.criterion is None else f"{record.kind} {record.criterion:.6f}"
    return (
        f"{head} {seconds_text(record.median_seconds):>8}  first {seconds_text(record.first_seconds):>8}  "
        f"{len(record.seconds):>3} more  {memory:>8}  {evaluations:>15}  {criterion}  {record.note}"
    ).rstrip()


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |" for cells in lines)
