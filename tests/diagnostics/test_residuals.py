"""Residuals of every kind against the model's matrices written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lmmsparse import lmer
from lmmsparse.errors import ArgumentError

Fit = Callable[..., Any]

MODELS = {
    "correlated": "Reaction ~ Days + (Days | Subject)",
    "two terms": "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)",
    "double bar": "Reaction ~ Days + (Days || Subject)",
}
WEIGHTS = 1.0 + np.arange(180) % 3


def dense(m: Any) -> tuple[Any, Any, Any]:
    """Z, b and the covariance matrix of b, effects in the order of getme("Z")."""
    Z = m.getme("Z").toarray()
    Lambda = m.getme("Lambda").toarray()
    return Z, np.asarray(m.getme("b")).ravel(), m.sigma**2 * Lambda @ Lambda.T


@pytest.mark.parametrize("formula", MODELS.values(), ids=list(MODELS))
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
@pytest.mark.parametrize("offset", [None, np.linspace(0, 50, 180)], ids=["", "offset"])
def test_conditional_and_marginal(formula: str, weights: Any, offset: Any, fit: Fit) -> None:
    m = fit(formula, "sleepstudy", weights=weights, offset=offset)
    Z, b, covariance = dense(m)
    y = m.frame.y - (0.0 if offset is None else offset)
    w = np.ones(180) if weights is None else weights
    marginal = y - m.frame.X @ m.fixef.to_numpy()
    conditional = marginal - Z @ b
    total = np.sqrt(m.sigma**2 / w + np.einsum("ij,jk,ik->i", Z, covariance, Z))
    assert_allclose(m.resid(), conditional, atol=1e-9)
    assert_allclose(m.resid("pearson"), conditional * np.sqrt(w), atol=1e-9)
    assert_allclose(m.resid("scaled"), conditional * np.sqrt(w) / m.sigma, atol=1e-10)
    for none in (0, "~0"):
        assert_allclose(m.resid(re_form=none), marginal, atol=1e-9)
        assert_allclose(m.resid("pearson", re_form=none), marginal * np.sqrt(w), atol=1e-9)
        assert_allclose(m.resid("scaled", re_form=none), marginal / total, atol=1e-10)


def test_partial(fit: Fit) -> None:
    m = fit("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin")
    plate = m.ranef()["plate"]["(Intercept)"].to_numpy()[m.terms[0].codes]
    values = m.frame.y - m.fixef.iloc[0] - plate
    assert_allclose(m.resid(re_form="~(1|plate)"), values, atol=1e-10)
    spread = np.hypot(m.sigma, m.varcorr["sample"].sd[0])
    assert_allclose(m.resid("scaled", re_form="~(1|plate)"), values / spread, atol=1e-10)
    whole = m.resid("scaled", re_form="~(1|plate) + (1|sample)")
    assert_allclose(whole, m.resid("scaled"), rtol=1e-10)


def test_part_of_a_term(fit: Fit) -> None:
    """Given the intercepts, slopes are left out: their variance counts, whatever their correlation."""
    m = fit(MODELS["correlated"], "sleepstudy")
    days, codes = m.frame.X[:, 1], m.terms[0].codes
    values = m.frame.y - m.frame.X @ m.fixef.to_numpy() - m.ranef()["Subject"]["(Intercept)"].to_numpy()[codes]
    spread = np.sqrt(m.sigma**2 + (days * m.varcorr["Subject"].sd[1]) ** 2)
    assert_allclose(m.resid("scaled", re_form="~(1|Subject)"), values / spread, atol=1e-10)


def test_scaled_marginal_residuals_have_unit_variance() -> None:
    """By simulation from a known model."""
    rng = np.random.default_rng(4)
    g, x = np.repeat(np.arange(400), 5), np.tile(np.arange(5.0), 400)
    b = rng.normal(size=(400, 2)) * [2.0, 0.7]
    y = 3 + x + b[g, 0] + x * b[g, 1] + rng.normal(size=2000)
    scaled = lmer("y ~ x + (x | g)", {"y": y, "x": x, "g": g}).resid("scaled", re_form=0).to_numpy()
    by_x = [np.mean(scaled[x == value] ** 2) for value in range(5)]
    assert_allclose(by_x, 1.0, atol=0.2)


def test_rows_that_were_left_out_have_their_place(fit: Fit) -> None:
    data = pd.DataFrame({"y": [1.0, np.nan, 2.5, 3.0, 2.0, 4.0, 1.5, 2.2], "g": list("aabbccdd")})
    m = lmer("y ~ 1 + (1 | g)", data, na_action="exclude")
    for values in (m.resid("scaled", re_form=0), m.cooks_distance(), m.hatvalues(), m.fitted):
        assert len(values) == 8 and np.isnan(values.iloc[1]) and values.notna().sum() == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("deviance",), "type must be one of response, pearson, scaled, got 'deviance'"),
        (("response", "~(1|nobody)"), "no random effects"),
        (("response", "(1|Subject)"), "one-sided formula"),
        (("response", 3), "re_form must be None"),
    ],
)
def test_unknown_kinds(arguments: Any, message: str, fit: Fit) -> None:
    with pytest.raises(ArgumentError, match=message.replace("(", r"\(").replace("|", r"\|")):
        fit(MODELS["correlated"], "sleepstudy").resid(*arguments)
