"""Structures of covariance that bars can say as well, against glmmTMB and nlme.

Two columns with compound symmetry are unstructured; a variance for each numeric column is a double bar; one variance
for the cells of f in g is `(1 | g:f)`, and what they share, when it is positive, `(1 | g)`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lmmsparse import lmer
from tests.answers import answers


def _by_bars(record: dict[str, Any]) -> str | None:
    """The random part of a model with one term, in bars; None when bars cannot say it."""
    if len(record["terms"]) > 1 or record.get("boundary"):
        return None
    (term,) = record["terms"]
    structure, columns, group = term["structure"], term["columns"], term["group"]
    if structure == "cs" and len(term["sds"]) == 2:
        return f"({columns} | {group})"
    if structure == "diag" and columns.startswith("1 + "):
        return f"({columns} || {group})"
    if not columns.startswith("0 + "):
        return None
    cells = f"(1 | {group}:{columns.removeprefix('0 + ')})"
    if structure == "homdiag":
        return cells
    if structure == "homcs" and term["correlation"] > 0:
        return f"(1 | {group}) + {cells}"
    return None


RECORDS = [record for record in answers("structures.json")["models"] if _by_bars(record)]


def test_there_are_some_of_each_kind() -> None:
    assert {record["terms"][0]["structure"] for record in RECORDS} == {"cs", "diag", "homcs", "homdiag"}


@pytest.mark.parametrize("record", RECORDS, ids=[record["id"] for record in RECORDS])
def test_the_same_model_written_in_bars(record: dict[str, Any]) -> None:
    frame = pd.DataFrame(answers("structures.json")["frames"][record["data"]])
    m = lmer(f"{record['fixed']} + {_by_bars(record)}", frame, REML=record["REML"], weights=record.get("weights"))
    assert m.optinfo.converged
    assert m.criterion == pytest.approx(record["criterion"], abs=1e-7)
    assert m.sigma == pytest.approx(record["sigma"], rel=1e-5)
    se = np.array(list(record["se"].values()))
    assert_allclose((m.fixef - list(record["fixef"].values())) / se, 0.0, atol=1e-5)
    assert_allclose(np.sqrt(np.diag(m.vcov())), se, rtol=1e-5)
