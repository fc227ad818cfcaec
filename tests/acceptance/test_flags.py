"""Arguments that are True or False are nothing else: ``"no"`` would count as True."""

from __future__ import annotations

import pytest

from lmmsparse.errors import ArgumentError


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda m: m.contest({"Days": 1}, joint="no"), "contest: joint"),
        (lambda m: m.anova(m, refit="no"), "anova: refit"),
        (lambda m: m.bootstrap(5, use_u="no"), "bootstrap: use_u"),
        (lambda m: m.bootstrap(5, kind="cases", within="no"), "bootstrap: within"),
        (lambda m: m.bootstrap(5, progress="no"), "bootstrap: progress"),
        (lambda m: m.vcov(full="no"), "vcov: full"),
        (lambda m: m.tidy(conf_int="no"), "tidy: conf_int"),
        (lambda m: m.icc(by_group="no"), "icc: by_group"),
    ],
)
def test_a_flag_is_true_or_false(fit, call, name):
    m = fit("Reaction ~ Days + (Days | Subject)", "sleepstudy")
    with pytest.raises(ArgumentError, match=f"{name} must be True or False, got 'no'"):
        call(m)


def test_replicates_are_for_the_bootstrap(fit):
    m = fit("Reaction ~ Days + (Days | Subject)", "sleepstudy")
    with pytest.raises(ArgumentError, match="only method='boot' takes nsim, got method='wald'"):
        m.conf_int(nsim=10)
