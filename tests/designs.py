"""Small generated designs for tests: every kind of grouping, any terms, as the engine and the oracle take them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from lmmsparse.covariance import STRUCTURES, Covariance
from lmmsparse.design.terms import RandomTerm
from lmmsparse.frame import Levels
from lmmsparse.objective.linear import Objective, make_objective
from lmmsparse.objective.profiled import WorkingObjective
from lmmsparse.pls import small
from lmmsparse.pls.core import choose
from lmmsparse.pls.direct import Direct
from tests.oracle import KEYWORDS, Oracle, parameter_count

Float = NDArray[np.float64]

# The same examples at every run, and no search for simpler ones: the label of a case is enough to make it again.
generated = settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
needs_cholmod = pytest.mark.skipif(find_spec("sksparse") is None, reason="scikit-sparse is not installed")


@contextmanager
def sparse_cores() -> Iterator[None]:
    """Within it every core is sparse, however small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose, "SMALL_CORE", 0)
        patch.setattr(choose, "DENSE_FILL", 1.1)
        patch.setattr(choose, "fill_at_least", lambda *_: False)
        patch.setattr(small, "SMALL_FLOPS", 0.0)
        yield


def by_blocks(working: WorkingObjective) -> WorkingObjective:
    """The same criterion by the engine for models of any size."""
    engine = Direct(working.plan)
    return WorkingObjective.of(engine, working.products, working.blocks, working.reml)


@contextmanager
def no_small_models() -> Iterator[None]:
    """Within it every model is factored block by block, however small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "SMALL_FLOPS", 0.0)
        yield


@contextmanager
def reflections() -> Iterator[None]:
    """Within it every case is evaluated from its rows, by an orthogonal factorization."""
    plain = Case.objective

    def by_rows(self: Case, **changes: Any) -> Objective:
        found = plain(self, **changes).by_rows()
        assert found is not None
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Case, "objective", by_rows)
        yield


Engines = Callable[[], AbstractContextManager[None]]
# Within each of them models are evaluated by one way of solving the penalized least-squares problem.
ENGINES = [
    pytest.param(nullcontext, id="small"),
    pytest.param(no_small_models, id="dense core"),
    pytest.param(sparse_cores, id="sparse core", marks=needs_cholmod),
    pytest.param(reflections, id="reflections"),
]


def structure_of(kind: str | bool, k: int) -> Covariance:
    """The structure of a keyword; True stands for ``us`` and False for ``diag``."""
    return STRUCTURES[{True: "us", False: "diag"}[kind] if isinstance(kind, bool) else kind](k)


def make_term(
    labels: ArrayLike, columns: ArrayLike | None = None, group: str = "g", kind: str | bool = True
) -> RandomTerm:
    """A term from labels of any kind; an intercept unless columns (n,) or (n, k) are given, ``kind`` as above."""
    levels, codes = np.unique(np.asarray(labels), return_inverse=True)
    n = len(codes)
    values = np.broadcast_to(1.0, (n, 1)) if columns is None else np.asarray(columns, dtype=float).reshape(n, -1)
    k = values.shape[1]
    return RandomTerm(
        label=f"({k} columns | {group})",
        bar=0,
        group=group,
        codes=codes.astype(np.int32),
        labels=Levels(levels),
        columns=values,
        names=tuple(f"c{i}" for i in range(k)),
        structure=structure_of(kind, k),
    )


@dataclass(frozen=True)
class Case:
    """A model: what `make_objective` takes, and the oracle for it. ``label`` says what `make_case` was asked for."""

    y: Float = field(repr=False)
    X: Float = field(repr=False)
    terms: tuple[RandomTerm, ...] = field(repr=False)
    weights: Float | None = field(default=None, repr=False)
    reml: bool = True
    label: str = ""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Let hypothesis write the label, not the arrays."""
        printer.text(repr(self))

    @property
    def n_theta(self) -> int:
        return sum(term.structure.n_theta for term in self.terms)

    def objective(self, **changes: Any) -> Objective:
        case = replace(self, **changes)
        return make_objective(case.y, case.X, case.terms, weights=case.weights, reml=case.reml)

    def oracle(self, theta: ArrayLike) -> Oracle:
        w = np.ones(len(self.y)) if self.weights is None else self.weights
        return Oracle(self.y, self.X, self.terms, np.asarray(theta, dtype=float), self.reml, w)


def working_oracle(case: Case, theta: Float) -> tuple[WorkingObjective, Oracle]:
    """The working objective, and the oracle for the model that it stands for; θ is in working coordinates."""
    objective = case.objective()
    design, terms = objective.design, []
    for block, term in zip(objective.blocks, case.terms, strict=True):
        columns = design.blocks[block.factor].columns[:, block.columns]
        terms.append(make_term(term.codes, columns, term.group, term.structure.keyword))
    X = design.X @ design.coordinates.fixed_map
    y = (case.y - X @ objective.response.start) / objective.response.scale
    return objective.working, Case(y, design.X, tuple(terms), case.weights, case.reml).oracle(theta)


def fixed_columns(n: int, p: int, rng: np.random.Generator) -> Float:
    """p columns: an intercept, then covariates of several scales."""
    return np.column_stack([np.ones(n), 5 + rng.normal(size=n), 0.1 * rng.normal(size=n)])[:, :p]


