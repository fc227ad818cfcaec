"""Fits whose tables lme4 and lmerTest have printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.answers import answers

DAYS = "Reaction ~ Days + (Days | Subject)"
REFERENCE = answers("inference_reporting.json")
FITS = {record["id"]: record for record in REFERENCE["fits"]}
# Pairs of a fit and a method of degrees of freedom.
TESTED = [(name, method) for name, record in FITS.items() for method in record["methods"]]


def recorded_fit(fit: Callable[..., Any], name: str) -> Any:
    """Our fit of a record."""
    record = FITS[name]
    rows = {} if record["rows"] is None else {"subset": np.array(record["rows"])}
    return fit(record["formula"], record["data"], REML=record["REML"], **rows)
