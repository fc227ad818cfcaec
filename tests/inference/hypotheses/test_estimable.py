"""Type III tests with empty cells against lmerTest, and against the definition of their hypotheses."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from formulaic.transforms.contrasts import CustomContrasts

from lmmsparse import lmer
from lmmsparse.datasets import load_dataset
from lmmsparse.errors import ArgumentError, LmmWarning, RankDeficiencyWarning
from lmmsparse.frame.model_terms import model_terms
from lmmsparse.inference.hypotheses import estimable
from lmmsparse.inference.hypotheses.estimable import estimable_contrasts
from lmmsparse.inference.hypotheses.reduced import all_columns
from lmmsparse.inference.hypotheses.term_contrasts import marginal_contrasts
from tests.answers import answers

CASES = {case["id"]: case for case in answers("inference_testing.json")["empty"]}


def emptied(case: dict[str, Any]) -> pd.DataFrame:
    """cake with a further factor, without every seventh row and the rows of some cells."""
    data = load_dataset("cake")
    data["third"] = pd.Categorical(np.array(["u", "v", "w"])[np.arange(1, len(data) + 1) ** 2 // 5 % 3])
    data = data[np.arange(len(data)) % 7 != 0]
    cells = [[(data[name].astype(str) == level).to_numpy() for name, level in cell.items()] for cell in case["empty"]]
    return data[~np.any([np.all(cell, axis=0) for cell in cells], axis=0)]


def quiet_fit(formula: str, data: pd.DataFrame, **arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        return lmer(formula, data, **arguments)


@pytest.mark.parametrize("name", CASES)
def test_type_3_with_empty_cells(name):
    case = CASES[name]
    coding = dict.fromkeys(case["coding"], "sum") if case["coding"] else None
    m = quiet_fit(case["formula"], emptied(case), contrasts=coding)
    with pytest.warns(RankDeficiencyWarning, match=r"columns of '(recipe|temp).* are not in X") as caught:
        table = m.anova(type=3)
    assert caught[0].filename == __file__
    want = case["table"]
    assert table["term"].to_list() == want["term"]
    assert table["NumDF"].to_list() == want["NumDF"]
    np.testing.assert_allclose(table["DenDF"], want["DenDF"], rtol=1e-5)
    np.testing.assert_allclose(table["F"], want["F"], rtol=1e-5)
    np.testing.assert_allclose(table["p_value"], want["p"], rtol=1e-4)


def test_type_3_with_empty_cells_does_not_depend_on_the_coding():
    case = CASES["three factors"]
    data, tables = emptied(case), []
    for codings in (("treatment", "sum", "helmert"), ("helmert", "poly", "treatment"), ("sum", "treatment", "sum")):
        m = quiet_fit(
            case["formula"], data, contrasts=dict(zip(("recipe", "temperature", "third"), codings, strict=True))
        )
        with pytest.warns(RankDeficiencyWarning):
            tables.append(m.anova(type=3))
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0], rtol=1e-5)


def test_estimable_functions_of_all_cells_are_averages(fit):
    for formula in (
        "angle ~ recipe * temperature + (1 | replicate)",
        "angle ~ recipe * temp + (1 | replicate)",
        "angle ~ recipe + recipe:temperature + (1 | replicate)",
        "angle ~ 0 + temperature + recipe:temperature + (1 | replicate)",
        "angle ~ temp + recipe:temp + (1 | replicate)",
    ):
        m = fit(formula, "cake", subset=np.arange(270) % 7 != 0)
        terms, p = model_terms(m.frame.spec.fixed_design), m.frame.X.shape[1]
        assert all(term.complete for term in terms)
        R = np.linalg.qr(m.frame.X, mode="r")
        averages = marginal_contrasts(terms, p)
        for term, L, want in zip(terms, estimable_contrasts(terms, np.eye(p), R), averages, strict=True):
            assert L.shape == want.shape, (formula, term.label)
            assert np.linalg.matrix_rank(np.vstack([L, want]), tol=1e-8) == len(want)


def test_estimable_functions_involve_a_term_and_those_that_contain_it():
    """Their coefficients of the indicators, from the rows: zero elsewhere, and orthogonal to containing terms'."""
    case = CASES["two of three"]
    data = emptied(case)
    m = quiet_fit(case["formula"], data)
    terms = model_terms(replace(m.frame.spec.fixed_design, keep=None))
    R = np.linalg.qr(m.frame.X, mode="r")
    found = estimable_contrasts(terms, all_columns(m.frame), R)
    factors = {"(Intercept)": [], "recipe": ["recipe"], "temperature": ["temperature"], "third": ["third"]}
    factors["recipe:temperature"] = ["recipe", "temperature"]
    dummies = {}
    for label, names in factors.items():
        key = data[names].astype(str).agg("/".join, axis=1) if names else pd.Series("all", index=data.index)
        dummies[label] = pd.get_dummies(key).to_numpy(float)
    # functions of the coefficients of the indicators: L β with X β = D γ
    functions = {
        term.label: {label: L @ np.linalg.lstsq(m.frame.X, D)[0] for label, D in dummies.items()}
        for term, L in zip(terms, found, strict=True)
        if not term.is_intercept
    }
    above = functions["recipe:temperature"]
    for label in ("recipe", "temperature", "third"):
        for other in set(dummies) - {label, "recipe:temperature"}:
            np.testing.assert_allclose(functions[label][other], 0.0, atol=1e-9)
    for other in set(dummies) - {"recipe:temperature"}:
        np.testing.assert_allclose(above[other], 0.0, atol=1e-9)
    for label in ("recipe", "temperature"):
        product = functions[label]["recipe:temperature"] @ above["recipe:temperature"].T
        np.testing.assert_allclose(product, 0.0, atol=1e-9)


@pytest.mark.parametrize(
    "fixed", ["0 + recipe * temperature", "recipe:temperature + recipe:third + recipe:third:temperature"]
)
def test_empty_cells_without_what_terms_share(fixed):
    m = quiet_fit(f"angle ~ {fixed} + (1 | replicate)", emptied(CASES["three factors"]))
    with pytest.warns(RankDeficiencyWarning), pytest.raises(ArgumentError, match="share as a term of its own"):
        m.anova()


def test_empty_cells_with_codings_that_do_not_tell_levels_apart():
    case = CASES["first cell"]
    m = quiet_fit(case["formula"], emptied(case), contrasts={"recipe": CustomContrasts([[0.0], [1.0], [1.0]])})
    with pytest.warns(RankDeficiencyWarning), pytest.raises(ArgumentError, match="codings that tell all levels apart"):
        m.anova()


def test_empty_cells_of_too_large_a_table(monkeypatch):
    case = CASES["one cell"]
    m = quiet_fit(case["formula"], emptied(case))
    monkeypatch.setattr(estimable, "LARGEST_TABLE", 300)
    with pytest.warns(RankDeficiencyWarning), pytest.raises(ArgumentError, match="a table of 18 cells by 18 columns"):
        m.anova(type=3)
    assert m.anova(type=2)["NumDF"].to_list() == [2, 5, 9]