def grouping(layout: str, n: int, rng: np.random.Generator) -> dict[str, NDArray[np.int64]]:
    """Levels of each factor of a layout, n rows."""

    def free(levels: int) -> NDArray[np.int64]:
        return np.concatenate([np.arange(levels), rng.integers(levels, size=n - levels)])

    match layout:
        case "one":
            return {"a": free(7)}
        case "crossed":
            return {"a": free(8), "b": free(5)}
        case "three crossed":
            return {"a": free(6), "b": free(5), "c": free(4)}
        case "nested":
            a = free(9)
            return {"a": a, "b": a % 4}
        case "nested three deep":
            a = free(12)
            return {"a": a, "b": a % 6, "c": a % 3}
        case "partly crossed":  # most levels of a stay in one level of b, as pupils do in schools
            a = free(10)
            return {"a": a, "b": np.where(rng.random(n) < 0.2, free(4), a % 4)}
        case "nested and crossed":  # a in b, both crossed with c
            a = free(10)
            return {"a": a, "b": a % 4, "c": free(5)}
        case "nested below two":  # a in b and a in c, b and c crossed
            a = free(12)
            return {"a": a, "b": a % 4, "c": a // 4}
        case "twins":  # two names for one factor
            a = free(6)
            return {"a": a, "b": (a + 2) % 6}
        case "disconnected":  # two blocks of levels that never meet
            side = np.arange(n) % 2
            return {"a": free(4) + 4 * side, "b": free(3) + 3 * side, "c": free(2) + 2 * side}
    raise ValueError(layout)


LAYOUTS = (
    "one",
    "crossed",
    "three crossed",
    "nested",
    "nested three deep",
    "partly crossed",
    "nested and crossed",
    "nested below two",
    "twins",
    "disconnected",
)


def make_case(
    layout: str,
    shapes: Sequence[Sequence[tuple[int, str | bool]]],
    *,
    p: int = 2,
    weighted: bool = False,
    reml: bool = True,
    n: int = 48,
    seed: int = 0,
) -> Case:
    """A case with, for each factor of the layout, terms of given (columns, kind)."""
    rng = np.random.default_rng(seed)
    factors = grouping(layout, n, rng)
    terms = []
    for (name, labels), wanted in zip(factors.items(), shapes, strict=False):
        for k, kind in wanted:
            columns = None if k == 1 else np.column_stack([np.ones(n), 3 + 2 * rng.normal(size=(n, k - 1))])
            terms.append(make_term(labels, columns, name, kind))
    y = rng.normal(size=n)
    for term in terms:
        y += (term.columns * rng.normal(size=(len(term.levels), term.columns.shape[1]))[term.codes]).sum(axis=1)
    weights = rng.uniform(0.2, 3.0, size=n) if weighted else None
    label = f"{layout}, {shapes}, p={p}, weighted={weighted}, n={n}, seed={seed}"
    return Case(20 + 4 * y, fixed_columns(n, p, rng), tuple(terms), weights, reml, label)


def term_shapes(kinds: Sequence[str]) -> st.SearchStrategy[list[tuple[int, str]]]:
    """Terms of one factor: one or two, with up to three columns."""
    return st.lists(st.tuples(st.integers(1, 3), st.sampled_from(kinds)), min_size=1, max_size=2)


TERMS = term_shapes(KEYWORDS)


@st.composite
def cases(draw: st.DrawFn, n: int = 48, kinds: Sequence[str] = KEYWORDS) -> Case:
    """Any layout and order of terms: every structure, several terms of a factor; weights, p, criterion."""
    case = make_case(
        draw(st.sampled_from(LAYOUTS)),
        [draw(term_shapes(kinds)) for _ in range(3)],
        p=draw(st.sampled_from([0, 1, 3])),
        weighted=draw(st.booleans()),
        reml=draw(st.booleans()),
        n=n,
        seed=draw(st.integers(0, 2**16)),
    )
    order = draw(st.permutations(range(len(case.terms))))
    return replace(case, terms=tuple(case.terms[i] for i in order), label=f"{case.label}, order={order}")


def random_theta(keyword: str, k: int, rng: np.random.Generator, *, boundary: bool = False) -> Float:
    """A θ of one term with standard deviations of either sign, at least 0.1, and a ρ well inside its range.

    Those of ``cs`` have one sign: it is that of the correlations between effects of different ones.  With
    ``boundary`` each standard deviation (diagonal entry of λ) is zero with probability ½, and ρ is at an end.
    """
    theta = rng.uniform(-1.0, 1.0, size=parameter_count(keyword, k))
    rows, columns = np.triu_indices(k)
    deviations = np.flatnonzero(rows == columns) if keyword == "us" else np.arange(1 if "hom" in keyword else k)
    theta[deviations] = np.where(theta[deviations] < 0, -1, 1) * (0.1 + np.abs(theta[deviations]))
    if boundary:
        theta[deviations[rng.random(len(deviations)) < 0.5]] = 0.0
    if keyword == "cs":
        theta[:k] = np.copysign(theta[:k], theta[0])
    if keyword in ("cs", "homcs") and k > 1:
        low = -1.0 / (k - 1)
        ends = (low, 1.0, rng.uniform(0.9 * low, 0.9)) if boundary else (rng.uniform(0.9 * low, 0.9),)
        theta[-1] = rng.choice(ends)
    return theta


@st.composite
def cases_with_theta(draw: st.DrawFn, *, boundary: bool = False, kinds: Sequence[str] = KEYWORDS) -> tuple[Case, Float]:
    """A case and a θ for it, of `random_theta`."""
    case = draw(cases(kinds=kinds))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    parts = [random_theta(t.structure.keyword, t.structure.size, rng, boundary=boundary) for t in case.terms]
    return case, np.concatenate(parts)
