"""Structures of covariance against glmmTMB and nlme, and against the same models written in bars.

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
from tests.fits import quietly

MODELS = answers("structures.json")["models"]
EVERY = pytest.mark.parametrize("record", MODELS, ids=[record["id"] for record in MODELS])
INTERIOR = [record for record in MODELS if record["boundary"] is None]
# nlme stops at a covariance that is nearly singular: its criterion is above the minimum by more than this
EXACT = 1e-6


def frame_of(record: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(answers("structures.json")["frames"][record["data"]])


def fit_record(record: dict[str, Any], formula: str | None = None) -> Any:
    formula = record["formula"] if formula is None else formula
    return quietly(formula, frame_of(record), REML=record["REML"], weights=record["weights"])


def test_every_structure_is_there() -> None:
    assert len(MODELS) == 68
    assert {term["structure"] for record in MODELS for term in record["terms"]} >= {"cs", "diag", "homcs", "homdiag"}


@EVERY
def test_criterion(record: dict[str, Any]) -> None:
    m = fit_record(record)
    assert m.optinfo.converged
    assert m.is_singular() == (record["boundary"] is not None)
    assert m.criterion <= record["criterion"] + EXACT
    if record["boundary"] is None:
        assert m.criterion == pytest.approx(record["criterion"], abs=EXACT)
    else:  # the others end a little way from the boundary
        assert m.criterion == pytest.approx(record["criterion"], abs=1e-4)


@pytest.mark.parametrize("record", INTERIOR, ids=[record["id"] for record in INTERIOR])
def test_estimates(record: dict[str, Any]) -> None:
    m = fit_record(record)
    se = np.array(list(record["se"].values()))
    assert_allclose((m.fixef.to_numpy() - list(record["fixef"].values())) / se, 0.0, atol=1e-4)
    assert_allclose(np.sqrt(np.diag(m.vcov())), se, rtol=1e-4)
    assert m.sigma == pytest.approx(record["sigma"], rel=1e-4)
    assert len(m.varcorr.terms) == len(record["terms"])
    for found, expected in zip(m.varcorr.terms, record["terms"], strict=True):
        assert found.group == expected["group"]
        assert_allclose(found.sd, expected["sds"], rtol=1e-4)
        pairs = found.correlation[np.tril_indices(len(found.sd), -1)]
        correlation = expected.get("correlation")
        assert_allclose(pairs, 0.0 if correlation is None else correlation, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("record", [r for r in MODELS if r["boundary"]], ids=lambda record: record["id"])
def test_estimates_at_a_boundary(record: dict[str, Any]) -> None:
    """What the others come near is reached: a standard deviation of zero, or a correlation at its end."""
    m = fit_record(record)
    (term,), theta = record["terms"], m.theta
    if "standard deviation" in record["boundary"]:
        near = np.array(term["sds"]) < 1e-3
        assert (m.varcorr.terms[0].sd[near] == 0.0).all() and near.any()
    else:
        assert theta[-1] == {"correlation at 1": 1.0, "correlation at -1/2": -0.5}[record["boundary"]]
        assert_allclose(m.varcorr.terms[0].sd, term["sds"], rtol=1e-3)
    se = np.array(list(record["se"].values()))
    assert_allclose((m.fixef.to_numpy() - list(record["fixef"].values())) / se, 0.0, atol=1e-3)
    assert "boundary (singular) fit" in m.optinfo.message
    assert all(score >= -1e-6 for score in m.optinfo.boundary.values())


def by_bars(record: dict[str, Any]) -> str | None:
    """The random part of a model with one term, in bars; None when bars cannot say it."""
    if len(record["terms"]) > 1 or record["boundary"]:
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


BARS = [record for record in MODELS if by_bars(record)]


def test_there_are_bars_for_some_of_each_kind() -> None:
    assert {record["terms"][0]["structure"] for record in BARS} == {"cs", "diag", "homcs", "homdiag"}


@pytest.mark.parametrize("record", BARS, ids=[record["id"] for record in BARS])
def test_the_same_model_written_in_bars(record: dict[str, Any]) -> None:
    bars, named = fit_record(record, f"{record['fixed']} + {by_bars(record)}"), fit_record(record)
    for m in (bars, named):
        assert m.optinfo.converged
        assert m.criterion == pytest.approx(record["criterion"], abs=1e-7)
        assert m.sigma == pytest.approx(record["sigma"], rel=1e-5)
        se = np.array(list(record["se"].values()))
        assert_allclose((m.fixef.to_numpy() - list(record["fixef"].values())) / se, 0.0, atol=1e-5)
        assert_allclose(np.sqrt(np.diag(m.vcov())), se, rtol=1e-5)
    assert bars.criterion == pytest.approx(named.criterion, abs=1e-8)
    assert_allclose(bars.fitted, named.fitted, rtol=1e-5)


@pytest.mark.parametrize("keyword", ["us", "diag", "homdiag", "cs", "homcs"])
def test_one_column_is_an_intercept(keyword: str, fit: Any) -> None:
    one = fit(f"Yield ~ 1 + {keyword}(1 | Batch)", "Dyestuff")
    other = fit("Yield ~ 1 + (1 | Batch)", "Dyestuff")
    assert one.criterion == pytest.approx(other.criterion, abs=1e-9)
    assert_allclose(one.theta, other.theta, rtol=1e-5)


def test_orders_of_rows_levels_and_terms_do_not_matter() -> None:
    frame = frame_of(next(record for record in MODELS if record["id"] == "cs-3-and-diag-REML"))
    m = lmer("y ~ f + x + cs(0 + f | g) + diag(1 + x | h)", frame)
    other = lmer("y ~ f + x + diag(1 + x | h) + cs(0 + f | g)", frame.sample(frac=1.0, random_state=1))
    assert other.criterion == pytest.approx(m.criterion, abs=1e-8)
    assert other.theta_names == m.theta_names  # the factor with more levels is first in both
    assert_allclose(other.theta, m.theta, rtol=1e-4)


@pytest.mark.parametrize("keyword", ["cs", "diag"])
def test_units_of_columns_change_standard_deviations_alone(keyword: str) -> None:
    frame = frame_of(next(record for record in MODELS if record["id"] == "cs-3-slopes-REML"))
    m = lmer(f"y ~ x + z + {keyword}(1 + x + z | g)", frame)
    other = lmer(f"y ~ x + z + {keyword}(1 + x + z | g)", frame.assign(x=lambda d: 1e5 * d["x"]))
    expected = m.theta.copy()
    expected[1] *= 1e-5
    assert_allclose(other.theta, expected, rtol=1e-4)
    assert other.criterion == pytest.approx(m.criterion + 2.0 * np.log(1e5), abs=1e-6)  # REML
