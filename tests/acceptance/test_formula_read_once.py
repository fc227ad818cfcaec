"""The text of a formula is read once, by the package `formula`; the others work with what it says."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lmmsparse
from lmmsparse.formula import expressions, parse, tokens

PACKAGE = Path(lmmsparse.__file__).parent
RNG = np.random.default_rng(7)
N = 120
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.normal(size=N),
        "z": RNG.uniform(1, 2, N),
        "f": np.array(list("uvw"))[RNG.permutation(N) % 3],
        "a": RNG.permutation(N) % 6,
        "b": RNG.permutation(N) % 4,
        "g": RNG.permutation(N) % 7,
        "w": RNG.normal(size=N),
    }
)
FORMULA = (
    "y ~ f * x + I(z^2) + log(z) + offset(w / 10) + (1 + x | a/b) + (0 + I(z^2) || g) + (1 | factor(g):a) + (1 | b)"
)


@contextmanager
def counted(**functions: Callable[..., Any]) -> Iterator[dict[str, Counter[str]]]:
    """How often each function was called with each first argument, wherever it was imported."""
    calls: dict[str, Counter[str]] = {name: Counter() for name in functions}
    codes: dict[CodeType, str] = {function.__code__: name for name, function in functions.items()}

    def look(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code in codes:
            first = frame.f_locals[frame.f_code.co_varnames[0]]
            calls[codes[frame.f_code]][" ".join(str(first).split())] += 1

    sys.setprofile(look)
    try:
        yield calls
    finally:
        sys.setprofile(None)


@pytest.mark.filterwarnings("ignore::lmmsparse.errors.LmmWarning")
def test_every_text_is_parsed_once() -> None:
    for cached in (parse._parsed, expressions.parsed, expressions.expression_names, expressions.formatted):
        cached.cache_clear()
    with counted(tokens=tokens.tokens, parsed=expressions.parsed.__wrapped__) as calls:
        m = lmmsparse.lmer(FORMULA, DATA)
        m.predict(DATA.iloc[:20])
        m.predict(DATA.iloc[20:40], re_form="~ (1 + x | a)")
        m.predict(DATA.iloc[40:60], re_form="~ (1 + x | a)")
        m.summary()
        m.refit(DATA["y"][::-1].to_numpy())
    assert calls["tokens"] == {FORMULA: 1, "response ~ (1 + x | a)": 1}
    assert max(calls["parsed"].values()) == 1
    assert {"I(z**2)", "log(z)", "w / 10", "factor(g)"} <= set(calls["parsed"])


def test_other_packages_import_the_face_of_formula_alone() -> None:
    for path in PACKAGE.rglob("*.py"):
        if PACKAGE / "formula" in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(name.startswith("lmmsparse.formula.") for name in names), path
