"""Models and results are compared, hashed, copied and pickled as other objects are, and parts of two fits make none."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lmmsparse import lmer
from lmmsparse.errors import ArgumentError
from tests.acceptance.callables import FORMULA, Material, N, example, instances, material

AT: Material = material()
OBJECTS = {**instances(AT), "ModelFrame": AT.model.frame, "RandomTerm": AT.model.terms[0]}


def pickled(given: Any) -> Any:
    return pickle.loads(pickle.dumps(given))


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("again", [pickled, copy.deepcopy, copy.copy])
def test_an_object_and_its_copy(name: str, again: Callable[[Any], Any]) -> None:
    given = OBJECTS[name]
    other = again(given)
    assert type(other) is type(given)
    assert (given == given) is True
    assert isinstance(given == other, bool) and (given != other) is not (given == other)
    if name not in (
        "IntraclassCorrelation",
        "RSquared",
        "VarianceParts",
    ):  # of numbers and a dict: equal where these are
        assert isinstance(hash(given), int) and given in {given}
    if "0x" not in str(given):
        assert str(other) == str(given)


@pytest.mark.parametrize("again", [pickled, copy.deepcopy, copy.copy])
def test_a_copy_of_a_model_can_do_what_the_model_can(again: Callable[[Any], Any]) -> None:
    m, other = AT.model, again(AT.model)
    assert other.refit(m.frame.y).criterion == m.refit(m.frame.y).criterion
    np.testing.assert_array_equal(other.predict(AT.data, se=True), m.predict(AT.data, se=True))
    np.testing.assert_array_equal(other.influence("g").beta, m.influence("g").beta)
    np.testing.assert_array_equal(other.bootstrap(2, seed=1).beta, m.bootstrap(2, seed=1).beta)
    assert other.summary().brief() == m.summary().brief()
    assert not other.frame.y.flags.writeable and not other.estimates.beta.flags.writeable


def test_parts_of_two_fits_are_no_model() -> None:
    m = AT.model
    doubled = lmer(FORMULA, example().assign(y=example()["y"] * 2))
    fewer = lmer(FORMULA, example().iloc[: N // 2])
    for parts in (
        {"frame": doubled.frame},
        {"frame": fewer.frame},
        {"frame": AT.smaller.frame},
        {"terms": AT.smaller.terms},
        {"terms": ()},
        {"estimates": AT.smaller.estimates},
        {"objective": fewer.objective},
        {"objective": doubled.objective},
    ):
        with pytest.raises(ArgumentError, match=r"not of one fit; .* refit\(\) or update\(\)"):
            dataclasses.replace(m, **parts)
    assert dataclasses.replace(m).criterion == m.criterion
