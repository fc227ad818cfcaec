"""Refits of smaller models."""

from __future__ import annotations

import pytest

from lmmsparse import lmer
from lmmsparse.datasets import load_dataset
from lmmsparse.errors import ConvergenceWarning


@pytest.mark.filterwarnings("ignore:not converged")
@pytest.mark.parametrize("method", ["drop1", "ranova"])
def test_a_refit_that_does_not_converge_is_named_where_the_test_was_asked_for(method):
    with pytest.warns(ConvergenceWarning):
        m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"), control={"max_evaluations": 2})
    with pytest.warns(ConvergenceWarning, match="the fit without Days") as caught:
        getattr(m, method)()
    assert [w.filename for w in caught if "the fit without" in str(w.message)] == [__file__]
