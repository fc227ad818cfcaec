"""Answers of other programs, from tests/references: its README says what is in which file."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
REFERENCES = Path(__file__).parent / "references"


@cache
def answers(name: str) -> Any:
    """Content of a JSON file of `REFERENCES`, read once."""
    return json.loads((REFERENCES / name).read_text(encoding="utf-8"))
