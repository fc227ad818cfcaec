"""The public names: which there are, that each says what it is, and that what methods return can be named."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

import lmmsparse
from lmmsparse import LinearMixedModel, modular, results
from lmmsparse.inference import anova

# What users call, with an example in its docstring.
CALLED = {"Control", "anova", "list_datasets", "lmer", "load_dataset", "parse_formula"}
# The stages behind lmer and what they make.
STAGES = {"Objective", "build_model_frame", "fit", "make_objective", "random_terms"}
# What methods return, for type hints: the methods have the examples.
RETURNED = {
    "Bootstrap",
    "Influence",
    "IntraclassCorrelation",
    "LinearMixedModel",
    "MarginalCovariance",
    "Profile",
    "RSquared",
    "Refits",
    "Singularity",
    "Summary",
    "VarCorr",
}
# What all errors and all warnings are.
BASES = {"LmmError", "LmmWarning"}


def test_the_names_are_these_and_no_others():
    assert sorted(lmmsparse.__all__) == sorted(CALLED | STAGES | RETURNED | BASES)
    assert lmmsparse.anova is anova


def test_a_star_gives_what_is_promised():
    code = "from lmmsparse import *; print(*sorted(name for name in dir() if not name.startswith('__')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == sorted(lmmsparse.__all__)


@pytest.mark.parametrize("name", sorted(CALLED | STAGES | RETURNED | BASES))
def test_a_public_name_says_what_it_is(name):
    text = inspect.getdoc(getattr(lmmsparse, name)) or ""
    assert text.strip()
    assert name not in CALLED or ">>>" in text


@pytest.mark.parametrize("name", [name for name in dir(LinearMixedModel) if not name.startswith("_")])
def test_what_a_model_can_do_is_described(name):
    """Methods with an example, properties in words."""
    attribute = inspect.getattr_static(LinearMixedModel, name)
    text = inspect.getdoc(attribute) or ""
    assert text.strip()
    assert ">>>" in text or not inspect.isfunction(attribute)


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
