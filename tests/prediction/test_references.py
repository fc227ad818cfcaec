"""Standard errors of predictions as glmmTMB has them, and tests of marginal means by lmerTest and pbkrtest.

glmmTMB finds its matrices by numerical differences, which costs some digits; lme4's θ has about six.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from tests.answers import answers

ANSWERS = answers("inference_prediction.json")


@pytest.fixture(params=range(len(ANSWERS)), ids=lambda i: f"{ANSWERS[i]['data']}-{i}")
def case(
    request: pytest.FixtureRequest, fit: Callable[..., Any], dataset: Callable[[str], pd.DataFrame]
) -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    answer = ANSWERS[request.param]
    data = dataset(answer["data"])
    kept = np.arange(1, len(data) + 1) * 7 % 10 < answer["kept"]
    m = fit(answer["formula"], answer["data"], subset=kept)
    return m, data.iloc[answer["chosen"]].assign(**dict(answer["new"])), answer


def test_conditional_and_marginal_standard_errors(case: tuple[Any, pd.DataFrame, dict[str, Any]]) -> None:
    m, new, answer = case
    for name, re_form in (("all", None), ("none", 0)):
        got = m.predict(new, re_form=re_form, se=True, allow_new_levels=True)
        assert_allclose(got["predicted"], answer[name]["predicted"], rtol=1e-5)
        assert_allclose(got["std_error"], answer[name]["se"], rtol=3e-5)


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_confidence_intervals_of_marginal_means(ddf: str, case: tuple[Any, pd.DataFrame, dict[str, Any]]) -> None:
    m, new, answer = case
    want = answer["kr" if ddf == "kenward-roger" else ddf]
    got = m.predict(new, re_form=0, interval="confidence", ddf=ddf)
    assert_allclose(got["std_error"], want["se"], rtol=1e-5)
    assert_allclose(got["df"], want["df"], rtol=1e-3)
    assert_allclose(got["conf_low"], want["lower"], rtol=1e-5)
    assert_allclose(got["conf_high"], want["upper"], rtol=1e-5)
