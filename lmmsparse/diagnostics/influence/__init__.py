"""What single rows or levels do to a fitted model."""

from __future__ import annotations

from lmmsparse.diagnostics.influence.result import Influence

__all__ = ["Influence"]
