"""Generated data sets and formulas for fuzz.py: designs that a user may bring, and some that none should."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Float = NDArray[np.float64]
Codes = NDArray[np.int64]
Columns = dict[str, list[Float]]

# Parameters of the covariance matrices of one model.
MOST_PARAMETERS = 14


@dataclass(frozen=True)
class Case:
    """A model and its data, ready for `lmmsparse.models.lmer`."""

    formula: str
    data: Any
    reml: bool
    weights: Any
    offset: Any
    rows: int
    note: str

    def __str__(self) -> str:
        return f"{'REML' if self.reml else 'ML'} {self.formula}  [n = {self.rows}; {self.note}]"


def pick(rng: np.random.Generator, options: dict[Any, float]) -> Any:
    """One of the keys, with probabilities in proportion to the values."""
    keys = list(options)
    weights = np.array(list(options.values()))
    return keys[rng.choice(len(keys), p=weights / weights.sum())]


def n_levels(rng: np.random.Generator, n: int) -> int:
    """Number of levels: few, some, many, or nearly as many as rows."""
    few = int(rng.integers(2, 5))
    some = int(rng.integers(5, 21))
    many = int(rng.integers(n // 4, n // 2 + 1))
    return max(2, min(pick(rng, {few: 2, some: 4, many: 2, n - int(rng.integers(1, 4)): 0.5}), n - 1))


def assign(rng: np.random.Generator, n: int, q: int) -> Codes:
    """Levels of the rows: balanced, at random, or with very unequal counts."""
    layout = pick(rng, {"balanced": 1, "random": 1, "unequal": 1})
    if layout == "balanced":
        return np.arange(n) % q
    if layout == "random":
        return rng.integers(0, q, n)
    weights = 1.0 / np.arange(1, q + 1) ** 1.5
    return rng.choice(q, n, p=weights / weights.sum())


def grouping_factors(rng: np.random.Generator, n: int) -> tuple[dict[str, Codes], dict[str, Codes]]:
    """Grouping columns, and the groups that a formula may name with the level of every row."""
    columns = {"g1": assign(rng, n, n_levels(rng, n))}
    groups = {"g1": columns["g1"]}
    for name in ["g2", "g3"][: pick(rng, {0: 3, 1: 4, 2: 2})]:
        other = groups["g1"]
        layout = pick(rng, {"crossed": 3, "nested": 2, "within": 2, "partly": 2, "same": 0.1})
        if layout == "crossed":
            columns[name] = assign(rng, n, n_levels(rng, n))
        elif layout == "nested":  # every level of its own lies in one of g1
            columns[name] = other * 4 + rng.integers(0, rng.integers(2, 5), n)
        elif layout == "within":  # levels have the same names in every level of g1
            columns[name] = rng.integers(0, rng.integers(2, 5), n)
            groups[f"g1:{name}"] = other * 4 + columns[name]
            if rng.random() < 0.5:
                continue  # then alone it is no group of the model
        elif layout == "partly":
            columns[name] = (2 * other + rng.integers(0, 3, n)) % n_levels(rng, n)
        else:
            columns[name] = other.copy()
        groups[name] = columns[name]
    return columns, groups


def covariates(rng: np.random.Generator, n: int, group: Codes) -> dict[str, Any]:
    """Two numeric columns of mean square about one and two factors."""
    kind = pick(rng, {"normal": 4, "integer": 2, "heavy": 1, "group": 1, "constant": 0.15, "rare": 0.5})
    x1 = {
        "normal": rng.normal(size=n),
        "integer": rng.integers(0, 10, n) / 5.0,
        "heavy": rng.standard_t(1.5, n),
        "group": rng.normal(size=group.max() + 1)[group],
        "constant": np.ones(n),
        "rare": (rng.random(n) < 3 / n).astype(float),
    }[kind]
    x2 = rng.normal(size=n)
    near = pick(rng, {0.0: 8, 1e-3: 1, 1e-6: 0.5, 1e-9: 0.3})
    if near:
        x2 = x1 + near * x2
    f = rng.integers(0, rng.integers(2, 5), n)
    h = rng.integers(0, rng.integers(2, 4), n)
    return {"x1": x1, "x2": x2, "f": f, "h": h}


def bar_columns(values: dict[str, Any]) -> Columns:
    """What may stand before a bar, with the columns that it makes."""
    n = len(values["x1"])
    one, x1, x2 = np.ones(n), values["x1"], values["x2"]
    f, h = [[(values[name] == level).astype(float) for level in np.unique(values[name])] for name in "fh"]
    return {
        "1": [one],
        "x1": [one, x1],
        "0 + x1": [x1],
        "x2": [one, x2],
        "x1 + x2": [one, x1, x2],
        "0 + x1 + x2": [x1, x2],
        "I(x1**2)": [one, x1**2],
        "f": [one, *f[1:]],
        "0 + f": f,
        "0 + h": h,
        "x1 + h": [one, x1, *h[1:]],
        "0 + f:x1": [column * x1 for column in f],
    }


def bars(rng: np.random.Generator, groups: dict[str, Codes], left: Columns) -> list[tuple[str, str, str]]:
    """Terms (left, bar, group) with no more than `MOST_PARAMETERS` parameters; most have one bar for a group."""
    weights = dict.fromkeys(left, 1.0) | {"1": 7.0, "x1": 4.0}
    while True:
        chosen = []
        for name in groups:
            for _ in range(pick(rng, {1: 8, 2: 1.5, 3: 0.2})):
                chosen.append((pick(rng, weights), pick(rng, {"|": 3, "||": 1}), name))
        sizes = [len(left[text]) * (1 if bar == "||" else (len(left[text]) + 1) / 2) for text, bar, _ in chosen]
        if sum(sizes) <= MOST_PARAMETERS and len(set(chosen)) == len(chosen):
            return chosen


def effects(rng: np.random.Generator, q: int, k: int) -> Float:
    """Random effects (q, k): no variance, tiny to huge ones, and correlations up to ±1."""
    sd = np.array([pick(rng, {0.0: 2, 1e-4: 0.5, 0.03: 1, 0.3: 2, 1.0: 4, 10.0: 1, 1e3: 0.5}) for _ in range(k)])
    factor = rng.normal(size=(q, 1)) * rng.choice([-1.0, 1.0], k)
    share = pick(rng, {0.0: 3, 0.5: 2, 0.99: 1, 0.99999: 0.5, 1.0: 0.5})
    return sd * (np.sqrt(share) * factor + np.sqrt(1.0 - share) * rng.normal(size=(q, k)))


def response(
    rng: np.random.Generator,
    values: dict[str, Any],
    terms: list[tuple[str, str, str]],
    groups: dict[str, Codes],
) -> tuple[Float, str]:
    """The response and the kind of its errors."""
    n, left = len(values["x1"]), bar_columns(values)
    y = rng.normal() + rng.normal() * values["x1"] + rng.normal() * values["f"]
    for text, _, name in terms:
        codes = np.unique(groups[name], return_inverse=True)[1]
        drawn = effects(rng, codes.max() + 1, len(left[text]))
        y = y + (drawn[codes] * np.column_stack(left[text])).sum(axis=1)
    kinds = {"normal": 8, "heavy": 1.5, "none": 0.3, "tiny": 0.5, "rounded": 0.5, "constant": 0.05, "noise": 1}
    kind = pick(rng, kinds)
    if kind == "noise":
        y = rng.normal(size=n)
    elif kind == "constant":
        y = np.full(n, 7.0)
    elif kind == "rounded":
        y = np.round(y + rng.normal(size=n))
    elif kind != "none":
        draw = rng.standard_t(1.5, n) if kind == "heavy" else rng.normal(size=n)
        y = y + {"tiny": 1e-5}.get(kind, 1.0) * draw
    return y, kind


def rescaled(rng: np.random.Generator, values: Float, probability: float) -> Float:
    """Other units and another origin, now and then."""
    if rng.random() < probability:
        values = values * 10.0 ** rng.uniform(-6, 6)
    if rng.random() < probability:
        values = values + 10.0 ** rng.uniform(0, 6) * max(1e-300, float(np.std(values)))
    return values


def grouping_column(rng: np.random.Generator, codes: Codes) -> Any:
    """Levels as whole numbers, text, or categories of which some do not occur."""
    kind = pick(rng, {"number": 1, "text": 1, "category": 1})
    if kind == "number":
        return codes
    text = np.array([f"L{code}" for code in codes], dtype=object)
    return text if kind == "text" else pd.Categorical(text, categories=[f"L{i}" for i in range(codes.max() + 3)])


def prior_weights(rng: np.random.Generator, n: int) -> Float | None:
    """None, or weights of one size, of many sizes, or with zeros."""
    kind = pick(rng, {"none": 8, "near one": 1, "counts": 0.5, "wide": 0.5, "zeros": 0.5})
    if kind == "none":
        return None
    draws = {"near one": rng.uniform(0.5, 2, n), "wide": 10.0 ** rng.uniform(-4, 4, n)}
    return np.asarray(draws.get(kind, rng.integers(kind == "counts", 5, n).astype(float)))


def with_gaps(rng: np.random.Generator, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with missing values in some columns."""
    out = frame.copy()
    for name in rng.choice(frame.columns, size=int(rng.integers(1, 4)), replace=False):
        out[name] = out[name].where(rng.random(len(frame)) > rng.uniform(0.02, 0.2))
    return out


