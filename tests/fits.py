"""Fits whose warnings are not the point."""

from __future__ import annotations

import warnings
from typing import Any

from lmmsparse import LmmWarning, lmer


def quietly(*arguments: Any, **named: Any) -> Any:
    """`lmer` without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        return lmer(*arguments, **named)
