"""The tables of docs/benchmarks.md, written from results between the markers of that page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from benchmarks.bounds import verdicts
from benchmarks.models import MODELS
from benchmarks.peers import LIBRARY, PEERS
from benchmarks.records import Record, Results
from benchmarks.report import evaluations_text, markdown_table, megabytes, seconds_text

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
# Two criteria of one model that differ by less are the same to the eye of a table.
SAME_CRITERION = 5e-5


def write(results: Results, path: Path = PAGE) -> None:
    """Replace the blocks of the page."""
    path.write_text(filled(path.read_text(encoding="utf-8"), blocks(results)), encoding="utf-8")


def filled(text: str, contents: Mapping[str, str]) -> str:
    """A page with what is between ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` replaced.

    Raises
    ------
    ValueError
        If the page has no such pair of markers.
    """
    for name, content in contents.items():
        found = re.search(rf"<!-- begin {name} -->\n(.*?)<!-- end {name} -->", text, re.DOTALL)
        if found is None:
            raise ValueError(f"the page has no markers of {name!r}")
        text = f"{text[: found.start(1)]}\n{content}\n\n{text[found.end(1) :]}"
    return text


def blocks(results: Results) -> dict[str, str]:
    """Every block of the page by its name."""
    return {
        "machine": _machine(results),
        "models": _models(results),
        "seconds": _table(results, _seconds_cell),
        "memory": _table(results, _memory_cell),
        "evaluations": _table(results, _evaluations_cell),
        "criteria": _table(results, partial(_criterion_cell, results)),
        "missing": _reasons(results),
        "bounds": _bounds(results),
    }


def _machine(results: Results) -> str:
    machine = results.machine
    lines = [
        f"- machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}",
        f"- threads: {', '.join(sorted({one.threads for one in results.records.values() if one.threads}))}",
    ]
    versions = {one.peer: one.version for one in results.records.values() if one.version}
    return "\n".join(lines + [f"- {peer}: {versions[peer]}" for peer in PEERS if peer in versions])


def _measured(results: Results) -> list[str]:
    return [model for model in MODELS if any(model == key[0] for key in results.records)]


def _models(results: Results) -> str:
    rows = []
    for name in _measured(results):
        sizes = next(one for key, one in results.records.items() if key[0] == name)
        refits = f" ({MODELS[name].refits} refits)" if MODELS[name].refits else ""
        rows.append([name, f"`{MODELS[name].formula}`{refits}", f"{sizes.n:,}", f"{sizes.q:,}"])
    return markdown_table(["model", "formula", "n", "q"], rows)


def _table(results: Results, cell: Callable[[Record], str]) -> str:
    peers = [peer for peer in PEERS if any(key[1] == peer for key in results.records)]
    rows = []
    for model in _measured(results):
        found = [results.records.get((model, peer)) for peer in peers]
        rows.append([model, *("" if one is None else cell(one) for one in found)])
    return markdown_table(["model", *peers], rows)


def _absent(one: Record) -> str:
    return f"> {one.limit:g} s" if one.status == "timeout" else {"unsupported": "–"}.get(one.status, one.status)


def _seconds_cell(one: Record) -> str:
    return _absent(one) if one.median_seconds is None else seconds_text(one.median_seconds)


def _memory_cell(one: Record) -> str:
    return "" if one.bytes is None else megabytes(one.bytes)


def _evaluations_cell(one: Record) -> str:
    return "" if one.evaluations is None else evaluations_text(one)


def _criterion_cell(results: Results, one: Record) -> str:
    """The library's criterion, and how far the others are above it (+) or below (−)."""
    if one.criterion is None:
        return ""
    if one.peer == LIBRARY:
        return f"{one.criterion:.4f}"
    ours = results.ok(one.model, LIBRARY)
    base = None if ours is None else (ours.criterion if one.kind == ours.kind else ours.criterion_ml)
    kind = "" if one.kind == "REML" else f" ({one.kind})"
    if base is None:
        return f"{one.criterion:.4f}{kind}"
    above = one.criterion - base
    return ("=" if abs(above) < SAME_CRITERION * max(1.0, abs(base) / 1e4) else f"{above:+.2g}") + kind


def _reasons(results: Results) -> str:
    """Who could not fit what, one line for each program and reason."""
    models: dict[tuple[str, str], list[str]] = {}
    for one in results.records.values():
        if one.status != "ok":
            models.setdefault((one.peer, f"{one.status}: {one.reason}"), []).append(one.model)
    return (
        "\n".join(f"- {peer}, {', '.join(names)}: {reason}" for (peer, reason), names in models.items()) or "Nothing."
    )


def _bounds(results: Results) -> str:
    words = {True: "holds", False: "broken", None: "not measured"}
    rows = [[one.work, one.bound, one.figure, words[one.holds]] for one in verdicts(results)]
    return markdown_table(["work", "bound", "figure", ""], rows)
