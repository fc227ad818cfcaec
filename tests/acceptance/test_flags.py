"""Arguments that are True or False are nothing else: ``"no"`` would count as True."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import lmmsparse
from lmmsparse import LinearMixedModel, anova, lmer, load_dataset, make_objective
from lmmsparse.errors import ArgumentError

Action = Callable[[LinearMixedModel], object]

# By public name and flag: what the message begins with, and a call with "no".
REFUSED: dict[tuple[str, str], tuple[str, Action]] = {
    ("LinearMixedModel.anova", "refit"): ("anova: refit", lambda m: m.anova(m, refit="no")),
    ("LinearMixedModel.bootstrap", "progress"): ("bootstrap: progress", lambda m: m.bootstrap(5, progress="no")),
    ("LinearMixedModel.bootstrap", "use_u"): ("bootstrap: use_u", lambda m: m.bootstrap(5, use_u="no")),
    ("LinearMixedModel.bootstrap", "within"): (
        "bootstrap: within",
        lambda m: m.bootstrap(5, kind="cases", within="no"),
    ),
    ("LinearMixedModel.contest", "joint"): ("contest: joint", lambda m: m.contest({"Days": 1}, joint="no")),
    ("LinearMixedModel.cooks_distance", "refit"): ("cooks_distance: refit", lambda m: m.cooks_distance(refit="no")),
    ("LinearMixedModel.dfbetas", "refit"): ("influence: refit", lambda m: m.dfbetas(refit="no")),
    ("LinearMixedModel.icc", "by_group"): ("icc: by_group", lambda m: m.icc(by_group="no")),
    ("LinearMixedModel.influence", "refit"): ("influence: refit", lambda m: m.influence(refit="no")),
    ("LinearMixedModel.predict", "allow_new_levels"): (
        "predict: allow_new_levels",
        lambda m: m.predict(load_dataset("sleepstudy"), allow_new_levels="no"),
    ),
    ("LinearMixedModel.predict", "se"): ("predict: se", lambda m: m.predict(se="no")),
    ("LinearMixedModel.profile", "progress"): ("profile: progress", lambda m: m.profile("Days", progress="no")),
    ("LinearMixedModel.ranef", "cond_var"): ("ranef: cond_var", lambda m: m.ranef(cond_var="no")),
    ("LinearMixedModel.ranef", "pred_var"): ("ranef: pred_var", lambda m: m.ranef(pred_var="no")),
    ("LinearMixedModel.simulate", "allow_new_levels"): (
        "simulate: allow_new_levels",
        lambda m: m.simulate(1, allow_new_levels="no"),
    ),
    ("LinearMixedModel.simulate", "use_u"): ("simulate: use_u", lambda m: m.simulate(1, use_u="no")),
    ("LinearMixedModel.tidy", "conf_int"): ("tidy: conf_int", lambda m: m.tidy(conf_int="no")),
    ("LinearMixedModel.vcov", "full"): ("vcov: full", lambda m: m.vcov(full="no")),
    ("Profile.conf_int", "lme4_names"): (
        "conf_int: lme4_names",
        lambda m: m.profile("Days", points=3).conf_int(lme4_names="no"),
    ),
    ("anova", "refit"): ("anova: refit", lambda m: anova(m, m, refit="no")),
    ("make_objective", "reml"): (
        "make_objective: reml",
        lambda m: make_objective(m.frame.y, m.frame.X, m.terms, reml="no"),
    ),
    ("lmer", "progress"): (
        "progress",
        lambda m: lmer("Reaction ~ Days + (1 | Subject)", load_dataset("sleepstudy"), progress="no"),
    ),
    ("lmer", "REML"): (
        "REML",
        lambda m: lmer("Reaction ~ Days + (1 | Subject)", load_dataset("sleepstudy"), REML="no"),
    ),
}


def flags() -> Iterator[tuple[str, str]]:
    """Every argument of a public function or method whose default is True or False."""
    for name in lmmsparse.__all__:
        public = getattr(lmmsparse, name)
        functions = {name: public}
        if inspect.isclass(public):
            methods = inspect.getmembers(public, inspect.isfunction)
            functions = {f"{name}.{method}": function for method, function in methods if not method.startswith("_")}
        for place, function in functions.items():
            for parameter in inspect.signature(function).parameters.values():
                if isinstance(parameter.default, bool):
                    yield place, parameter.name


def test_all_flags_are_known() -> None:
    assert set(flags()) == set(REFUSED)


@pytest.mark.parametrize(("words", "call"), REFUSED.values(), ids=map("-".join, REFUSED))
def test_a_flag_is_true_or_false(fit: Any, words: str, call: Action) -> None:
    m = fit("Reaction ~ Days + (Days | Subject)", "sleepstudy")
    with pytest.raises(ArgumentError, match=f"^{words} must be True or False, got 'no'$"):
        call(m)


def test_replicates_are_for_the_bootstrap(fit: Any) -> None:
    m = fit("Reaction ~ Days + (Days | Subject)", "sleepstudy")
    with pytest.raises(ArgumentError, match="only method='boot' takes nsim, got method='wald'"):
        m.conf_int(nsim=10)
