"""All that is public and can be called, found by introspection, with arguments that work."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

import lmmsparse
from lmmsparse import lmer, modular, parse_formula, results

N = 48
FORMULA = "y ~ x + f + (x | g)"

# Arguments that are needed, and such as make a call quick; by the name of the callable.
NEEDED: dict[str, Callable[[Any], dict[str, Any]]] = {
    "lmer": lambda at: {"formula": FORMULA, "data": at.data},
    "anova": lambda at: {"*": (at.model, at.smaller)},
    "load_dataset": lambda at: {"name": "sleepstudy"},
    "parse_formula": lambda at: {"text": FORMULA},
    "build_model_frame": lambda at: {"formula": parse_formula(FORMULA), "data": at.data},
    "random_terms": lambda at: {"frame": at.model.frame},
    "make_objective": lambda at: {"response": at.model.frame.y, "X": at.model.frame.X, "terms": at.model.terms},
    "fit": lambda at: {"objective": at.model.objective},
    "LinearMixedModel.anova": lambda at: {"*": (at.smaller,)},
    "LinearMixedModel.bootstrap": lambda at: {"nsim": 2, "seed": 1},
    "LinearMixedModel.conf_int": lambda at: {"method": "wald"},
    "LinearMixedModel.contest": lambda at: {"L": {"x": 1.0}},
    "LinearMixedModel.getme": lambda at: {"name": "X"},
    "LinearMixedModel.marginal_cov": lambda at: {"level": "a", "group": "g"},
    "LinearMixedModel.model_matrix_of": lambda at: {"newdata": at.data},
    "LinearMixedModel.predict": lambda at: {"newdata": at.data},
    "LinearMixedModel.profile": lambda at: {"which": "x"},
    "LinearMixedModel.refit": lambda at: {"y": at.data["y"]},
    "LinearMixedModel.refit_many": lambda at: {"Y": at.data[["y"]]},
    "LinearMixedModel.simulate": lambda at: {"newdata": at.data},
    "Objective.__call__": lambda at: {"theta": at.model.theta},
    "Objective.checked_start": lambda at: {"start": at.model.theta},
    "Objective.gradient": lambda at: {"theta": at.model.theta},
    "Objective.hessian": lambda at: {"theta": at.model.theta},
    "Profile.__getitem__": lambda at: {"name": "x"},
    "VarCorr.__getitem__": lambda at: {"group": "g"},
}
# Parts of a call that another argument needs, so that it is read at all.
WITH: dict[tuple[str, str], dict[str, Any]] = {
    ("LinearMixedModel.bootstrap", "within"): {"kind": "cases"},
    ("LinearMixedModel.conf_int", "seed"): {"method": "boot", "nsim": 2},
    ("LinearMixedModel.conf_int", "nsim"): {"method": "boot"},
    ("LinearMixedModel.ranova", "seed"): {"nsim": 2},
    ("LinearMixedModel.simulate", "re_form"): {"nsim": 2},
    ("LinearMixedModel.predict", "weights"): {"interval": "prediction"},
    ("LinearMixedModel.predict", "level"): {"interval": "prediction"},
    ("LinearMixedModel.predict", "ddf"): {"interval": "confidence", "re_form": 0},
}
# What the stages behind lmer hand to each other, in working coordinates.
STAGES = {
    "Objective": {
        "chart",
        "covariance_jacobian",
        "differentiate",
        "evaluate",
        "exact",
        "leverages",
        "on_rows",
        "refined",
        "row_variances",
        "sensitivity",
        "solve",
        "stacked",
        "template",
        "to_user",
        "to_working",
        "user_scores",
        "with_products",
        "with_reml",
        "with_response",
    },
    "Refits": {"joined", "unfitted", "write"},
}


@dataclass(frozen=True)
class Public:
    """One callable.

    Attributes
    ----------
    name : str
        ``"lmer"`` or ``"Profile.conf_int"``.
    function : callable
        Bound to its object.
    needed : dict
        Arguments that work; those by position under ``"*"``.
    """

    name: str
    function: Callable[..., Any]
    needed: dict[str, Any]

    def arguments(self) -> list[str]:
        """Names of its arguments; ``"*"`` for those by position, and those of `lmer` where any will do."""
        out = []
        for parameter in inspect.signature(self.function).parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                out += [name for name in inspect.signature(lmer).parameters if name not in out]
            else:
                out.append("*" if parameter.kind is parameter.VAR_POSITIONAL else parameter.name)
        return out

    def __call__(self, **changes: Any) -> Any:
        """Call it with some arguments changed."""
        given = {**self.needed, **changes}
        return self.function(*given.pop("*", ()), **given)

    def with_argument(self, argument: str, value: Any) -> Any:
        """Call it with one argument; a single one by position stands beside those that work."""
        changes = WITH.get((self.name, argument), {})
        return self(**changes, **{argument: (*self.needed.get("*", ()), value) if argument == "*" else value})


@dataclass(frozen=True)
class Material:
    """Data and fits from which everything else is made."""

    data: Any
    model: Any
    smaller: Any


def material(data: Any = None) -> Material:
    """Fits to the data, by default to those of `example`."""
    data = example() if data is None else data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Material(data, lmer(FORMULA, data), lmer("y ~ x + f + (1 | g)", data))


def example() -> pd.DataFrame:
    """48 rows in 8 groups, from which nothing is missing."""
    rng = np.random.default_rng(3)
    g, f, x = np.arange(N) % 8, np.arange(N) // 8 % 3, rng.normal(size=N)
    y = 1.0 + (0.5 + 2.0 * rng.normal(size=8)[g]) * x + 2.0 * rng.normal(size=8)[g] + 0.3 * f + rng.normal(size=N)
    return pd.DataFrame({"y": y, "x": x, "f": np.array(list("uvw"))[f], "g": np.array(list("abcdefgh"))[g]})


def instances(at: Material) -> dict[str, Any]:
    """An object of every public class whose methods users call."""
    model = at.model
    profile, found = model.profile("x"), model.icc()
    made = [
        model,
        model.objective,
        model.control,
        model.bootstrap(3, seed=1),
        model.influence("g"),
        found,
        found.parts,
        model.r2(),
        model.marginal_cov("a", "g"),
        profile,
        profile.curves[0],
        model.refit_many(model.simulate(2, seed=1)),
        model.singularity(),
        model.summary(),
        model.varcorr,
        model.varcorr["g"],
        model.estimates,
        model.optinfo,
        model.kenward_roger,
        model.uncertainty,
        *model.singularity().terms[:1],
    ]
    return {type(one).__name__: one for one in made}


def names(*modules: ModuleType) -> Iterator[tuple[str, Any]]:
    """What these modules name as public, by name."""
    for module in modules:
        for name in module.__all__:
            yield name, getattr(module, name)


def public(at: Material) -> list[Public]:
    """Every function that is public, and every public method of every object that such a function returns."""
    objects, found = instances(at), {}
    for name, what in names(lmmsparse, modular, results):
        if not inspect.isclass(what):
            found[name] = what
        elif name == "Control":
            found[name] = what
        elif name in objects:
            for method, _ in inspect.getmembers(what, callable):
                told = method in ("__call__", "__getitem__") or not method.startswith("_")
                if told and method not in STAGES.get(name, ()):
                    found[f"{name}.{method}"] = getattr(objects[name], method)
        else:
            assert is_dataclass(what) or issubclass(what, (Exception, Warning)), f"no {name} to try the methods of"
    return [Public(name, function, NEEDED.get(name, lambda _: {})(at)) for name, function in found.items()]
