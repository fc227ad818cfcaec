"""Generated designs: crossed, nested, partly crossed, and slopes; the same numbers at every call.

Every function takes the sizes and a seed, and returns the columns ``y``, ``x`` and the grouping factors as integers.
Every level occurs. Variances are of the size that people meet: the groups hold a fifth to a half of the variance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Codes = NDArray[np.int32]
Columns = dict[str, NDArray[np.generic]]

INTERCEPT, SLOPE = 2.0, 0.5


def crossed(n: int, first: int, second: int, *, zipf: bool = False, seed: int = 1) -> Columns:
    """Two crossed factors, users ``g`` and items ``h``; with `zipf` the k-th item is taken in proportion to 1/k."""
    rng = np.random.default_rng(seed)
    g = _codes(rng, n, first)
    h = _codes(rng, n, second, 1.0 / np.arange(1, second + 1) if zipf else None)
    x = rng.standard_normal(n)
    y = _fixed(x) + _effect(rng, g, first, 0.6) + _effect(rng, h, second, 0.4) + 1.0 * rng.standard_normal(n)
    return {"y": y, "x": x, "g": g, "h": h}


def slopes(n: int, groups: int, *, seed: int = 2) -> Columns:
    """One factor ``g`` with an intercept and a slope on x that are correlated 0.3; about n/groups rows each."""
    rng = np.random.default_rng(seed)
    g = _codes(rng, n, groups)
    x = rng.standard_normal(n)
    effects = rng.standard_normal((groups, 2)) @ np.linalg.cholesky([[1.0, 0.15], [0.15, 0.25]]).T
    y = _fixed(x) + effects[g, 0] + effects[g, 1] * x + 1.5 * rng.standard_normal(n)
    return {"y": y, "x": x, "g": g}


def nested(n: int, outer: int, middle: int, inner: int, *, seed: int = 3) -> Columns:
    """Classes ``c`` within schools ``b`` within districts ``a``, all with numbers that are unique over the data."""
    rng = np.random.default_rng(seed)
    c = _codes(rng, n, inner)
    b = _codes(rng, inner, middle)[c]
    a = _codes(rng, middle, outer)[b]
    x = rng.standard_normal(n)
    y = _fixed(x) + _effect(rng, a, outer, 0.3) + _effect(rng, b, middle, 0.4) + _effect(rng, c, inner, 0.5)
    return {"y": y + rng.standard_normal(n), "x": x, "a": a, "b": b, "c": c}


def partly_crossed(
    students: int, teachers: int, schools: int, years: int, *, moving: float = 0.03, seed: int = 4
) -> Columns:
    """Students and teachers over several years.

    A student has a teacher of the school and the year at random. At the end of a year a share of the students moves
    to a school next to theirs, so that the teachers of schools far apart have few students in common.
    """
    rng = np.random.default_rng(seed)
    per_year = teachers // (schools * years)  # teachers of one school and one year
    school = rng.permutation(np.arange(students) % schools)
    chosen = []
    for year in range(years):
        within = rng.permutation(students) % per_year
        chosen.append((school * years + year) * per_year + within)
        step = np.where(rng.random(students) < moving, rng.choice([-1, 1], students), 0)
        school = (school + step) % schools
    student = np.tile(np.arange(students, dtype=np.int32), years)
    teacher = rng.permutation(schools * years * per_year).astype(np.int32)[np.concatenate(chosen)]
    x = rng.standard_normal(students * years)
    y = _fixed(x) + _effect(rng, student, students, 0.8) + _effect(rng, teacher, teachers, 0.3)
    return {"y": y + 0.6 * rng.standard_normal(len(x)), "x": x, "student": student, "teacher": teacher}


def sleep_responses(days: Float, subject: Codes, count: int, *, seed: int = 1) -> Float:
    """Responses (n, count) of the sleepstudy model at the estimates that lme4 gives for the true data."""
    rng = np.random.default_rng(seed)
    covariance = np.array([[612.1, 9.6], [9.6, 35.07]])
    effects = rng.standard_normal((count, subject.max() + 1, 2)) @ np.linalg.cholesky(covariance).T
    mean = 251.405 + 10.467 * days
    noise = 25.592 * rng.standard_normal((count, len(days)))
    return np.asarray(mean + effects[:, subject, 0] + effects[:, subject, 1] * days + noise).T


def _fixed(x: Float) -> Float:
    return INTERCEPT + SLOPE * x


def _effect(rng: np.random.Generator, codes: Codes, levels: int, deviation: float) -> Float:
    return (deviation * rng.standard_normal(levels))[codes]


def _codes(rng: np.random.Generator, n: int, levels: int, popularity: Float | None = None) -> Codes:
    """Levels of n rows: each occurs, and popular ones are scattered over the numbers."""
    if popularity is None:
        codes = rng.integers(0, levels, n, dtype=np.int32)
    else:
        shares = np.cumsum(popularity / popularity.sum())
        codes = np.minimum(np.searchsorted(shares, rng.random(n)), levels - 1).astype(np.int32)
    codes[rng.choice(n, levels, replace=False)] = np.arange(levels, dtype=np.int32)
    return rng.permutation(levels).astype(np.int32)[codes]
