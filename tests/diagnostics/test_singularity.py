"""Singular fits explained: what is said of them, and formulas of the same likelihood, which are fitted again here."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lmmsparse import lmer
from lmmsparse.covariance import STRUCTURES, Diagonal
from lmmsparse.datasets import load_dataset
from lmmsparse.diagnostics import simpler_formulas
from lmmsparse.diagnostics.directions import empty_in_words, joined
from lmmsparse.diagnostics.simpler_bars import simpler_bars, whole_bar, written
from lmmsparse.errors import GroupingError, LmmWarning
from lmmsparse.formula import parse

SLEEP = "Reaction ~ Days + (Days | Subject)"
# Criteria of two searches for one minimum.
SAME = 1e-6


def quiet(formula: str, data: Any, **arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        return lmer(formula, data, **arguments)


def explained(m: Any) -> Any:
    """The diagnosis and its text, which never warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = m.singularity()
        assert str(found)
    assert found.singular == m.is_singular()
    return found


def assert_fits_again(m: Any, found: Any, data: Any, **arguments: Any) -> None:
    """Every formula that is named gives the criterion that is named, with so many parameters less."""
    for one in (found.simpler, found.closest, found.shifted):
        if one is None:
            continue
        assert one.rise == pytest.approx(one.criterion - m.criterion, abs=1e-12)
        assert (one.rise <= 1e-4) == (one is not found.closest)
        if "|" not in one.formula:
            assert one.saved == len(m.theta)
            continue
        again = quiet(one.formula, data, **arguments)
        assert again.criterion == pytest.approx(one.criterion, abs=SAME)
        assert len(m.theta) - len(again.theta) == one.saved


