"""Many searches of one model."""

from __future__ import annotations

import numpy as np
import pytest

from lmmsparse import lmer, load_dataset
from lmmsparse.errors import ArgumentError
from scripts.hard_designs import MODELS, hard_design


def test_no_search_of_sleepstudy_is_lower() -> None:
    m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    found = m.allfit(starts=4)
    assert len(found) == 8 and set(found["optimizer"]) == {"newton", "cobyqa"}
    assert (found["criterion"] >= m.criterion - 1e-6).all()
    assert found["criterion"].iloc[0] == pytest.approx(m.criterion, abs=1e-6)
    np.testing.assert_allclose(found[list(m.objective.theta_names)].iloc[0], m.theta, atol=1e-3)


def test_higher_minima_are_shown() -> None:
    design = hard_design(284)
    m = lmer(MODELS[design.model][0], design.data, REML=design.reml)
    found = m.allfit(starts=12, optimizers="newton")["criterion"]
    assert found.iloc[0] == pytest.approx(m.criterion, abs=1e-5)
    assert found.iloc[-1] > m.criterion + 1.0


@pytest.mark.parametrize("wrong", [{"starts": 0}, {"starts": "a"}, {"optimizers": ()}, {"optimizers": ["bfgs"]}])
def test_arguments(wrong: dict[str, object]) -> None:
    m = lmer("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
    with pytest.raises(ArgumentError, match="allfit"):
        m.allfit(**wrong)  # type: ignore[arg-type]
