"""What all tests share: datasets, lme4's answers, and fits that are made once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from lmmsparse.datasets import load_dataset
from lmmsparse.errors import LmmWarning
from tests.answers import REFERENCES, answers

# The same examples at every run, however slow the machine is.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


def _as_plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as a CSV file gives it: factors with numeric labels become numbers, the others strings.

    Fits to strings have their levels in sorted order, as those of lme4.json have.
    """
    plain = {}
    for name, column in frame.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            numeric = all(label.isdigit() for label in column.cat.categories)
            column = column.astype(str).astype(np.int64 if numeric else str)
        plain[name] = column
    return pd.DataFrame(plain)


def _cache_key(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.tobytes()
    if isinstance(value, (pd.Series, pd.DataFrame)):  # their repr leaves rows out
        raise TypeError("fit() caches by value: pass arrays, or call lmer itself")
    return repr(value)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument `lme4_record` runs once for each record of lme4.json."""
    if "lme4_record" in metafunc.fixturenames:
        records = answers("lme4.json")
        metafunc.parametrize("lme4_record", records, ids=[record["id"] for record in records])


@pytest.fixture(scope="session")
def lme4() -> dict[str, dict[str, Any]]:
    """Records of lme4.json by id. They belong to frames made by `plain`."""
    return {record["id"]: record for record in answers("lme4.json")}


@pytest.fixture(scope="session")
def edge_cases() -> dict[str, Any]:
    """edge_cases.json; its `fits` are a dict by id."""
    content = dict(answers("edge_cases.json"))
    content["fits"] = {record["id"]: record for record in content["fits"]}
    return content


@pytest.fixture(scope="session")
def summary_text() -> Callable[[str], str]:
    """`summary_text(name)`: what lme4 prints, from references/summary."""
    return lambda name: (REFERENCES / "summary" / f"{name}.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def dataset() -> Callable[[str], pd.DataFrame]:
    """`dataset(name)`: a packaged dataset, a new frame at each call."""
    return load_dataset


@pytest.fixture
def sleep() -> pd.DataFrame:
    """sleepstudy, a new frame for each test."""
    return load_dataset("sleepstudy")


@pytest.fixture(scope="session")
def plain() -> Callable[[str], pd.DataFrame]:
    """`plain(name)`: a packaged dataset as a CSV file gives it, without factors."""
    return lambda name: _as_plain(load_dataset(name))


@pytest.fixture(scope="session")
def fit() -> Callable[..., Any]:
    """`fit(formula, dataset, plain=False, **arguments of lmer)`: a fit, made once in the session.

    Its warnings are silenced, since only the first caller would see them: test warnings with `lmer` itself.
    """
    from lmmsparse import lmer

    fits: dict[Any, Any] = {}

    def cached_fit(formula: str, dataset: str, plain: bool = False, **arguments: Any) -> Any:
        key = (formula, dataset, plain, *sorted((name, _cache_key(arguments[name])) for name in arguments))
        if key not in fits:
            frame = load_dataset(dataset)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LmmWarning)
                fits[key] = lmer(formula, _as_plain(frame) if plain else frame, **arguments)
        return fits[key]

    return cached_fit


@pytest.fixture(scope="session")
def fit_record(fit: Callable[..., Any]) -> Callable[[dict[str, Any]], Any]:
    """`fit_record(record)`: our fit of a record of lme4.json."""
    days = load_dataset("sleepstudy")["Days"].to_numpy(float)
    vectors = {"rep(1:5,36)": np.tile(np.arange(1.0, 6.0), 36), "3*Days": 3.0 * days}

    def fit_as_recorded(record: dict[str, Any]) -> Any:
        given = {name: vectors[record[name]] for name in ("weights", "offset") if record.get(name)}
        return fit(record["formula"], record["data"], plain=True, REML=record["REML"], **given)

    return fit_as_recorded
