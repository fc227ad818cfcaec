"""Statistics of the user's own in a bootstrap: their names, and those that fail."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.errors import ArgumentError


def test_any_statistic(model: Any) -> None:
    boot = model.bootstrap(40, seed=3, statistic=lambda m: [m.sigma, m.fixef["Days"], m.criterion])
    assert boot.statistic_names == ("statistic[0]", "statistic[1]", "statistic[2]")
    assert_array_equal(boot.statistic, np.column_stack([boot.sigma, boot.beta[:, 1], boot.criterion]))
    plain = model.bootstrap(40, seed=3)
    assert_allclose(boot.replicates[:, :6], plain.replicates, rtol=1e-4, atol=1e-4)
    ends = boot.conf_int(method="bca")[["conf_low", "conf_high"]].to_numpy()
    assert_allclose(ends[6:8], ends[[3, 5]])


def test_names_of_statistics(model: Any) -> None:
    boot = model.bootstrap(3, seed=1, statistic=lambda m: m.fixef)
    assert boot.names[6:] == ("statistic.(Intercept)", "statistic.Days")
    boot = model.bootstrap(3, seed=1, statistic=lambda m: {"ratio": m.theta[0], "other": 1})
    assert boot.conf_int(parm=["ratio"]).index.tolist() == ["ratio"]
    assert boot.observed.tolist() == [model.theta[0], 1.0]
    assert model.bootstrap(3, seed=1, statistic=lambda m: m.sigma).names[6:] == ("statistic",)


class TurnsAround:
    """A statistic whose names come in another order each time."""

    def __init__(self, *orders: dict[str, float]) -> None:
        self.orders, self.calls = orders, 0

    def __call__(self, _: Any) -> dict[str, float]:
        self.calls += 1
        return self.orders[(self.calls - 1) % len(self.orders)]


def test_statistics_are_matched_by_name(model: Any) -> None:
    boot = model.bootstrap(4, seed=1, statistic=TurnsAround({"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0}))
    assert boot.statistic.tolist() == [[1.0, 2.0]] * 4
    with pytest.raises(ArgumentError, match="has the names a, c on replicate 0, but a, b"):
        model.bootstrap(4, seed=1, statistic=TurnsAround({"a": 1.0, "b": 2.0}, {"a": 1.0, "c": 2.0}))


@pytest.mark.parametrize("nothing", [None, {}, []])
def test_a_statistic_without_a_value_is_refused(nothing: Any, model: Any) -> None:
    with pytest.raises(ArgumentError, match="returned nothing on the fitted model"):
        model.bootstrap(4, seed=1, statistic=lambda _: nothing)


class FailsLater:
    """A statistic that fails on a number of fits."""

    def __init__(self, good: int, result: Any) -> None:
        self.left, self.result = good, result

    def __call__(self, m: Any) -> Any:
        self.left -= 1
        if self.left >= 0:
            return 1.0
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.mark.parametrize(
    ("statistic", "message"),
    [
        (FailsLater(0, KeyError("Dose")), "statistic failed on the fitted model: KeyError: 'Dose'"),
        (FailsLater(4, KeyError("Dose")), "statistic failed on replicate 3: KeyError: 'Dose'"),
        (FailsLater(0, "text"), r"statistic must return numbers, got 'text' on the fitted model"),
        (FailsLater(3, [1.0, 2.0]), "2 values on replicate 2, but 1 on the fitted model"),
        (7.0, "statistic must be a function"),
    ],
)
def test_statistics_that_fail(statistic: Any, message: str, model: Any) -> None:
    with pytest.raises(ArgumentError, match=message):
        model.bootstrap(10, seed=1, statistic=statistic)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not fork")
def test_statistics_that_fail_in_another_process(model: Any) -> None:
    with pytest.raises(ArgumentError, match="statistic failed on replicate 0: ZeroDivisionError"):
        model.bootstrap(60, seed=1, statistic=lambda m: 1.0 if m is model else 1 / 0, workers=2, start_method="fork")
