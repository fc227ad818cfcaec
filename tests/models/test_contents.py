"""What the class of a model lists is a method like any other."""

from __future__ import annotations

import inspect
import pickle
import pydoc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lmmsparse import LinearMixedModel
from lmmsparse.fitted.remembered import is_remembered
from lmmsparse.inference.uncertainty import uncertainty_of


@pytest.fixture
def model(fit: Callable[..., Any]) -> Any:
    return fit("Reaction ~ Days + (Days | Subject)", "sleepstudy")


LISTED = [
    name for name, value in vars(LinearMixedModel).items() if inspect.isfunction(value) and not name.startswith("_")
]


@pytest.mark.parametrize("name", LISTED)
def test_a_listed_function_is_a_documented_method(name: str, model: Any) -> None:
    method = getattr(model, name)
    assert method.__name__ == name and "model" not in inspect.signature(method).parameters
    assert f"m.{name}(" in method.__doc__
    assert method.__doc__.splitlines()[0] in pydoc.render_doc(method)
    assert pickle.loads(pickle.dumps(method)).__self__.criterion == model.criterion


def test_shared_values_are_computed_once(model: Any) -> None:
    fresh = replace(model)
    assert not is_remembered(uncertainty_of, fresh)
    assert fresh.uncertainty is fresh.uncertainty is uncertainty_of(fresh)
    assert is_remembered(uncertainty_of, fresh) and not is_remembered(uncertainty_of, replace(fresh))
