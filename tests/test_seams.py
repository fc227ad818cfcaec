"""Seams: searches and inference see protocols, and not what is behind them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.answers import ROOT

PACKAGE = ROOT / "lmmsparse"
# what a line must not hold outside of some packages, and why
SEAMS = {
    r"isinstance\(.*Structure": "a structure is asked, not looked at",
    r"isinstance\(.*(Unstructured|Diagonal|CompoundSymmetry|Covariance)\b": "a structure is asked, not looked at",
    r"\.rotates\b": "structures say which maps they keep",
    r"small is None": "engines are behind one protocol",
    r"isinstance\(.*\b(Small|Direct|LoadedSmall|LoadedDirect)\b": "engines are behind one protocol",
    r"objective\.working\b": "an objective is asked itself",
}
INSIDE = "objective"


def sources() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] != INSIDE]


@pytest.mark.parametrize("pattern", SEAMS)
def test_nothing_reaches_behind_a_seam(pattern: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert not found, SEAMS[pattern]


def test_searches_know_no_model() -> None:
    """What they import of the library are their own rules and the errors."""
    for path in sorted((PACKAGE / "search").glob("*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if match := re.match(r"\s*(?:from|import) lmmsparse\.(\w+)", line):
                assert match[1] in ("search", "errors"), f"{path.name}: {line}"


def test_structures_know_no_objective() -> None:
    for path in sorted((PACKAGE / "covariance").glob("*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if match := re.match(r"\s*(?:from|import) lmmsparse\.(\w+)", line):
                assert match[1] in ("covariance", "errors", "numerics"), f"{path.name}: {line}"
