"""The terms of X: their columns rebuilt from levels and codings, and what is left without one."""

from __future__ import annotations

import numpy as np
import pytest

from lmmsparse import lmer
from lmmsparse.datasets import load_dataset
from lmmsparse.frame.model_terms import model_terms
from lmmsparse.inference.hypotheses.term_contrasts import marginal_contrast, without


@pytest.mark.parametrize("fixed", ["recipe * temperature", "recipe * temp", "0 + recipe:temperature", "temp / recipe"])
def test_without_a_term_spans_what_its_hypothesis_leaves(fit, fixed):
    m = fit(f"angle ~ {fixed} + (1 | replicate)", "cake")
    terms, p = model_terms(m.frame.spec.fixed_design), len(m.fixef)
    assert [j for term in terms for j in term.kept] == list(range(p))
    for term in terms:
        if not term.is_intercept:
            L = marginal_contrast(term, terms, p)
            W = without(L)
            assert W.shape == (p, p - np.linalg.matrix_rank(L))
            np.testing.assert_allclose(L @ W, 0.0, atol=1e-10)


@pytest.mark.parametrize(
    ("fixed", "contrasts"),
    [
        ("recipe * temperature", None),
        ("recipe:temperature", {"recipe": "sum"}),
        ("0 + recipe + recipe:temp", None),
        ("recipe * hot * temp", {"recipe": "helmert"}),
        ("poly(temp, 2):recipe + poly(temp, 2) + C(early)", None),
    ],
)
def test_pieces_rebuild_the_columns(fixed, contrasts):
    """X from the levels of the factors and the coding matrices, term after term."""
    data = load_dataset("cake")
    data["hot"] = data["temp"].to_numpy() % 20 == 5
    data["early"] = data["replicate"].astype(int) % 3
    m = lmer(f"angle ~ {fixed} + (1 | replicate)", data, contrasts=contrasts)
    assert not m.frame.dropped
    centred = data["temp"] - data["temp"].mean()
    linear = centred / np.linalg.norm(centred)
    square = centred**2 - (centred**2).mean()
    numbers = {"temp": data["temp"].to_numpy(float)[:, None]}
    numbers["poly"] = np.column_stack([linear, square / np.linalg.norm(square)])
    codes = {name: data[name].astype("category").cat.codes.to_numpy() for name in ("recipe", "temperature", "hot")}
    codes["C(early)"] = data["early"].to_numpy()
    columns = []
    for term in model_terms(m.frame.spec.fixed_design):
        for piece in term.pieces:
            product = np.full((len(data), 1), piece.scale)
            for name, coding in zip(piece.factors, piece.codings, strict=True):
                plain = next((known for known in codes if known in name), None)
                values = coding[codes[plain]] if plain else numbers["poly" if "poly" in name else "temp"]
                product = np.einsum("ij,ik->ikj", product, values).reshape(len(data), -1)  # the first is the fastest
            columns.append(product)
    np.testing.assert_allclose(np.hstack(columns), m.frame.X, atol=1e-8)
