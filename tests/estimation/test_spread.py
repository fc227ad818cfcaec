"""Searches from starts that are spread over the parameter space."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from lmmsparse import lmer, load_dataset
from lmmsparse.errors import SeveralMinimaWarning
from lmmsparse.estimation.searched import Searched
from lmmsparse.estimation.spread import Ends, is_uneven, spread_ends, spread_starts
from scripts.hard_designs import MODELS, DenseCriterion, hard_design
from tests.designs import make_case
from tests.oracle import KEYWORDS

# Designs of scripts/hard_designs.py in which one search ends in a higher minimum, or creeps.
HIGHER = (67, 85, 145, 151, 284, 427, 429, 519, 531, 556, 620, 635, 637, 717, 827, 889)
DECADES = Path(__file__).parent / "weights_over_six_decades.csv"
WEIGHTED: dict[str, Any] = {
    "y": [30.86, 0.09, 0.26, 0.36, -0.2, 0.37, 0.47, 0.45, 0.56, -0.06, -0.07, 0.33],
    "x": [0.13, 0.05, 0.37, 0.07, 0.0, 0.36, 0.24, 0.27, 0.29, 0.02, 0.04, 0.2],
    "g": [0, 1, 2, 3, 4, 4, 4, 5, 5, 4, 5, 5],
    "w": [12, 62, 94, 104, 89, 38, 47, 109, 89, 101, 34, 46],
}


@pytest.mark.parametrize("number", HIGHER)
def test_no_other_programs_search_ends_lower(number: int) -> None:
    design = hard_design(number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = "w" if design.weighted else None
        m = lmer(MODELS[design.model][0], design.data, REML=design.reml, weights=weights)
    assert m.criterion <= DenseCriterion(design).lowest(12, np.random.default_rng(number)) + 1e-3
    assert m.optinfo.evaluations < m.optinfo.evaluations_all
    starts = sum(count for _, count in m.optinfo.minima)
    assert f"{m.optinfo.minima[0][1]} of {starts} starts ended here" in m.optinfo.message
    assert m.optinfo.minima[0][0] == pytest.approx(m.criterion, abs=1e-6)


def test_weights_and_an_outlying_group() -> None:
    """A variance of zero is a minimum, 29 above the lowest: lme4 by three optimizers, and a grid of theta."""
    m = lmer("y ~ x + (1 | g)", WEIGHTED, REML=False, weights="w")
    assert m.criterion == pytest.approx(37.9821365567, abs=1e-6)
    assert m.sigma == pytest.approx(0.75106785, rel=1e-6)
    assert m.theta[0] == pytest.approx(15.2302, rel=1e-5)


def test_refits_find_it_as_well() -> None:
    """Whatever the response of the fit was."""
    responses = np.column_stack([np.random.default_rng(i).permutation(WEIGHTED["y"]) for i in range(40)])
    other = lmer("y ~ x + (1 | g)", WEIGHTED | {"y": responses[:, 0]}, REML=False, weights="w")
    together = other.refit_many(np.column_stack([responses, WEIGHTED["y"]])).criterion
    assert together[-1] == pytest.approx(37.9821365567, abs=1e-6)
    singly = [other.refit(y).criterion for y in responses.T]
    np.testing.assert_allclose(together[:-1], singly, atol=1e-6)


def test_weights_over_six_decades() -> None:
    """One start in twenty ends in the lowest minimum, 18.8 below the others: lme4 from start = c(100, 10, 10)."""
    m = lmer("y ~ x + (x | g)", pd.read_csv(DECADES), weights="w")
    assert m.criterion == pytest.approx(310.14992, abs=1e-4)
    assert m.allfit(starts=3, optimizers="newton")["criterion"].min() == pytest.approx(m.criterion, abs=1e-6)


@pytest.mark.parametrize(
    ("term", "exponent"),
    [
        *itertools.product(("(x | g)", "cs(x | g)"), (-300, -200, -8, 8, 152, 200, 300)),
        *itertools.product(("homcs(x | g)", "homdiag(x | g)"), (-100, -8, 8, 100)),
    ],
)
@pytest.mark.filterwarnings("ignore::lmmsparse.errors.SingularFitWarning")
def test_no_unit_of_a_column_is_beyond_the_starts(term: str, exponent: int) -> None:
    rng = np.random.default_rng(1)
    g, x, effects = rng.integers(0, 8, 60), rng.normal(size=60), rng.normal(size=(2, 8))
    y = 1 + 0.5 * x + effects[0, g] + effects[1, g] * x + rng.normal(size=60)
    m = lmer(f"y ~ x + {term}", {"y": y, "x": x * 10.0**exponent, "g": g})
    assert m.converged
    if not term.startswith("hom"):
        one = lmer(f"y ~ x + {term}", {"y": y, "x": x, "g": g})
        assert m.criterion == pytest.approx(one.criterion + 2 * np.log(10.0) * exponent, abs=1e-6)


def test_two_minima_of_one_standard_deviation_for_unlike_columns_are_no_alarm() -> None:
    rng = np.random.default_rng(1)
    g, x, effects = rng.integers(0, 8, 60), rng.normal(size=60), rng.normal(size=(2, 8))
    y = 1 + 0.5 * x + effects[0, g] + effects[1, g] * x + rng.normal(size=60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m = lmer("y ~ x + homdiag(x | g)", {"y": y, "x": 1e4 * x, "g": g})
    assert [count for _, count in m.optinfo.minima] == [2, 1]


def test_even_designs_are_searched_once() -> None:
    m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    assert m.optinfo.evaluations == m.optinfo.evaluations_all == len(m.optinfo.history)
    assert m.optinfo.minima == ((pytest.approx(m.criterion, abs=1e-8), 1),)
    assert not is_uneven(m.objective)


def test_what_makes_a_design_uneven() -> None:
    """One level that says nearly all; an outlying level or row among levels of unlike sizes; few rows."""
    rng = np.random.default_rng(0)
    g, x = np.repeat(np.arange(12), 10), rng.normal(size=120)
    y = rng.normal(size=120) + rng.normal(size=12)[g]
    data = {"y": y, "g": g, "x": np.tile(np.arange(10.0), 12), "w": np.where(g < 3, 3.0, 1.0)}
    assert not is_uneven(lmer("y ~ x + (x | g)", data).objective)
    heavy = data | {"x": np.where(np.arange(120) == 7, 100.0, x)}
    assert is_uneven(lmer("y ~ 1 + (0 + x | g)", heavy).objective)
    assert not is_uneven(lmer("y ~ x + (1 | g)", data, weights="w").objective)
    assert is_uneven(lmer("y ~ x + (1 | g)", data | {"y": y + 50.0 * (g == 5)}, weights="w").objective)
    assert is_uneven(lmer("y ~ x + (1 | g)", data | {"y": y + 50.0 * (np.arange(120) == 5)}, weights="w").objective)
    few = {name: values[:30] for name, values in data.items()}
    assert is_uneven(lmer("y ~ x + (x | g)", few).objective)


@pytest.mark.parametrize("kind", KEYWORDS)
def test_starts_are_in_bounds_and_reach_far(kind: str) -> None:
    objective = make_case("crossed", [[(2, kind)], [(1, "us")]], n=60, seed=2).objective()
    found = spread_starts(objective, 40, np.random.default_rng(1))
    low, high = objective.bounds()
    assert found.shape == (40, len(low))
    assert (found >= low).all() and (found <= high).all()
    assert found[:, -1].max() > 100.0 * found[:, -1].min() > 0.0
    assert_array_equal(found, spread_starts(objective, 40, np.random.default_rng(1)))


def test_large_models_are_searched_from_few_starts() -> None:
    objective = make_case("crossed", [[(1, "us")], [(1, "us")]], n=24, seed=0).objective()
    assert spread_ends(objective) is not None
    dear = replace(objective.plan, flops=1e9)
    objective.working.engine.plan = dear  # type: ignore[misc]
    assert spread_ends(objective) is None


def test_which_ends_are_followed() -> None:
    """The lowest where it is lower, and two of those that have not settled near it."""
    value = np.array([5.0, 3.0, 2.5, 2.2, 9.0, 2.1])
    settled = np.array([True, False, False, False, True, True])
    ends = Ends(np.arange(6.0)[:, None], value, settled, np.arange(6))
    assert [int(theta[0]) for theta, _ in ends.promising(4.0)] == [5, 3, 2]
    assert [(int(theta[0]), spent) for theta, spent in ends.promising(2.0)] == [(3, 3), (2, 2)]
    assert ends.promising(0.5) == []


def test_minima_are_counted() -> None:
    found = Searched(None, (2.0, 2.01, 7.0, 7.01, 7.015, 8.0))  # type: ignore[arg-type]
    assert found.minima(2.0) == ((2.0, 2), (7.0, 3), (8.0, 1))
    assert found.minima(1.0) == ((1.0, 1), (2.0, 2), (7.0, 3), (8.0, 1))


def test_a_minimum_that_few_have_found_is_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmmsparse.estimation.certificate.ENOUGH", 100)
    design = hard_design(284)
    with pytest.warns(SeveralMinimaWarning, match="searches ended in 2 minima"):
        m = lmer(MODELS[design.model][0], design.data, REML=design.reml)
    assert m.optinfo.doubtful
