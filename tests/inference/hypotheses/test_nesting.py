"""Which models are special cases of others, whatever their parametrization, grouping factors or offsets."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from lmmsparse import lmer
from lmmsparse.datasets import load_dataset
from lmmsparse.errors import LmmWarning, NestingWarning
from lmmsparse.inference import anova
from lmmsparse.inference.hypotheses.nesting import is_nested
from tests.inference.cases import SLEEP


@pytest.fixture(scope="module")
def machines() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    worker, machine = np.repeat(np.arange(8), 9), np.tile(np.repeat(np.arange(3), 3), 8)
    y = rng.normal(size=8)[worker] + rng.normal(size=(8, 3))[worker, machine] + 0.5 * rng.normal(size=72)
    data = {"y": y, "w": worker.astype(str), "m": np.array(list("abc"))[machine], "x": rng.normal(size=72)}
    return {name: values[:65] for name, values in data.items()}


def compared(data: dict[str, Any], small: str, large: str) -> tuple[Any, int]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = anova(lmer(f"y ~ m + {small}", data), lmer(f"y ~ m + {large}", data))
    return table.iloc[1], sum(issubclass(w.category, NestingWarning) for w in caught)


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("(1 | w) + (1 | w:m)", "(0 + m | w)"),
        ("(1 | w) + (1 | w:m)", "(m | w)"),
        ("(1 | w:m)", "(0 + m || w)"),
    ],
)
def test_interactions_are_special_cases_of_slopes_of_a_factor(machines, small, large):
    row, warned = compared(machines, small, large)
    assert warned == 0
    # under the hypothesis no variance is zero: one for all cells is inside the larger model
    assert np.isnan(row["p_mixture"])
    assert row["reference"] == f"chi2({row['Df']:.0f})"


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("(1 | w) + (1 | w:m)", "(0 + m || w)"),  # no covariance between cells there
        ("(1 | w:m)", "(x | w)"),
        ("(1 | w)", "(1 | w:m) + (0 + x | w)"),
        ("(0 + x | w:m)", "(m | w)"),
    ],
)
def test_other_random_effects_are_not(machines, small, large):
    assert compared(machines, small, large)[1] == 1


@pytest.mark.parametrize("weights", [None, 1.0 + np.arange(65) % 4])
def test_offsets_that_columns_make_up_for(machines, weights):
    x = machines["x"]
    large = lmer("y ~ x + (1 | w)", machines, weights=weights)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NestingWarning)
        anova(lmer("y ~ 1 + (1 | w)", machines, weights=weights, offset=3.0 + 2.0 * x), large)
    with pytest.warns(NestingWarning):
        anova(lmer("y ~ 1 + (1 | w)", machines, weights=weights, offset=x**2), large)


def test_what_is_not_nested():
    data = load_dataset("sleepstudy")
    data["other"] = np.roll(data["Subject"].to_numpy(), 5)  # as many levels, other rows
    m = lmer(SLEEP, data)
    smaller = [
        ("Reaction ~ Days + (1 | other)", {}),
        ("Reaction ~ Days + (1 | Subject)", {"offset": data["Days"].to_numpy() ** 2.0}),
    ]
    for formula, arguments in smaller:
        assert not is_nested(lmer(formula, data, **arguments), m)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        slopes = lmer("Reaction ~ Days + (0 + Days + I(Days^2) | Subject)", data)
    assert is_nested(lmer("Reaction ~ Days + (0 + Days | Subject)", data), slopes)
    assert not is_nested(lmer("Reaction ~ Days + (1 | Subject)", data), slopes)
    assert not is_nested(m, lmer("Reaction ~ Days + (Days || Subject)", data))


def test_nesting_sees_through_parametrizations(fit):
    pairs = [
        ("angle ~ temp + (1 | replicate)", "angle ~ temperature + (1 | replicate)", "cake"),
        ("angle ~ temp + (1 | replicate)", "angle ~ temp + (0 + recipe | replicate)", "cake"),
        ("Reaction ~ Days + (0 + Days | Subject)", SLEEP, "sleepstudy"),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error", NestingWarning)
        for small, large, data in pairs:
            fit(large, data).anova(fit(small, data))