def made(seed: int, n: int = 60, levels: int = 8) -> pd.DataFrame:
    """Variables of every kind; the effects of the levels are small against the noise."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(
        {
            "g": np.resize(np.arange(levels), n),
            "k": rng.integers(0, 4, n),
            "x": 5 + rng.normal(size=n),
            "z": rng.normal(size=n),
            "w": rng.uniform(1, 9, n),
            "f": rng.choice(list("abc"), n),
            "h": rng.choice(list("uv"), n),
            "lo": rng.random(n) < 0.5,
            "my var": rng.normal(size=n),
        }
    )
    data["y"] = rng.normal(size=n) + rng.normal(size=levels)[data["g"]] * rng.choice([0, 1])
    return data


def test_a_variance_of_zero():
    data = load_dataset("Dyestuff2")
    m = quiet("Yield ~ 1 + (1 | Batch)", data)
    found = explained(m)
    assert found.terms[0].findings == ("(Intercept) has no variance",)
    assert (found.terms[0].rank, found.terms[0].smallest) == (0, 0.0)
    assert found.simpler.formula == "Yield ~ 1"
    assert found.closest is None
    y = data["Yield"].to_numpy()
    n, s2 = len(y), np.var(y, ddof=1)
    linear = np.log(n) + (n - 1) * (1 + np.log(2 * np.pi * s2))
    assert found.simpler.criterion == pytest.approx(linear, abs=1e-8)
    assert str(found).splitlines() == [
        "The fit is singular: some directions of the random effects have no variance.",
        "  Batch: (Intercept) has no variance",
        "The same REML criterion (161.8283; here 161.8283), 1 parameter fewer:",
        "  Yield ~ 1",
    ]


def test_a_perfect_correlation():
    data = load_dataset("sleepstudy").iloc[:20]
    m = quiet(SLEEP, data, REML=False)
    found = explained(m)
    assert found.simpler is None
    assert found.closest.rise > 1
    sd = m.varcorr["Subject"].sd
    words = " ".join(str(found).split())
    assert f"perfectly correlated: every level's effects are one number times ({sd[0]:.4g}, {sd[1]:.4g})" in words
    assert "None of the simpler formulas that were tried has the -2 log-likelihood" in str(found)
    assert found.shifted.formula.startswith("Reaction ~ Days + (0 + I(Days + ")
    assert found.shifted.saved == 2
    assert_fits_again(m, found, data, REML=False)


def test_a_perfect_negative_correlation_with_a_far_origin():
    data = load_dataset("sleepstudy").iloc[:20]
    data = data.assign(year=2001.0 + data["Days"])
    m = quiet("Reaction ~ year + (year | Subject)", data)
    found = explained(m)
    sd = m.varcorr["Subject"].sd
    assert f"({sd[0]:.4g}, -{sd[1]:.4g})" in str(found)
    assert "I(year - 1998.99" in found.shifted.formula  # 1999 would do to 1e-5
    assert_fits_again(m, found, data)


@pytest.mark.parametrize("x", ["`my var`", "I(x * z)", "log(w)"])
def test_a_constructed_perfect_correlation(x):
    rng, data = np.random.default_rng(4), made(12)
    values = {"`my var`": data["my var"], "I(x * z)": data["x"] * data["z"], "log(w)": np.log(data["w"])}[x]
    data["y"] = rng.normal(size=60) + 3 * rng.normal(size=8)[data["g"]] * (1 + 0.5 * values)
    m = quiet(f"y ~ x + ({x} | g)", data)
    found = explained(m)
    assert found.terms[0].rank == 1
    assert found.simpler is None
    assert found.closest.rise > 0.01
    assert found.shifted is not None
    assert_fits_again(m, found, data)


def test_no_constant_is_added_to_a_basis():
    rng, data = np.random.default_rng(3), made(12)
    data["y"] = rng.normal(size=60) + 3 * rng.normal(size=8)[data["g"]] * (1 + 0.5 * data["z"])
    found = explained(quiet("y ~ x + (poly(z, 1) | g)", data))
    assert found.singular
    assert found.shifted is None


def test_a_rank_that_is_short_by_one():
    data = load_dataset("cake")
    m = quiet("angle ~ temp + (recipe | replicate)", data)
    found = explained(m)
    assert (found.terms[0].rank, found.simpler) == (2, None)
    covariance = m.varcorr["replicate"].covariance
    ours, others = covariance[1, [0, 2]], covariance[np.ix_([0, 2], [0, 2])]
    a, b = np.linalg.solve(others, ours)
    assert found.terms[0].findings == (
        f"the effect of recipe[T.B] is {a:.4g} × (Intercept) + {b:.4g} × recipe[T.C] at every level",
    )
    assert found.closest.formula == "angle ~ temp + (recipe || replicate)"
    assert_fits_again(m, found, data)


def test_an_empty_intercept_and_an_empty_term():
    data, rng = made(1), np.random.default_rng(8)
    z = data["z"] - data.groupby("g")["z"].transform("mean")
    y = rng.normal(size=60) + 3 * rng.normal(size=8)[data["g"]] * z
    data = data.assign(z=z, y=y - y.groupby(data["g"]).transform("mean"))
    m = quiet("y ~ z + (z || g) + (1 | k)", data)
    found = explained(m)
    assert "g: (Intercept) has no variance" in str(found)
    assert "k: (Intercept) has no variance" in str(found)
    assert found.simpler.formula == "y ~ z + (0 + z || g)"
    assert found.simpler.saved == 2
    assert found.closest is None
    assert_fits_again(m, found, data)


def test_terms_of_one_factor_are_told_apart():
    data = made(8)
    data["y"] += 3 * np.random.default_rng(2).normal(size=8)[data["g"]]
    m = quiet("y ~ 1 + (1 | g) + (0 + w | g)", data)
    found = explained(m)
    assert "(0 + w | g): w has no variance" in str(found)
    assert found.simpler.formula == "y ~ 1 + (1 | g)"
    assert_fits_again(m, found, data)


def test_a_fit_that_is_not_singular(fit):
    found = explained(fit(SLEEP, "sleepstudy"))
    assert not found.singular
    assert found.terms[0].findings == ()
    assert str(found).splitlines() == [
        "The fit is not singular: every direction of the random effects has a variance.",
        "The smallest relative standard deviation is 0.412, in (Days | Subject).",
    ]


def test_a_term_that_is_nearly_singular():
    rng = np.random.default_rng(4)
    noise, effects = rng.normal(size=(20, 500)), rng.normal(size=20)
    noise -= noise.mean(axis=1, keepdims=True)
    noise /= np.sqrt((noise**2).sum() / (20 * 499))
    effects = (effects - effects.mean()) / effects.std(ddof=1)
    # a balanced design: the variance of the effects is that of the means less 1/500
    y = noise + np.sqrt(0.03**2 + 1 / 500) * effects[:, None]
    data = pd.DataFrame({"y": y.ravel(), "g": np.repeat(np.arange(20), 500)})
    found = explained(quiet("y ~ 1 + (1 | g)", data))
    assert not found.singular
    assert found.terms[0].smallest == pytest.approx(0.03, rel=1e-5)
    assert "(1 | g) is nearly singular: its smallest relative standard deviation is 0.03" in str(found)


def test_a_perfect_fit_is_not_searched():
    x = np.arange(20.0)
    data = pd.DataFrame({"x": x, "y": 1 + 2 * x, "g": np.repeat(list("abcd"), 5)})
    found = explained(quiet("y ~ x + (1 | g)", data))
    assert found.perfect
    assert str(found).startswith("Perfect fit")
    assert found.simpler is None


FORMULAS = [
    "y ~ x + offset(z) + (x * z | g)",
    "y ~ f + (f * x | g)",
    "y ~ 1 + (0 + f + h || g)",
    "y ~ 0 + (f:x | g)",
    "y ~ x + (f + h || g) + (1 | k)",
    "y ~ x + (poly(x, 2) | g)",
    "y ~ poly(x, 2) + (I(x^2) + x | g / h)",
    "y ~ `my var` + (0 + f:h | k)",
    "y ~ x + (lo | as.factor(k)) + (1 | g)",
    "y ~ x + (0 + f | g) + (z || g:h)",
    "y ~ x + (x + z + w || g)",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_that_are_named_say_what_was_fitted(formula):
    singular = 0
    for seed in range(20, 24):
        data = made(seed)
        arguments = {"REML": seed % 2 == 0, "weights": None if seed % 3 else data["w"].to_numpy()}
        try:
            m = quiet(formula, data, **arguments)
        except GroupingError:  # too many effects for so few rows
            continue
        found = explained(m)
        singular += found.singular
        assert_fits_again(m, found, data, **arguments)
    assert singular


def test_units_do_not_change_the_diagnosis():
    data = load_dataset("sleepstudy").iloc[:20]
    base = explained(quiet(SLEEP, data))
    other = explained(quiet(SLEEP, data.assign(Days=1e5 * data["Days"], Reaction=1e3 * data["Reaction"])))
    assert other.terms[0].rank == base.terms[0].rank == 1
    assert other.closest.formula == base.closest.formula
    assert other.closest.rise == pytest.approx(base.closest.rise, abs=SAME)


def test_the_coding_of_independent_effects_stays():
    data = made(30)
    m = quiet("y ~ 1 + (0 + f + h || g)", data)
    bar = whole_bar(m.terms[0], m.frame.formula.bars[0], m.frame.spec.bar_designs[0])
    # without f, h would have a column more; without h, f stays as it is
    assert [one.left for one in simpler_bars(bar)] == ["0 + f"]


def test_one_step_less_of_a_factor():
    data = made(30)
    m = quiet("y ~ 1 + (0 + f | g)", data)
    bar = whole_bar(m.terms[0], m.frame.formula.bars[0], m.frame.spec.bar_designs[0])
    assert [(one.left, one.keyword, one.size) for one in simpler_bars(bar)] == [("1", "us", 1), ("0 + f", "diag", 3)]


def test_nothing_can_be_fitted(monkeypatch):
    def refuse(*_: Any) -> float:
        raise GroupingError("no")

    monkeypatch.setattr(simpler_formulas, "refitted_criterion", refuse)
    found = explained(quiet(SLEEP, load_dataset("sleepstudy").iloc[:20]))
    assert (found.simpler, found.closest, found.shifted) == (None, None, None)
    assert "No simpler formula from the same columns could be fitted." in str(found)


def test_words():
    assert joined(["a"]) == "a"
    assert joined(["a", "b", "c"]) == "a, b and c"
    template = np.array([[2.0, 0.0], [0.0, 0.0]])
    assert empty_in_words(("a", "b"), template, np.ones(2), 1, 3.0) == ("b has no variance",)
    template = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -2.0, 0.0]])
    assert empty_in_words(("a", "b", "c"), template, np.ones(3), 1, 3.0) == (
        "a has no variance",
        "the effects of b and c are perfectly correlated: every level's effects are one number times (3, -6)",
    )
    full = np.eye(2)
    assert empty_in_words(("a", "b"), full, np.ones(2), 2, 1.0) == ()


class Another(Diagonal):
    """A structure of which nothing but its name is known to the package."""


def test_simpler_bars_keep_their_structure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STRUCTURES, "another", Another)
    m = quiet("y ~ another(1 + x + z | g)", made(3))
    parse._parsed.cache_clear()
    bar = m.frame.formula.bars[0]
    whole = whole_bar(m.terms[0], bar, m.frame.spec.bar_designs[0])
    assert written(whole, bar.factors) == "another(1 + x + z | g)"
    simpler = simpler_bars(whole)
    assert [written(one, bar.factors) for one in simpler] == [
        "another(0 + x + z | g)",
        "another(z | g)",
        "another(x | g)",
    ]
    assert {type(one.term.structure) for one in simpler} == {Another}
    assert [written(one, bar.factors) for one in simpler_bars(simpler[1])] == ["another(0 + z | g)", "another(1 | g)"]
    m = quiet("y ~ us(1 + x | g)", made(3))
    whole = whole_bar(m.terms[0], m.frame.formula.bars[0], m.frame.spec.bar_designs[0])
    assert [written(one, ["g"]) for one in simpler_bars(whole)] == ["(0 + x | g)", "(1 | g)", "(1 + x || g)"]
