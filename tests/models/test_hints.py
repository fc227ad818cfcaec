"""Names of other programs: the error says what the thing is called here, and that is there."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from lmmsparse.arguments import near_miss
from lmmsparse.errors import ArgumentError
from lmmsparse.models.hints import ELSEWHERE


@pytest.fixture
def dyestuff(fit):
    return fit("Yield ~ 1 + (1 | Batch)", "Dyestuff")


@pytest.mark.parametrize("name", ELSEWHERE)
def test_names_of_other_programs(dyestuff, name):
    with pytest.raises(AttributeError, match=re.escape(f"no {name!r}; use {ELSEWHERE[name]}")):
        getattr(dyestuff, name)
    for path in re.findall(r"\bm((?:\.[a-z_0-9]+)+)", ELSEWHERE[name]):
        value = dyestuff
        for step in path.strip(".").split("."):
            if step == "to_frame":
                break
            value = getattr(value, step)


def test_other_names_have_the_usual_error(dyestuff):
    with pytest.raises(AttributeError, match="'LinearMixedModel' object has no attribute 'fixeff'") as caught:
        dyestuff.fixeff  # noqa: B018
    assert caught.value.name == "fixeff"
    assert not hasattr(dyestuff, "__len__")
    assert copy.copy(dyestuff).sigma == pickle.loads(pickle.dumps(dyestuff)).sigma == dyestuff.sigma


def test_the_beginning_of_a_name_is_enough_for_a_hint():
    assert near_miss("sd_Days", ["Days", "sd_(Intercept)|Subject", "sd_Days|Subject"]) == "sd_Days|Subject"
    assert near_miss("sd_", ["sd_a", "sd_b"]) == "sd_b"  # neither is the only one
    assert near_miss("xyz", ["Days"]) is None


def test_the_name_of_a_parameter_in_the_place_of_the_level(dyestuff):
    with pytest.raises(ArgumentError, match="parm= takes names of parameters"):
        dyestuff.conf_int("sigma")


def test_arrays_of_many_rows_are_not_printed(dyestuff):
    many = dyestuff.refit_many(dyestuff.simulate(200, seed=1))
    assert repr(many).startswith("<Refits of 200 responses, 0 not converged, ")
    assert len(repr(many)) < 200
    assert "history" not in repr(dyestuff.optinfo)
    assert len(repr(dyestuff.profile("sigma", points=1).curves[0])) < 200
