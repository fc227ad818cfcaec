"""Residuals of a fitted model, and what single rows or levels do to it."""

from __future__ import annotations

from lmmsparse.influence.result import Influence

__all__ = ["Influence"]
