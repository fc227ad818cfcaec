"""The public names: what the methods of a model return can be named in type hints."""

from __future__ import annotations

import inspect
import re

import pytest

import lmmsparse
from lmmsparse import LinearMixedModel, modular, results
from lmmsparse.inference import anova


def test_all_names_are_there():
    names = lmmsparse.__all__
    assert len(set(names)) == len(names)
    assert all(hasattr(lmmsparse, name) for name in names)
    assert lmmsparse.anova is anova


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Bootstrap", lambda m: m.bootstrap(3, seed=1)),
        ("Influence", lambda m: m.influence("Batch")),
        ("IntraclassCorrelation", lambda m: m.icc()),
        ("LinearMixedModel", lambda m: m.refit_ml()),
        ("MarginalCovariance", lambda m: m.marginal_cov("A")),
        ("Profile", lambda m: m.profile("sigma", points=1)),
        ("RSquared", lambda m: m.r2()),
        ("Refits", lambda m: m.refit_many(m.simulate(2, seed=1))),
        ("Singularity", lambda m: m.singularity()),
        ("Summary", lambda m: m.summary()),
        ("VarCorr", lambda m: m.varcorr),
    ],
)
def test_results_are_of_public_classes(fit, name, value):
    result = value(fit("Yield ~ 1 + (1 | Batch)", "Dyestuff"))
    assert type(result) is getattr(lmmsparse, name)
    assert name in lmmsparse.__all__
    with pytest.raises(AttributeError):  # frozen
        result.anything = 1


@pytest.mark.parametrize("module", [modular, results])
def test_what_a_module_names_is_what_the_package_has(module):
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(lmmsparse, name, getattr(module, name)) is getattr(module, name)


def test_every_class_that_a_method_returns_is_named_in_results():
    named = set()
    for _, method in inspect.getmembers(LinearMixedModel, inspect.isfunction):
        named |= set(re.findall(r"\b[A-Z]\w+", str(inspect.signature(method).return_annotation)))
    named -= {"Any", "Self", "Float", "Series", "DataFrame", "None"}
    assert {"Bootstrap", "Profile", "Refits", "Summary"} <= named <= set(results.__all__)
