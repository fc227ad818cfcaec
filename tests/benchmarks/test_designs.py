import inspect

import numpy as np
import pytest

from benchmarks import designs
from benchmarks.data import load, sizes
from benchmarks.models import MODELS, Bar, Model
from lmmsparse import lmer

SMALL = {
    "crossed": lambda: designs.crossed(3000, 80, 30),
    "zipf": lambda: designs.crossed(3000, 80, 30, zipf=True),
    "slopes": lambda: designs.slopes(3000, 150),
    "nested": lambda: designs.nested(3000, 4, 20, 150),
    "partly crossed": lambda: designs.partly_crossed(800, 80, 10, 4),
}
LEVELS = {
    "crossed": {"g": 80, "h": 30},
    "zipf": {"g": 80, "h": 30},
    "slopes": {"g": 150},
    "nested": {"a": 4, "b": 20, "c": 150},
    "partly crossed": {"student": 800, "teacher": 80},
}


@pytest.mark.parametrize("name", SMALL)
def test_same_numbers_at_every_call(name):
    first, second = SMALL[name](), SMALL[name]()
    assert all(np.array_equal(first[column], second[column]) for column in first)


@pytest.mark.parametrize("name", SMALL)
def test_every_level_occurs_and_all_columns_have_all_rows(name):
    columns = SMALL[name]()
    rows = 3200 if name == "partly crossed" else 3000
    assert {len(column) for column in columns.values()} == {rows}
    for factor, levels in LEVELS[name].items():
        assert np.array_equal(np.unique(columns[factor]), np.arange(levels))
        assert columns[factor].dtype == np.int32


def test_zipf_items_are_popular_in_proportion_to_one_over_rank():
    counts = np.sort(np.bincount(designs.crossed(200_000, 50, 20, zipf=True)["h"]))[::-1]
    expected = 1 / np.arange(1, 21)
    assert counts / counts.sum() == pytest.approx(expected / expected.sum(), rel=0.05)


def test_popularity_does_not_follow_the_numbers():
    counts = np.bincount(designs.crossed(20_000, 50, 20, zipf=True)["h"])
    assert not np.array_equal(np.argsort(-counts), np.arange(20))


def test_nested_levels_have_one_parent():
    columns = SMALL["nested"]()
    for inner, outer in (("c", "b"), ("b", "a")):
        pairs = np.unique(np.column_stack([columns[inner], columns[outer]]), axis=0)
        assert len(pairs) == len(np.unique(columns[inner]))


def test_students_stay_near_their_school():
    columns = designs.partly_crossed(2000, 200, 25, 4, moving=0.0)
    together = len(np.unique(columns["student"].astype(np.int64) * 200 + columns["teacher"]))
    assert together == 8000  # another teacher every year
    shared = np.zeros((200, 200), dtype=bool)
    for student in range(2000):
        teachers = columns["teacher"][columns["student"] == student]
        shared[np.ix_(teachers, teachers)] = True
    assert shared.sum(axis=1).max() == 7  # oneself, and both teachers of the school in each other year


def test_moving_students_join_schools():
    apart = len(_pairs(designs.partly_crossed(2000, 200, 25, 4, moving=0.0)))
    assert len(_pairs(designs.partly_crossed(2000, 200, 25, 4, moving=0.1))) > apart


def _pairs(columns):
    order = np.argsort(columns["student"], kind="stable").reshape(-1, 4)
    teachers = np.sort(columns["teacher"][order], axis=1)
    return {(a, b) for row in teachers for i, a in enumerate(row) for b in row[i + 1 :]}


def test_variances_come_back():
    columns = designs.slopes(20_000, 1000)
    fitted = lmer("y ~ x + (x|g)", columns)
    assert fitted.sigma == pytest.approx(1.5, rel=0.03)
    assert fitted.fixef.to_numpy() == pytest.approx([2.0, 0.5], abs=0.1)
    deviations = fitted.theta[[0, 2]] * fitted.sigma
    assert deviations == pytest.approx([1.0, 0.5 * np.sqrt(1 - 0.3**2)], rel=0.1)


def test_stated_sizes_of_the_models():
    for name, arguments in {
        "crossed-100k": (100_000, 5_000, 500),
        "slopes-1M": (1_000_000, 50_000),
        "nested-1M": (1_000_000, 200, 5_000, 100_000),
        "crossed-1M": (1_000_000, 6_000, 3_700),
        "partly-crossed-1M": (200_000, 20_000, 500, 5),
        "crossed-10M": (10_000_000, 70_000, 10_000),
    }.items():
        design = MODELS[name].design
        assert design.args == arguments
        inspect.signature(design.func).bind(*design.args, **design.keywords)


def test_formulas():
    assert MODELS["InstEval"].formula == "y ~ service + (1|s) + (1|d) + (1|dept)"
    assert MODELS["InstEval-interaction"].formula == "y ~ 1 + (1|s) + (1|d) + (1|dept:service)"
    assert MODELS["sleepstudy-diagonal"].formula == "Reaction ~ Days + (Days||Subject)"
    assert MODELS["InstEval-interaction"].columns == ("y", "s", "d", "dept", "service")


def test_sizes_count_combinations_and_slopes():
    model = Model("m", "y", (), (Bar("a:b"), Bar("a", "x")))
    columns = {"y": np.zeros(4), "x": np.zeros(4), "a": np.array([0, 0, 1, 1]), "b": np.array([0, 1, 0, 0])}
    assert sizes(model, columns) == (4, 3 + 2 * 2)


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.dataset])
def test_data_sets_have_the_columns_of_their_formula(name):
    assert tuple(load(MODELS[name])) == MODELS[name].columns
