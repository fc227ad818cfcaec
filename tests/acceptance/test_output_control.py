"""Settings of a fit, what it prints on the way, and the memory that it may take."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lmmsparse import Control, lmer
from lmmsparse.errors import (
    ConvergenceWarning,
    IdentifiabilityWarning,
    LmmError,
    LmmWarning,
    MemoryLimitError,
    MissingRowsWarning,
    NoFixedEffectsWarning,
    PerfectFitWarning,
    RankDeficiencyWarning,
    SingularFitWarning,
)
from lmmsparse.estimation.control import as_control
from lmmsparse.numerics.memory import available_memory

DAYS = "Reaction ~ Days + (Days|Subject)"
SLEEP_REML = 1743.62827195849


# -- Control --------------------------------------------------------------------------------------------------


def test_a_control_can_be_given_as_a_dict() -> None:
    assert as_control(None) == Control()
    assert as_control({"optimizer": "cobyqa"}) == Control(optimizer="cobyqa")
    settings = Control(tolerance=1e-6)
    assert as_control(settings) is settings


def test_a_control_is_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        Control().tolerance = 1.0  # type: ignore[misc]


def test_a_fit_keeps_its_control(sleep: pd.DataFrame) -> None:
    settings = Control(tolerance=1e-7, max_evaluations=40)
    m = lmer(DAYS, sleep, control=settings)
    assert m.control == m.refit_ml().control == m.refit(sleep["Reaction"] + sleep["Days"]).control == settings


# -- the search -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "data"),
    [
        (DAYS, "sleepstudy"),
        ("Reaction ~ Days + (Days||Subject)", "sleepstudy"),
        ("Yield ~ 1 + (1|Batch)", "Dyestuff2"),
        ("strength ~ 1 + (1|batch/cask)", "Pastes"),
        ("angle ~ temp + (recipe|replicate)", "cake"),
    ],
)
@pytest.mark.parametrize("reml", [True, False])
def test_a_search_without_derivatives_finds_the_same_minimum(
    formula: str, data: str, reml: bool, fit: Callable[..., Any]
) -> None:
    newton = fit(formula, data, REML=reml)
    cobyqa = fit(formula, data, REML=reml, control={"optimizer": "cobyqa"})
    assert cobyqa.criterion == pytest.approx(newton.criterion, abs=1e-5)
    assert newton.criterion <= cobyqa.criterion + 1e-8
    assert cobyqa.optinfo.optimizer == "cobyqa" and newton.optinfo.optimizer == "newton"
    assert cobyqa.optinfo.evaluations > newton.optinfo.evaluations
    assert cobyqa.converged and newton.converged


def test_too_few_evaluations_are_reported(sleep: pd.DataFrame) -> None:
    with pytest.warns(ConvergenceWarning, match=r"not converged after 2 evaluations: .* predicted to lower the criter"):
        m = lmer(DAYS, sleep, control={"max_evaluations": 2})
    assert not m.converged
    assert m.optinfo.evaluations == 2
    assert m.optinfo.message in repr(m)
    assert m.criterion > SLEEP_REML


def test_a_looser_tolerance_needs_fewer_evaluations(sleep: pd.DataFrame) -> None:
    loose, tight = (lmer(DAYS, sleep, control={"tolerance": tolerance}) for tolerance in (1e-2, 1e-10))
    assert loose.optinfo.evaluations < tight.optinfo.evaluations
    assert loose.criterion - SLEEP_REML < 1e-2
    assert loose.optinfo.predicted_decrease <= 1e-2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "start",
    [
        [1.0, 0.0, 1.0],
        [0.0, 0.0, 0.0],
        [-1.0, 0.3, -0.2],
        [0.0, 5.0, 0.0],
        [1e-9, 0.0, 1e-9],
        [100.0, -30.0, 100.0],
        [1e4, 0.0, 1e4],
        [1e6, 0.0, 1e6],
    ],
)
def test_the_search_ends_at_the_same_minimum_wherever_it_starts(start: list[float], sleep: pd.DataFrame) -> None:
    m = lmer(DAYS, sleep, start=start)
    assert m.criterion == pytest.approx(SLEEP_REML, abs=1e-6)
    assert (m.theta[[0, 2]] > 0.0).all()
    assert m.converged


def test_the_search_begins_at_the_start(sleep: pd.DataFrame, fit: Callable[..., Any]) -> None:
    minimum = fit(DAYS, "sleepstudy").theta
    m = lmer(DAYS, sleep, start=minimum)
    np.testing.assert_allclose(m.optinfo.history[0].theta, minimum, rtol=1e-12)
    assert m.optinfo.evaluations <= 2


@pytest.mark.parametrize("factor", [1e-30, 1e-8, 1e8, 1e30])
def test_the_unit_of_the_weights_does_not_matter_to_the_search(factor: float, sleep: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m = lmer(DAYS, sleep, weights=np.full(180, factor))
    assert m.criterion == pytest.approx(SLEEP_REML, abs=1e-6)


# -- progress -----------------------------------------------------------------------------------------------------


def printed(*arguments: Any, **named: Any) -> tuple[Any, list[str]]:
    stream = io.StringIO()
    with redirect_stdout(stream), warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        m = lmer(*arguments, **named)
    return m, stream.getvalue().splitlines()


def test_progress_prints_every_evaluation(sleep: pd.DataFrame) -> None:
    m, lines = printed(DAYS, sleep, progress=True)
    assert len(lines) == m.optinfo.evaluations
    for line, evaluation in zip(lines, m.optinfo.history, strict=True):
        value = re.match(r"criterion (\S+)  theta \[", line)
        assert value is not None
        assert float(value[1]) == pytest.approx(evaluation.value, abs=1e-5)
        assert ("rejected" in line) == (not evaluation.accepted)
    numbers = [float(number) for number in lines[-1].partition("[")[2].rstrip("]").split()]
    assert numbers == pytest.approx(m.theta, abs=1e-4)  # in the user's units


def test_progress_of_a_fit_at_the_boundary(dataset: Callable[[str], pd.DataFrame]) -> None:
    m, lines = printed("Yield ~ 1 + (1|Batch)", dataset("Dyestuff2"), progress=True)
    assert len(lines) == m.optinfo.evaluations
    assert lines[-1].endswith("theta [0.]")


@pytest.mark.parametrize("optimizer", ["newton", "cobyqa"])
def test_nothing_is_printed_unless_asked_for(optimizer: str, sleep: pd.DataFrame, capfd: Any) -> None:
    lmer(DAYS, sleep, control={"optimizer": optimizer})
    assert capfd.readouterr() == ("", "")


# -- warnings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "changes", "category"),
    [
        ("Reaction ~ Days + I(2*Days) + (1|Subject)", {}, RankDeficiencyWarning),
        ("log(Reaction - 250) ~ Days + (1|Subject)", {}, MissingRowsWarning),
        ("Reaction ~ 0 + (1|Subject)", {}, NoFixedEffectsWarning),
        ("Reaction ~ Days + (1|Subject) + (Days|Subject)", {}, IdentifiabilityWarning),
        (DAYS, {"Reaction": np.random.default_rng(0).normal(size=180)}, SingularFitWarning),
        (DAYS, {"Reaction": 2.0 * np.tile(np.arange(10), 18)}, PerfectFitWarning),
    ],
)
def test_one_warning_that_points_at_the_callers_line(
    formula: str, changes: dict[str, Any], category: type, sleep: pd.DataFrame
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lmer(formula, sleep.assign(**changes))
    assert [warning.category for warning in caught] == [category]
    assert caught[0].filename == __file__


# -- memory ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crossed_data() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    n = 3000
    return {"y": rng.normal(size=n), "a": rng.integers(0, 400, n), "b": rng.integers(0, 300, n)}


def test_a_model_too_large_for_the_memory_is_refused(crossed_data: dict[str, Any]) -> None:
    with pytest.raises(MemoryLimitError, match=r"\d bytes|\d [KMG]i?B") as error:
        lmer("y ~ 1 + (1|a) + (1|b)", crossed_data, control={"memory_limit": 1e4})
    assert isinstance(error.value, MemoryError) and isinstance(error.value, LmmError)
    assert re.search(r"\d", str(error.value))


def test_a_model_within_its_limit_is_fitted(crossed_data: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        m = lmer("y ~ 1 + (1|a) + (1|b)", crossed_data, control={"memory_limit": 1e8})
        with pytest.raises(MemoryLimitError):
            lmer("y ~ 1 + (1|a) + (1|b)", crossed_data, control={"memory_limit": 0.5 * m.optinfo.plan.bytes})
    assert 1e5 < m.optinfo.plan.bytes < 1e8


def test_the_limit_is_a_share_of_the_available_memory() -> None:
    available = available_memory()
    assert available > 1e8
    assert Control().memory_bytes == pytest.approx(0.8 * available, rel=0.2)  # others use memory in between
    assert Control(memory_limit=123.0).memory_bytes == 123.0
