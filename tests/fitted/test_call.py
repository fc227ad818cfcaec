"""``update``: the same call with something changed."""

import pickle
import warnings

import numpy as np
import pytest

from lmmsparse import LmmWarning, lmer, load_dataset
from lmmsparse.errors import ArgumentError

SLEEP = load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def model():
    """A fit with weights that are an array."""
    return lmer("Reaction ~ Days + (Days | Subject)", SLEEP, weights=np.linspace(1.0, 2.0, 180), na_action="exclude")


def test_it_is_the_call_with_changes(model) -> None:
    """Formula, criterion and every other argument: those that are not named stay."""
    found = model.update(". ~ . - (Days | Subject) + (1 | Subject)", REML=False)
    expected = lmer(
        "Reaction ~ Days + (1 | Subject)",
        SLEEP,
        REML=False,
        weights=np.linspace(1.0, 2.0, 180),
        na_action="exclude",
    )
    assert found.criterion == expected.criterion
    assert not found.is_reml
    assert model.update(weights=None).criterion == lmer("Reaction ~ Days + (Days | Subject)", SLEEP).criterion


def test_the_criterion_is_that_of_the_model(model) -> None:
    """An ML refit stays one; a model that was ML for want of fixed effects does not."""
    assert not model.refit_ml().update("~ . + I(Days^2)").is_reml
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        empty = lmer("Reaction ~ 0 + (1 | Subject)", SLEEP)
    assert empty.update("~ . + Days").is_reml


def test_a_pickled_model_needs_data(model) -> None:
    """Data do not travel with pickles."""
    copy = pickle.loads(pickle.dumps(model))
    with pytest.raises(ArgumentError, match="give data="):
        copy.update("~ . - Days")
    assert copy.update("~ . - Days", data=SLEEP).criterion == model.update("~ . - Days").criterion


def test_what_cannot_be_repeated_is_refused(model) -> None:
    """A model for another response, and an argument that lmer does not have."""
    with pytest.raises(ArgumentError, match="another one by new responses or rows"):
        model.refit(model.frame.y * 2.0).update("~ . - Days")
    with pytest.raises(ArgumentError, match="no argument 'family'; there are formula, data"):
        model.update(family="gaussian")


def test_rows_drawn_anew_cannot_be_repeated(model) -> None:
    """A model of drawn cases is no model of the data of the call."""
    with pytest.raises(ArgumentError, match="another one by new responses or rows"):
        model.bootstrap(1, kind="cases", statistic=lambda fit: fit.update("~ . - Days").sigma, seed=1)
