"""Nothing of the caller's is ever changed, and what is done to a result changes neither the data nor other results."""

from __future__ import annotations

import dataclasses
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lmmsparse import anova, build_model_frame, lmer, make_objective, parse_formula, random_terms
from lmmsparse.modular import fit
from tests.acceptance.callables import FORMULA, N, example

RICH = "y ~ x + poly(z, 2) + log(w) + f + offset(0.1 * z) + (x | g) + (1 | h)"


def plain() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    extra = {"z": rng.normal(size=N), "w": rng.uniform(1.0, 2.0, N), "h": np.arange(N) // 6 % 4, "k": np.arange(N) % 3}
    return example().assign(**extra)


def strided(values: np.ndarray) -> np.ndarray:
    return np.repeat(values, 2)[::2]


def swapped(values: np.ndarray) -> np.ndarray:
    return values.astype(values.dtype.newbyteorder(">")) if values.dtype.kind in "iuf" else values


def locked(values: np.ndarray) -> np.ndarray:
    out = values.copy()
    out.flags.writeable = False
    return out


def columns(change: Callable[[np.ndarray], Any]) -> dict[str, Any]:
    return {name: change(plain()[name].to_numpy(dtype=None if name not in "fg" else "U1")) for name in plain()}


KINDS: dict[str, Callable[[], Any]] = {
    "pandas": plain,
    "pandas, categories": lambda: plain().astype({"f": "category", "g": "category"}),
    "pandas, nullable": lambda: plain().convert_dtypes(),
    "pandas, one block": lambda: plain().astype({"f": object, "g": object}).iloc[::-1],
    "pandas, big-endian": lambda: pd.DataFrame({name: swapped(v) for name, v in columns(lambda v: v).items()}),
    "polars": lambda: pl.DataFrame(plain().to_dict("list")),
    "pyarrow": lambda: pa.table(plain().to_dict("list")),
    "dict of arrays": lambda: columns(lambda v: v),
    "dict of lists": lambda: columns(np.ndarray.tolist),
    "dict of strided arrays": lambda: columns(strided),
    "dict of big-endian arrays": lambda: columns(swapped),
    "dict of read-only arrays": lambda: columns(locked),
    "dict of Series": lambda: {name: plain()[name] for name in plain()},
}


def arguments(change: Callable[[np.ndarray], Any]) -> dict[str, Any]:
    """Arguments of `lmer`."""
    return {
        "weights": change(np.linspace(0.5, 2.0, N)),
        "offset": change(np.linspace(0.0, 0.3, N)),
        "subset": change(np.arange(N) % 9 != 2),
        "contrasts": {"f": "sum"},
        "start": change(np.array([1.0, 0.0, 1.0, 0.5])),
        "control": {"tolerance": 1e-9},
    }


# What the stages of a fit hand to each other, and the caller's own data, to which a call keeps a reference.
ENGINE = {"objective", "point", "plan", "spec", "call", "task", "parameter"}


def digest(given: Any) -> bytes:
    """All that can be seen of an object, whether arrays may be written to included."""
    return pickle.dumps([given, [array.flags.writeable for array in arrays_in(given)]])


def arrays_in(given: Any, depth: int = 0, seen: set[int] | None = None) -> Iterator[np.ndarray]:
    """Every array that can be reached from an object through public attributes and members."""
    seen = set() if seen is None else seen
    if depth > 6 or id(given) in seen:
        return
    seen.add(id(given))
    if isinstance(given, np.ndarray):
        yield given
        members: list[Any] = []
    elif isinstance(given, pd.DataFrame):
        members = [given[name] for name in given] if given.columns.is_unique else []
    elif isinstance(given, pd.Series):
        values = given.array
        members = [np.asarray(values)] if isinstance(values.dtype, np.dtype) else []
    elif isinstance(given, Mapping):
        members = list(given.values())
    elif isinstance(given, (list, tuple)):
        members = list(given)
    elif hasattr(given, "data") and hasattr(given, "indices"):  # a sparse matrix
        members = [given.data, given.indices, given.indptr]
    elif dataclasses.is_dataclass(given) and depth < 6:
        members = [getattr(given, field.name) for field in dataclasses.fields(given) if field.name not in ENGINE]
    else:
        members = []
    for member in members:
        yield from arrays_in(member, depth + 1, seen)


def spoil(result: Any) -> None:
    """Write to everything of a result that lets itself be written to."""
    for array in arrays_in(result):
        if array.flags.writeable and array.dtype.kind in "fiub":
            array[...] = 7


METHODS: dict[str, Callable[[Any, Any], Any]] = {
    "fixef": lambda m, d: m.fixef,
    "bse": lambda m, d: m.bse,
    "theta": lambda m, d: m.theta,
    "varcorr": lambda m, d: m.varcorr,
    "fitted": lambda m, d: m.fitted,
    "model_matrix": lambda m, d: m.model_matrix,
    "pvalues": lambda m, d: m.pvalues,
    "uncertainty": lambda m, d: m.uncertainty,
    "kenward_roger": lambda m, d: m.kenward_roger,
    "ranef": lambda m, d: m.ranef(cond_var=True),
    "ranef(pred_var)": lambda m, d: m.ranef(pred_var=True),
    "coef": lambda m, d: m.coef(),
    "vcov": lambda m, d: m.vcov(full=True),
    "df_fixed": lambda m, d: m.df_fixed(),
    "contest": lambda m, d: m.contest(np.eye(len(m.fixef))[1:], joint=False),
    "anova": lambda m, d: m.anova(),
    "drop1": lambda m, d: m.drop1(ddf="satterthwaite"),
    "ranova": lambda m, d: m.ranova(),
    "conf_int": lambda m, d: m.conf_int(),
    "profile": lambda m, d: m.profile("x", points=2),
    "bootstrap": lambda m, d: m.bootstrap(2, seed=1),
    "icc": lambda m, d: m.icc(),
    "r2": lambda m, d: m.r2(),
    "marginal_cov": lambda m, d: m.marginal_cov("a", "g"),
    "shrinkage": lambda m, d: m.shrinkage(),
    "re_pca": lambda m, d: m.re_pca(),
    "predict": lambda m, d: m.predict(se=True),
    "predict(newdata)": lambda m, d: m.predict(d, offset=np.zeros(N), interval="prediction", weights=np.ones(N)),
    "simulate": lambda m, d: m.simulate(2, seed=1),
    "simulate(newdata)": lambda m, d: m.simulate(2, seed=1, newdata=d, offset=0.0),
    "model_matrix_of": lambda m, d: m.model_matrix_of(d),
    "resid": lambda m, d: m.resid("scaled"),
    "hatvalues": lambda m, d: m.hatvalues(),
    "influence": lambda m, d: m.influence("g"),
    "cooks_distance": lambda m, d: m.cooks_distance(),
    "dfbetas": lambda m, d: m.dfbetas("h"),
    "singularity": lambda m, d: m.singularity(),
    "summary": lambda m, d: m.summary(),
    "tidy": lambda m, d: m.tidy(["fixed", "ran_pars", "ran_vals"]),
    "glance": lambda m, d: m.glance(),
    "augment": lambda m, d: m.augment(),
    "augment(data)": lambda m, d: m.augment(d),
    "refit": lambda m, d: m.refit(m.frame.y + np.sin(np.arange(m.nobs))),
    "refit_many": lambda m, d: m.refit_many(m.simulate(2, seed=2)),
    "refit_ml": lambda m, d: m.refit_ml(),
    "update": lambda m, d: m.update(". ~ . - log(w)"),
    "anova of models": lambda m, d: anova(m, m.update(". ~ . - log(w)")),
    **{
        f"getme({name})": lambda m, d, name=name: m.getme(name)
        for name in ("X", "Zt", "y", "b", "u", "Lambda", "flist")
    },
    **{
        f"getme({name})": lambda m, d, name=name: m.getme(name)
        for name in ("X", "Zt", "y", "b", "u", "Lambda", "flist", "mu", "ST", "offset", "weights", "cnms")
    },
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [lambda v: v, strided, swapped, locked, np.ndarray.tolist, pl.Series, pa.array])
@pytest.mark.filterwarnings("ignore")
def test_a_fit_changes_nothing(kind: str, change: Callable[[np.ndarray], Any]) -> None:
    data, given = KINDS[kind](), arguments(change)
    before = digest(data), digest(given)
    m = lmer(RICH, data, **given)
    build_model_frame(parse_formula(FORMULA), data, **{name: given[name] for name in ("weights", "offset", "subset")})
    assert (digest(data), digest(given)) == before
    assert not any(
        np.shares_memory(mine, theirs) and mine.flags.writeable
        for mine in arrays_in([m.frame, m.objective.y, m.objective.weights])
        for theirs in arrays_in([data, given])
    )


@pytest.mark.filterwarnings("ignore")
def test_the_stages_change_nothing() -> None:
    data = plain()
    frame = build_model_frame(parse_formula(FORMULA), data)
    terms, response, X, weights = random_terms(frame), frame.y.copy(), frame.X.copy(), np.linspace(1.0, 2.0, N)
    start = np.array([1.0, 0.0, 1.0])
    before = digest([data, frame, response, X, weights, start])
    objective = make_objective(response, X, terms, weights=weights)
    fit(objective, start=start)
    objective(start), objective.gradient(start), objective.hessian(start)
    assert digest([data, frame, response, X, weights, start]) == before


@pytest.fixture(scope="module", params=["pandas", "polars", "dict of arrays"])
def fitted(request: Any) -> tuple[Any, Any, dict[str, Any]]:
    data, given = KINDS[request.param](), arguments(lambda v: v)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lmer(RICH, data, **given), data, given


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore")
def test_a_result_is_the_callers_own(method: str, fitted: tuple[Any, Any, dict[str, Any]]) -> None:
    m, data, given = fitted
    before = digest(data), digest(given), digest(list(arrays_in(m.frame)))
    first = METHODS[method](m, data)
    kept = [array.copy() for array in arrays_in(first)]
    assert (digest(data), digest(given), digest(list(arrays_in(m.frame)))) == before, (
        "the call itself has changed something"
    )
    spoil(first)
    again = list(arrays_in(METHODS[method](m, data)))
    for one, other in zip(kept, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (digest(data), digest(given), digest(list(arrays_in(m.frame)))) == before


def test_what_a_model_holds_is_not_to_be_written_to(fitted: tuple[Any, Any, dict[str, Any]]) -> None:
    m = fitted[0]
    for array in arrays_in([m.frame, m.terms, m.estimates, m.optinfo]):
        assert not array.flags.writeable or array.size == 0
