"""What the tests of the bootstrap share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def bootstrap_answers() -> dict[str, Any]:
    """What R's boot and lme4 say, inference_bootstrap.json."""
    path = Path(__file__).parents[1] / "references" / "inference_bootstrap.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture
def model(fit: Callable[..., Any]) -> Any:
    """Random intercepts and slopes of the sleep study."""
    return fit("Reaction ~ Days + (Days|Subject)", "sleepstudy")
