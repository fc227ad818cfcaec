"""What the tests of the bootstrap share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.answers import answers


@pytest.fixture(scope="session")
def bootstrap_answers() -> dict[str, Any]:
    """What R's boot and lme4 say, inference_bootstrap.json."""
    return dict(answers("inference_bootstrap.json"))


@pytest.fixture
def model(fit: Callable[..., Any]) -> Any:
    """Random intercepts and slopes of the sleep study."""
    return fit("Reaction ~ Days + (Days|Subject)", "sleepstudy")
