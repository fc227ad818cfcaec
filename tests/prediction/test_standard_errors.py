"""Standard errors and degrees of freedom of predictions, and var(b̂ − b), against the mixed model equations."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from lmmsparse import lmer
from lmmsparse.errors import LmmWarning
from tests.designs import needs_cholmod, no_small_models, sparse_cores
from tests.prediction.dense import Equations, codes_by_label, rows_of_Z

Float = NDArray[np.float64]

MODELS = {
    "crossed": "y ~ x + (1 | a) + (1 | b)",
    "nested": "y ~ x + (1 | c / d)",
    "slopes": "y ~ x + (x | a) + (1 | b)",
    "independent slopes": "y ~ x + f + (x || a) + (1 | c)",
    "weighted": "y ~ x + (x | a) + (1 | b) + (1 | c)",
    "without fixed effects": "y ~ 0 + (x | a) + (1 | b)",
    "one factor": "y ~ x * f + (x | a)",
    "twice": "y ~ x + (1 | a) + (0 + x | a) + (1 | d)",
}


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    """90 unbalanced rows; most pairs of levels of a and b do not occur, d is nested in c."""
    rng = np.random.default_rng(3)
    n = 90
    a, b = rng.integers(12, size=n), rng.integers(9, size=n)
    d = np.concatenate([np.arange(10), rng.integers(10, size=n - 10)])
    frame = pd.DataFrame({"a": a, "b": b, "c": d % 4, "d": d, "x": 3.0 + rng.normal(size=n)})
    frame["f"] = np.array(["u", "v", "w"])[rng.integers(3, size=n)]
    frame["w"] = rng.uniform(0.3, 4.0, size=n)
    effect = 1.5 * rng.normal(size=12)[a] + rng.normal(size=9)[b] + 1.5 * rng.normal(size=4)[d % 4]
    effect += rng.normal(size=10)[d] + frame["x"] * 0.8 * rng.normal(size=12)[a]
    frame["y"] = 5.0 + effect + rng.normal(size=n) / np.sqrt(frame["w"])
    return frame


def fitted(name: str, data: pd.DataFrame, **arguments: Any) -> Any:
    weights = data["w"] if name == "weighted" else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        return lmer(MODELS[name], data, weights=weights, **arguments)


@pytest.fixture(params=[None, "blocks", pytest.param("sparse", marks=needs_cholmod)])
def engine(request: pytest.FixtureRequest) -> Iterator[None]:
    """Small models in one call, block by block, and with a sparse core."""
    if request.param is None:
        yield
        return
    with sparse_cores() if request.param == "sparse" else no_small_models():
        yield


@pytest.fixture
def new(data: pd.DataFrame) -> pd.DataFrame:
    """Rows with old and new pairs of old levels, and other values of x."""
    rng = np.random.default_rng(8)
    a, b = np.meshgrid(np.arange(0, 12, 2), np.arange(9))
    frame = pd.DataFrame({"a": a.ravel(), "b": b.ravel()})
    d = rng.integers(10, size=len(frame))
    frame = frame.assign(c=d % 4, d=d, x=4.0 * rng.normal(size=len(frame)), w=rng.uniform(0.5, 2.0, len(frame)))
    return frame.assign(f=np.array(["u", "v", "w"])[rng.integers(3, size=len(frame))])


def design(m: Any, new: pd.DataFrame, kept: Any = None) -> tuple[Float, Float]:
    columns = [m.frame.spec.bar_columns(new, term.bar) for term in m.terms]
    return m.frame.spec.fixed(new), rows_of_Z(m, codes_by_label(m, new), columns, kept)


@pytest.mark.parametrize("name", MODELS)
def test_rows_of_the_fit(name: str, data: pd.DataFrame, engine: None) -> None:
    m = fitted(name, data)
    X, Z = design(m, data)
    want = m.sigma * np.sqrt(Equations(m).variance(X, Z))
    got = m.predict(se=True)
    assert list(got.columns) == ["predicted", "std_error"]
    assert_allclose(got["predicted"], m.fitted, rtol=1e-12)
    assert_allclose(got["std_error"], want, rtol=1e-7)


@pytest.mark.parametrize("name", MODELS)
def test_new_rows_with_pairs_of_levels_that_the_fit_has_not_seen(
    name: str, data: pd.DataFrame, new: pd.DataFrame, engine: None
) -> None:
    m = fitted(name, data)
    got = m.predict(new, se=True)
    assert_allclose(got["std_error"], m.sigma * np.sqrt(Equations(m).variance(*design(m, new))), rtol=1e-7)
    assert_allclose(got["predicted"], m.predict(new), rtol=1e-14)


@pytest.mark.parametrize("name", ["crossed", "slopes", "weighted"])
def test_pairs_are_found_in_pieces(
    name: str, data: pd.DataFrame, new: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmmsparse.pls.level_pairs.CHUNK_NUMBERS", 70)
    test_new_rows_with_pairs_of_levels_that_the_fit_has_not_seen(name, data, new, None)


def test_levels_that_no_chain_of_rows_connects(engine: None) -> None:
    """Five islands, each with levels of its own of three crossed factors; new rows go from one to another."""
    rng = np.random.default_rng(4)
    n = 150
    island = np.arange(n) % 5
    frame = pd.DataFrame({name: 5 * rng.integers(k, size=n) + island for name, k in (("a", 6), ("b", 4), ("c", 3))})
    for name in "abc":
        frame["y"] = frame.get("y", 0.0) + rng.normal(size=30)[frame[name]]
    frame["y"] += rng.normal(size=n)
    m = lmer("y ~ 1 + (1 | a) + (1 | b) + (1 | c)", frame)
    for name in "abc":
        frame[name] = rng.permutation(frame[name])
    want = Equations(m).variance(*design(m, frame))
    assert_allclose(m.predict(frame, se=True)["std_error"], m.sigma * np.sqrt(want), rtol=1e-7)


PARTS = {
    "~(1|a)": ("crossed", {"a": [0]}),
    "~(x|a)": ("slopes", {"a": [0, 1]}),
    "~(1|b)": ("weighted", {"b": [0]}),
    "~(0 + x|a) + (1|b)": ("slopes", {"a": [1], "b": [0]}),
    "~(1|c)": ("nested", {"c": [0]}),
    "~(1|c) + (1|a)": ("independent slopes", {"a": [0], "c": [0]}),
}


def chosen(m: Any, groups: dict[str, list[int]]) -> list[list[int]]:
    """Columns by term; the models here have each named effect in one term."""
    return [groups.get(term.group, []) for term in m.terms]


@pytest.mark.parametrize("re_form", PARTS)
def test_some_of_the_random_effects(re_form: str, data: pd.DataFrame, new: pd.DataFrame) -> None:
    name, groups = PARTS[re_form]
    m = fitted(name, data)
    for rows, newdata in ((data, None), (new, new)):
        want = m.sigma * np.sqrt(Equations(m).variance(*design(m, rows, chosen(m, groups))))
        assert_allclose(m.predict(newdata, re_form=re_form, se=True)["std_error"], want, rtol=1e-7)


@pytest.mark.parametrize(("re_form", "kept"), [("~(1|a)", [0]), ("~(0 + x|a)", [1])])
def test_one_of_two_terms_of_a_factor(re_form: str, kept: list[int], data: pd.DataFrame, new: pd.DataFrame) -> None:
    m = fitted("twice", data)
    names = [("(Intercept)", "x")[j] for j in kept]
    columns = [[0] if term.group == "a" and list(term.names) == names else [] for term in m.terms]
    want = m.sigma * np.sqrt(Equations(m).variance(*design(m, new, columns)))
    assert_allclose(m.predict(new, re_form=re_form, se=True)["std_error"], want, rtol=1e-7)


@pytest.mark.parametrize("name", ["crossed", "weighted", "one factor", "without fixed effects"])
def test_no_random_effects(name: str, data: pd.DataFrame, new: pd.DataFrame) -> None:
    m = fitted(name, data)
    X = m.frame.spec.fixed(new)
    want = np.sqrt(np.einsum("ma,ab,mb->m", X, m.vcov().to_numpy(), X))
    assert_allclose(m.predict(new, re_form=0, se=True)["std_error"], want, rtol=1e-9, atol=1e-12)
    assert_allclose(m.predict(new, re_form=0, interval="confidence")["std_error"], want, rtol=1e-9, atol=1e-12)


def left_variance(m: Any, rows: pd.DataFrame, left: list[list[int]]) -> Float:
    """zᵀλλᵀz of effects that are drawn anew."""
    total = np.zeros(len(rows))
    for t, term in enumerate(m.terms):
        z = m.frame.spec.bar_columns(rows, term.bar) * np.isin(np.arange(len(term.names)), left[t])
        total += ((z @ m.estimates.templates[t]) ** 2).sum(axis=1)
    return total


@pytest.mark.parametrize("name", ["crossed", "slopes", "weighted", "twice", "independent slopes"])
def test_new_levels(name: str, data: pd.DataFrame, new: pd.DataFrame) -> None:
    m = fitted(name, data)
    mixed = new.assign(a=[99, *new["a"].iloc[1:]], b=[*new["b"].iloc[:-1], 77])
    codes = codes_by_label(m, mixed)
    want = Equations(m).variance(*design(m, mixed))
    for t, term in enumerate(m.terms):
        z = m.frame.spec.bar_columns(mixed, term.bar)
        want += (codes[t] < 0) * ((z @ m.estimates.templates[t]) ** 2).sum(axis=1)
    got = m.predict(mixed, allow_new_levels=True, se=True)
    assert_allclose(got["std_error"], m.sigma * np.sqrt(want), rtol=1e-7)
    assert got["predicted"].equals(m.predict(mixed, allow_new_levels=True))


# -- intervals -------------------------------------------------------------------------------------------------------


def total_variance(m: Any, rows: pd.DataFrame, kept: list[list[int]], weights: Float | None, theta: Float) -> Float:
    """v/σ² of an interval at θ, with prior weights that of a prediction interval."""
    equations = Equations(m, theta)
    total = equations.variance(*design(m, rows, kept))
    if weights is None:
        return total
    for t, term in enumerate(m.terms):
        left = [j for j in range(len(term.names)) if j not in kept[t]]
        z = m.frame.spec.bar_columns(rows, term.bar)[:, left]
        total = total + ((z @ equations.templates[t][left]) ** 2).sum(axis=1)
    return total + 1.0 / weights


def by_differences(m: Any, rows: pd.DataFrame, kept: list[list[int]], weights: Float | None) -> tuple[Float, Float]:
    """Variance over σ² and Satterthwaite's df, derivatives by central differences in the user's θ."""
    T = m.objective.theta_map
    count = len(m.theta)
    to_user = np.eye(count + 1)
    to_user[:count, :count] = np.linalg.inv(T)
    A = to_user @ m.uncertainty.covariance @ to_user.T
    v = total_variance(m, rows, kept, weights, m.theta)
    slopes = [2.0 * v]
    for i in reversed(range(count)):
        step = np.zeros(count)
        step[i] = 1e-4
        ends = [total_variance(m, rows, kept, weights, m.theta + sign * step) for sign in (1.0, -1.0)]
        slopes.insert(0, (ends[0] - ends[1]) / 2e-4)
    g = np.column_stack(slopes)
    return v, 2.0 * v**2 / np.einsum("mi,ij,mj->m", g, A, g)


FORMS: dict[str, tuple[Any, dict[str, list[int]] | None]] = {
    "all": (None, None),
    "none": (0, {}),
    "a": ("~(x|a)", {"a": [0, 1]}),
    "slopes": ("~(0 + x|a)", {"a": [1]}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("interval", ["confidence", "prediction"])
def test_degrees_of_freedom_and_limits(form: str, interval: str, data: pd.DataFrame, new: pd.DataFrame) -> None:
    from scipy.stats import t

    m = fitted("weighted", data)
    re_form, groups = FORMS[form]
    kept = [list(range(len(term.names))) for term in m.terms] if groups is None else chosen(m, groups)
    for rows, newdata in ((data, None), (new, new)):
        weights = rows["w"].to_numpy() if interval == "prediction" else None
        v, df = by_differences(m, rows, kept, weights)
        given = None if newdata is None else rows["w"]
        got = m.predict(newdata, re_form=re_form, interval=interval, level=0.9, weights=given)
        mean = total_variance(m, rows, kept, None, m.theta)
        assert list(got.columns) == ["predicted", "std_error", "df", "conf_low", "conf_high"]
        assert_allclose(got["std_error"], m.sigma * np.sqrt(mean), rtol=1e-7)
        assert_allclose(got["df"], df, rtol=2e-4)
        half = t.ppf(0.95, df) * m.sigma * np.sqrt(v)
        assert_allclose(got["conf_high"] - got["predicted"], half, rtol=1e-4)
        assert_allclose(got["predicted"] - got["conf_low"], half, rtol=1e-4)


# -- var(b̂ − b) --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_covariance_of_the_errors_of_the_modes(name: str, data: pd.DataFrame, engine: None) -> None:
    m = fitted(name, data)
    p = len(m.fixef)
    covariance = m.sigma**2 * Equations(m).covariance[p:, p:]
    starts = np.cumsum([0, *(term.n_levels * len(term.names) for term in m.terms)])
    for group, (frame, blocks) in m.ranef(pred_var=True).items():
        members = [t for t, term in enumerate(m.terms) if term.group == group]
        for level in range(len(frame)):
            sizes = [len(m.terms[t].names) for t in members]
            where = np.concatenate([starts[t] + level * k + np.arange(k) for t, k in zip(members, sizes, strict=True)])
            assert_allclose(blocks[level], covariance[np.ix_(where, where)], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("interval", ["confidence", "prediction"])
@pytest.mark.parametrize("pair", [("homcs(0 + f | g)", "(1 | g)"), ("cs(0 + f | g)", "us(0 + f | g)")])
def test_intervals_where_a_correlation_is_at_its_end(pair: tuple[str, str], interval: str) -> None:
    """The model without it has the same rows: nothing lies beyond the end, and the correlation counts as known."""
    rng = np.random.default_rng(1)
    g, f, x = np.arange(80) % 8, rng.integers(3, size=80), rng.normal(size=80)
    y = x + rng.normal(size=8)[g] + rng.normal(size=80)
    data = pd.DataFrame({"y": y, "x": x, "f": np.array(list("abc"))[f], "g": g})
    new = data.head(3).assign(g=[0, 1, 99])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        one, other = (lmer(f"y ~ f + x + {term}", data) for term in pair)
    assert one.theta[-1] == 1.0
    found, wanted = (m.predict(new, interval=interval, allow_new_levels=True) for m in (one, other))
    assert_allclose(found, wanted, rtol=1e-4)
