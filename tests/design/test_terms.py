"""From bars to random-effect terms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lmmsparse.covariance import STRUCTURES, Diagonal, Unstructured
from lmmsparse.design.terms import random_terms
from lmmsparse.formula import parse, parse_formula
from lmmsparse.frame import build_model_frame

N = 60
RNG = np.random.default_rng(3)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.normal(size=N),
        "f": np.array(list("uvw"))[RNG.permutation(N) % 3],
        "g": np.arange(N) % 5,
        "h": np.arange(N) % 7,
    }
)


class Another(Diagonal):
    """A structure of which nothing but its name is known to the package."""


def test_the_keyword_names_the_structure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STRUCTURES, "another", Another)
    text = "y ~ x + another(0 + f | g) + (x | h) + (x || g:h) + diag(1 | g) + us(1 | h)"
    terms = random_terms(build_model_frame(parse_formula(text), DATA))
    parse._parsed.cache_clear()
    assert [(term.label, type(term.structure), term.structure.size) for term in terms] == [
        ("(x || g:h)", Diagonal, 2),
        ("(x | h)", Unstructured, 2),
        ("us(1 | h)", Unstructured, 1),
        ("another(0 + f | g)", Another, 3),
        ("diag(1 | g)", Diagonal, 1),
    ]
    assert [term.bar for term in terms] == [2, 1, 4, 0, 3]
