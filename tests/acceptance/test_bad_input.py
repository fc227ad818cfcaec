"""What a user gets wrong: an error of the library that names the culprit.

Arguments of `predict`, `simulate` and `refit` are tested with those.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from lmmsparse import Control, lmer
from lmmsparse.errors import (
    ArgumentError,
    DataError,
    FormulaError,
    GroupingError,
    LmmError,
    LmmWarning,
    MissingRowsWarning,
)

DAYS = "Reaction ~ Days + (Days|Subject)"
N = 180


@pytest.fixture
def model(fit: Callable[..., Any]) -> Any:
    return fit(DAYS, "sleepstudy")


def first(value: Any, rest: Any = 1.0) -> np.ndarray:
    """N values, of which the third differs."""
    values = np.full(N, rest, dtype=np.result_type(type(value), type(rest)))
    values[2] = value
    return values


# -- formula and names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "typo"),
    [
        ("Reacton ~ Days + (Days|Subject)", "Reacton"),
        ("Reaction ~ Dys + (Days|Subject)", "Dys"),
        ("Reaction ~ Days + log(Dys) + (Days|Subject)", "Dys"),
        ("Reaction ~ Days + offset(Dys) + (Days|Subject)", "Dys"),
        ("Reaction ~ Days + (Dys|Subject)", "Dys"),
        ("Reaction ~ Days + (Days|Sbject)", "Sbject"),
        ("Reaction ~ Days + (1|Subject/Dys)", "Dys"),
    ],
)
def test_a_misspelt_variable_is_named_and_pointed_at(formula: str, typo: str, sleep: pd.DataFrame) -> None:
    with pytest.raises(FormulaError, match=f"no column '{typo}'; did you mean") as error:
        lmer(formula, sleep)
    quoted, arrow = str(error.value).splitlines()[-2:]
    assert quoted[arrow.index("^") :].startswith(typo)


def test_an_unknown_function_is_named(sleep: pd.DataFrame) -> None:
    with pytest.raises(FormulaError, match="no function 'lag'"):
        lmer("Reaction ~ lag(Days) + (1|Subject)", sleep)


def test_a_formula_cannot_run_python(sleep: pd.DataFrame) -> None:
    with pytest.raises(FormulaError, match="__import__"):
        lmer("Reaction ~ I(__import__('os').getpid()) + (1|Subject)", sleep)


@pytest.mark.parametrize("argument", ["weights", "offset", "subset"])
def test_a_misspelt_column_in_an_argument_is_named(argument: str, sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=f"{argument} names 'Dys'.*did you mean 'Days'"):
        lmer(DAYS, sleep, **{argument: "Dys"})


def test_two_columns_of_one_name_are_refused(sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="2 columns named 'Days'"):
        lmer(DAYS, pd.concat([sleep, sleep[["Days"]]], axis=1))


@pytest.mark.parametrize("formula", [None, 5, ["Reaction ~ Days"], b"Reaction ~ Days + (1|Subject)"])
def test_a_formula_that_is_no_text(formula: Any, sleep: pd.DataFrame) -> None:
    with pytest.raises(ArgumentError, match="formula must be text"):
        lmer(formula, sleep)


# -- data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [None, "sleepstudy", 3, [1, 2, 3], np.zeros((3, 3)), pd.Series([1.0, 2.0])])
def test_data_that_are_no_frame(data: Any) -> None:
    with pytest.raises(DataError, match="pandas, polars or pyarrow frame, or a dict of arrays"):
        lmer(DAYS, data)


def test_a_lazy_frame_is_refused(sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="collect"):
        lmer(DAYS, pl.DataFrame({"Days": sleep["Days"]}).lazy())


def test_columns_of_different_lengths() -> None:
    with pytest.raises(DataError, match="'Days' has 1 values, but column 'Reaction' has 2"):
        lmer(DAYS, {"Reaction": [1.0, 2.0], "Days": [1.0], "Subject": [1, 2]})


@pytest.mark.parametrize("empty", [{}, {"Reaction": [], "Days": [], "Subject": []}])
def test_data_without_columns_or_rows(empty: Any) -> None:
    with pytest.raises(DataError, match=r"no columns|no rows"):
        lmer(DAYS, empty)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full(N, "a"), "text"),
        (np.full(N, 2.5), "constant"),
        (first(np.inf, 250.0), "infinite, first in row 2"),
        (np.full(N, np.nan), "missing in 180 rows"),
        (pd.Categorical(np.arange(N) % 3), "categorical"),
        (np.arange(N) * 1j, "complex"),
        (pd.date_range("2024-01-01", periods=N), "a time"),
        ([[1.0]] * N, "list"),
        ([1.0] * 90 + ["a"] * 90, "text"),
    ],
)
def test_a_response_that_cannot_be_modelled(values: Any, message: str, sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=f"'Reaction'.*{message}"):
        lmer(DAYS, sleep.assign(Reaction=values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (first(-np.inf), "infinite, first in row 2"),
        (np.full(N, np.nan), "missing in 180 rows"),
        (np.arange(N) * 1j, "complex"),
        (pd.to_timedelta(np.arange(N), unit="D"), "times"),
        ([{}] * N, "dict"),
    ],
)
def test_a_predictor_that_cannot_be_used(values: Any, message: str, sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=f"'Days'.*{message}"):
        lmer(DAYS, sleep.assign(Days=values))


def test_an_expression_that_becomes_infinite(sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"1 / Days.* is infinite, first in row 0"):
        lmer("Reaction ~ I(1/Days) + (1|Subject)", sleep)


def test_an_expression_that_becomes_missing_drops_rows_with_a_warning(sleep: pd.DataFrame) -> None:
    with pytest.warns(MissingRowsWarning, match=r"log\(Reaction - 250\).* is missing in \d+ of 180 rows"):
        m = lmer("log(Reaction - 250) ~ Days + (1|Subject)", sleep)
    assert m.nobs == int((sleep["Reaction"] > 250).sum())


def test_a_factor_with_one_level_cannot_be_a_fixed_effect(sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="'kind' has a single level, 'a'"):
        lmer("Reaction ~ kind + (1|Subject)", sleep.assign(kind="a"))


def test_as_many_fixed_effects_as_rows(sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="20 rows are left for 20 fixed-effect columns"), warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        lmer("Reaction ~ factor(Days)*Subject + (1|Subject)", sleep.iloc[:20])


def test_missing_values_where_they_must_not_be(sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="'Days' is missing in 3 rows"):
        lmer(DAYS, sleep.assign(Days=sleep["Days"].where(sleep.index > 2)), na_action="fail")


# -- grouping factors -----------------------------------------------------------------------------------------


def test_one_level_left_after_missing_values(sleep: pd.DataFrame) -> None:
    sleep["Subject"] = [None] * 170 + ["a"] * 10
    with pytest.raises(GroupingError, match="'Subject' has only 'a'"):
        lmer(DAYS, sleep)


def test_one_level_left_after_the_subset(sleep: pd.DataFrame) -> None:
    with pytest.raises(GroupingError, match="'Subject' has only '308'"):
        lmer(DAYS, sleep, subset=sleep["Subject"] == "308")


def test_a_level_for_every_row_of_an_interaction(sleep: pd.DataFrame) -> None:
    with pytest.raises(GroupingError, match="'Days:Subject' has 180 levels in 180 observations"):
        lmer("Reaction ~ 1 + (1|Subject/Days)", sleep)


def test_too_many_random_effects_for_a_term_name_the_term(sleep: pd.DataFrame) -> None:
    pairs = sleep.assign(pair=np.arange(N) // 2)
    with pytest.raises(GroupingError, match=r"for term \(Days \| pair\)"):
        lmer("Reaction ~ Days + (1|Subject) + (Days|pair)", pairs)


# -- weights, offset, subset ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(N - 1), "weights has 179 values, but the data have 180 rows"),
        (first(-1.0), "weights must not be negative; row 2 has -1"),
        (first(np.inf), "'weights' is infinite, first in row 2"),
        (np.zeros(N), "weights are zero in 180 rows"),
        (np.full(N, np.nan), "'weights' is missing in 180 rows"),
        (np.full(N, "a"), "weights must be numbers"),
        (np.ones((N, 2)), "'weights' must be a one-dimensional array"),
        (2.0, "'weights' must be a one-dimensional array"),
        ({"w": 1.0}, "'weights' must be a one-dimensional array"),
        (np.ones(N) * 1j, "'weights' is of type complex128"),
    ],
)
def test_weights_that_cannot_be_used(weights: Any, message: str, sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=message):
        lmer(DAYS, sleep, weights=weights)


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (np.zeros(N + 1), "offset has 181 values, but the data have 180 rows"),
        (first(np.inf), "'offset' is infinite, first in row 2"),
        (np.full(N, np.nan), "'offset' is missing in 180 rows"),
        (np.full(N, "a"), "offset must be numbers"),
        (3.0, "'offset' must be a one-dimensional array"),
    ],
)
def test_an_offset_that_cannot_be_used(offset: Any, message: str, sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=message):
        lmer(DAYS, sleep, offset=offset)


def test_an_offset_that_leaves_nothing(sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"'Reaction'.*offset.* is constant"):
        lmer(DAYS, sleep, offset=sleep["Reaction"])


@pytest.mark.parametrize(
    ("subset", "message"),
    [
        (np.ones(N - 1, dtype=bool), "subset has 179 values, but the data have 180 rows"),
        (np.zeros(N, dtype=bool), "subset keeps 0 of 180 rows"),
        ([], "subset keeps 0 of 180 rows"),
        ([-1, 2], "subset has position -1"),
        ([0, N], "subset has position 180"),
        ([0.0, 1.5], "subset must be a logical array"),
        (["a"], "subset must be a logical array"),
        (np.ones(N, dtype=int), "subset has one 0 or 1 for each row"),
        ("Days", "'Days', which is not logical"),
        (True, "'subset' must be a one-dimensional array"),
        (slice(0, 9), "'subset' must be a one-dimensional array"),
    ],
)
def test_a_subset_that_cannot_be_used(subset: Any, message: str, sleep: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=message):
        lmer(DAYS, sleep, subset=subset)


@pytest.mark.parametrize("argument", ["weights", "offset", "subset"])
def test_a_series_whose_labels_disagree_with_the_data(argument: str, sleep: pd.DataFrame) -> None:
    # Taken by position it would give wrong numbers without a word.
    values = (sleep["Days"] > 2) if argument == "subset" else sleep["Days"] + 1.0
    with pytest.raises(LmmError, match=f"{argument}.*index"):
        lmer(DAYS, sleep, **{argument: values.sort_values(ascending=False)})


def test_series_of_a_dict_whose_labels_disagree(sleep: pd.DataFrame) -> None:
    data = {name: sleep[name] for name in sleep} | {"Days": sleep["Days"].sort_values()}
    with pytest.raises(LmmError, match=r"'Days'.*index"):
        lmer(DAYS, data)


# -- other arguments of lmer ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reml", [1, 0, None, "yes"])
def test_reml_is_true_or_false(reml: Any, sleep: pd.DataFrame) -> None:
    with pytest.raises(ArgumentError, match="REML must be True or False"):
        lmer(DAYS, sleep, REML=reml)


@pytest.mark.parametrize("na_action", ["drop", None, 0])
def test_unknown_na_action(na_action: Any, sleep: pd.DataFrame) -> None:
    with pytest.raises(ArgumentError, match="na_action must be one of 'omit', 'exclude', 'fail'"):
        lmer(DAYS, sleep, na_action=na_action)


@pytest.mark.parametrize(
    ("contrasts", "message"),
    [
        ({"Subjct": "sum"}, "'Subjct', which is no term of the model; did you mean 'Subject'"),
        ({"Days": "sum"}, "'Days', which is numeric"),
        ({"Subject": "none"}, "'none' is none of 'treatment'"),
        ({"Subject": 3}, "contrasts of 'Subject' must be one of"),
        (["sum"], "contrasts must be a dict"),
    ],
)
def test_contrasts_that_cannot_be_used(contrasts: Any, message: str, sleep: pd.DataFrame) -> None:
    with pytest.raises(ArgumentError, match=message):
        lmer("Reaction ~ Days + Subject + (1|Days)", sleep, contrasts=contrasts)


@pytest.mark.parametrize("start", [[1.0, 0.0], [1.0, 0.0, np.nan], [1.0, 0.0, np.inf], [], "abc", {"theta": 1.0}, [[]]])
def test_a_start_of_the_wrong_kind_names_the_parameters(start: Any, sleep: pd.DataFrame) -> None:
    with pytest.raises(ArgumentError, match=r"start must hold 3 finite values \(Subject.\(Intercept\), "):
        lmer(DAYS, sleep, start=start)


@pytest.mark.parametrize(
    ("control", "name"),
    [
        ({"optimizer": "bobyqa"}, "optimizer"),
        ({"optimizer": None}, "optimizer"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"tolerance": np.nan}, "tolerance"),
        ({"tolerance": np.inf}, "tolerance"),
        ({"tolerance": "tight"}, "tolerance"),
        ({"max_evaluations": 0}, "max_evaluations"),
        ({"max_evaluations": 10.5}, "max_evaluations"),
        ({"max_evaluations": "many"}, "max_evaluations"),
        ({"memory_limit": -1}, "memory_limit"),
        ({"memory_limit": np.nan}, "memory_limit"),
        ({"memory_limit": "1 GB"}, "memory_limit"),
        ({"optCtrl": {}}, "unknown setting 'optCtrl'"),
        ([("tolerance", 1e-8)], "a Control or a dict"),
        ("newton", "a Control or a dict"),
    ],
)
def test_control_settings_that_make_no_sense(control: Any, name: str, sleep: pd.DataFrame) -> None:
    with pytest.raises(ArgumentError, match=f"control.*{name}"):
        lmer(DAYS, sleep, control=control)


def test_control_is_checked_when_it_is_made() -> None:
    with pytest.raises(ArgumentError, match="optimizer"):
        Control(optimizer="nelder-mead")


# -- a fitted model's methods ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["deviance", None, ["pearson"]])
def test_unknown_type_of_residuals(kind: Any, model: Any) -> None:
    with pytest.raises(ArgumentError, match="type must be one of response, pearson, scaled"):
        model.resid(kind)


@pytest.mark.parametrize("name", ["Zz", None, ["X", "Z"]])
def test_unknown_name_of_a_part(name: Any, model: Any) -> None:
    with pytest.raises(ArgumentError, match="getme: unknown name"):
        model.getme(name)


@pytest.mark.parametrize("theta", [[1.0], [1.0, 0.0, np.nan], "abc", None])
def test_theta_of_the_objective(theta: Any, model: Any) -> None:
    with pytest.raises(ArgumentError, match="theta"):
        model.objective(theta)
    with pytest.raises(ArgumentError, match="theta"):
        model.objective.gradient(theta)


@pytest.mark.parametrize("unit", [1e160, 1e300, 1e-160, 1e-200])
def test_a_response_whose_variance_is_no_number(unit: float) -> None:
    """Its residual standard deviation would be infinite or zero."""
    rng = np.random.default_rng(0)
    a = np.arange(60) % 6
    y = rng.normal(size=60) + rng.normal(size=6)[a]
    with pytest.raises(DataError, match="another unit"):
        lmer("y ~ 1 + (1|a)", {"y": unit * y, "a": a})
    m = lmer("y ~ 1 + (1|a)", {"y": y, "a": a})
    with pytest.raises(DataError, match="another unit"):
        m.refit(unit * y)


# -- more than there is room for ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.simulate(2**30), "simulate: 1073741824 responses of 180 rows need 1.55e"),
        (
            lambda m: m.simulate(2**30, newdata={"Days": [0.0] * 99, "Subject": ["a"] * 99}),
            "simulate: .* 99 rows need 8.5e",
        ),
        (lambda m: m.bootstrap(2**30), "bootstrap: the estimates of 1073741824 replicates need"),
        (lambda m: m.ranova(nsim=2**30), "ranova: 1073741824 draws need"),
        (lambda m: m.simulate(2**31), r"simulate: nsim must be below 2\*\*31"),
    ],
)
def test_draws_for_which_there_is_no_room(call: Callable[[Any], Any], message: str, fit: Callable[..., Any]) -> None:
    with pytest.raises(LmmError, match=message):
        call(fit(DAYS, "sleepstudy", control={"memory_limit": 1e8}))
