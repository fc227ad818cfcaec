"""The public names: what the methods of a model return can be named in type hints."""

from __future__ import annotations

import pytest

import lmmsparse
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