def in_library(frame: pd.DataFrame, library: str) -> Any:
    """The data as pandas, as polars, or as a dict of arrays."""
    if library == "polars":
        import polars

        return polars.from_pandas(frame)
    return {name: frame[name].to_numpy() for name in frame.columns} if library == "dict" else frame


def generate(seed: int, number: int) -> Case:
    """Model ``number`` of a seed."""
    rng = np.random.default_rng([seed, number])
    n = int(rng.integers(*pick(rng, {(6, 16): 1, (16, 60): 3, (60, 200): 4, (200, 400): 1.5})))
    columns, groups = grouping_factors(rng, n)
    values = covariates(rng, n, columns["g1"])
    terms = bars(rng, groups, bar_columns(values))
    y, errors = response(rng, values, terms, groups)

    fixed = {"1": 3, "x1": 5, "x1 + x2": 3, "x1 * f": 2, "f + h": 1, "0 + f": 1, "x1 + I(2*x1 + 1)": 0.7, "0": 0.4}
    right = [pick(rng, fixed | {"poly(x1, 2)": 0.5, "x1 * x2 * f": 0.5})]
    right += [f"({text} {bar} {name})" for text, bar, name in terms]
    weights, offset = prior_weights(rng, n), None
    if rng.random() < 0.1:
        offset = 3.0 * values["x2"]
    if rng.random() < 0.05:
        right.append("offset(x2)")
    data = {"y": rescaled(rng, y, 0.15), "x1": rescaled(rng, values["x1"], 0.15), "x2": values["x2"]}
    for name in "fh":
        labels = np.array(list("abcd"), dtype=object)[values[name]]
        data[name] = pd.Categorical(labels, categories=list("abcde")) if rng.random() < 0.5 else labels
    frame = pd.DataFrame(data | {name: grouping_column(rng, codes) for name, codes in columns.items()})
    if weights is not None:
        frame["w"] = weights
    gaps = rng.random() < 0.12
    if gaps:
        frame = with_gaps(rng, frame)
    library = pick(rng, {"pandas": 6, "polars": 1, "dict": 1})
    note = [f"{errors} errors", library]
    note += ["weights"] * (weights is not None) + ["offset"] * (offset is not None) + ["gaps"] * gaps
    return Case(
        formula="y ~ " + " + ".join(right),
        data=in_library(frame, library),
        reml=bool(rng.random() < 0.6),
        weights=None if weights is None else "w",
        offset=offset,
        rows=n,
        note=", ".join(note),
    )
