"""Wherever values of rows have labels, these are those of the rows: another order or other rows are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lmmsparse import LinearMixedModel, lmer
from lmmsparse.errors import DataError
from tests.acceptance.callables import FORMULA, N, example

RNG = np.random.default_rng(11)
# labels that are not positions, and a model that leaves rows out
DATA = example().set_axis(100 + RNG.permutation(N))
KEPT = DATA.assign(x=DATA["x"].where(np.arange(N) % 9 != 2))
ROWS = KEPT.index[KEPT["x"].notna()]
WEIGHTS = pd.Series(RNG.uniform(0.5, 2.0, N), DATA.index)
NEW = pd.DataFrame({"response": DATA["y"] + RNG.normal(size=N), "other": RNG.normal(size=N)})

Use = Callable[[LinearMixedModel, Any], Any]

# What takes values of rows: their labels, values for them, and a number that depends on the order of the rows.
PLACES: dict[str, tuple[Any, Any, Use]] = {
    "lmer(weights)": (DATA.index, WEIGHTS, lambda m, v: lmer(FORMULA, DATA, weights=v).criterion),
    "lmer(offset)": (DATA.index, WEIGHTS, lambda m, v: lmer(FORMULA, DATA, offset=v).criterion),
    "lmer(subset)": (DATA.index, WEIGHTS > 0.7, lambda m, v: lmer(FORMULA, DATA, subset=v).criterion),
    "refit": (ROWS, NEW["response"], lambda m, v: m.refit(v).criterion),
    "refit of a frame": (ROWS, NEW[["response"]], lambda m, v: m.refit(v).criterion),
    "refit_many": (ROWS, NEW, lambda m, v: m.refit_many(v).criterion),
    "predict(offset)": (DATA.index, WEIGHTS, lambda m, v: m.predict(DATA, offset=v)),
    "predict(weights)": (
        DATA.index,
        WEIGHTS,
        lambda m, v: m.predict(DATA, weights=v, interval="prediction", ddf=None)["conf_low"],
    ),
    "simulate(offset)": (DATA.index, WEIGHTS, lambda m, v: m.simulate(newdata=DATA, seed=1, offset=v)),
    "simulate(weights)": (DATA.index, WEIGHTS, lambda m, v: m.simulate(newdata=DATA, seed=1, weights=v)),
    "influence(group)": (ROWS, WEIGHTS.round(), lambda m, v: m.influence(v).beta),
    "influence(group of all)": (DATA.index, WEIGHTS.round(), lambda m, v: m.influence(v).beta),
    "cooks_distance(group)": (ROWS, WEIGHTS.round(), lambda m, v: m.cooks_distance(v)),
    "dfbetas(group)": (ROWS, WEIGHTS.round(), lambda m, v: m.dfbetas(v)),
}


@pytest.fixture(scope="module")
def model() -> LinearMixedModel:
    return lmer(FORMULA, KEPT)


@pytest.mark.parametrize("place", PLACES)
def test_values_are_those_of_their_labels(place: str, model: LinearMixedModel) -> None:
    labels, values, use = PLACES[place]
    values = values.loc[labels]
    expected = use(model, values.to_numpy())
    np.testing.assert_allclose(use(model, values), expected, rtol=1e-12)
    shuffled = values.iloc[RNG.permutation(len(values))]
    assert not np.array_equal(use(model, shuffled.to_numpy()), expected), "the order of the rows does not matter"
    for wrong in (shuffled, values.set_axis(labels + 1), values.reset_index(drop=True)):
        with pytest.raises(DataError, match=r"is a (Series|frame) whose index differs from that of the"):
            use(model, wrong)


def test_a_response_of_other_rows_names_the_labels_that_it_needs(model: LinearMixedModel) -> None:
    other = NEW["response"].iloc[: len(ROWS)]
    with pytest.raises(DataError, match=r"the new response is a Series whose index.*the rows of the fit \(m.frame.ind"):
        model.refit(other)
    np.testing.assert_allclose(model.refit(KEPT["y"].reindex(model.frame.index)).criterion, model.criterion, atol=1e-8)


def test_what_has_no_labels_goes_by_position(model: LinearMixedModel) -> None:
    values = NEW["response"].loc[ROWS].to_numpy()
    expected = model.refit(values).criterion
    for wrapped in (values.tolist(), pl.Series(values), pa.array(values), pd.Index(values)):
        assert model.refit(wrapped).criterion == expected


def test_what_is_simulated_fits_back_in(model: LinearMixedModel) -> None:
    drawn = model.simulate(2, seed=5)
    framed = pd.DataFrame(drawn, index=model.frame.index)
    np.testing.assert_allclose(model.refit_many(framed).criterion, model.refit_many(drawn).criterion, rtol=1e-12)
    assert model.refit(framed[0]).criterion == pytest.approx(model.refit(drawn[:, 0]).criterion, rel=1e-12)
    assert model.refit(model.resid() + model.fitted).criterion == pytest.approx(model.criterion, abs=1e-8)


def test_series_in_a_dict_have_labels() -> None:
    columns = {name: DATA[name] for name in DATA}
    m = lmer(FORMULA, columns, weights=WEIGHTS)
    assert m.criterion == lmer(FORMULA, DATA, weights=WEIGHTS).criterion
    assert m.fitted.index.equals(DATA.index)
    with pytest.raises(DataError, match="weights is a Series whose index differs"):
        lmer(FORMULA, columns, weights=WEIGHTS.sort_index())


def test_rows_of_equal_responses_are_not_taken_for_each_other(model: LinearMixedModel) -> None:
    """By their response, which is all that augment could compare, these rows cannot be told apart."""
    tied = DATA.assign(y=DATA["y"].round())
    pair = np.flatnonzero(tied["y"] == tied["y"].mode()[0])[:2]
    order = np.arange(N)
    order[pair] = pair[::-1]
    m = lmer("y ~ x + (1 | g)", tied)
    with pytest.raises(DataError, match="augment: data is a frame whose index differs"):
        m.augment(tied.iloc[order])
