"""Whatever is given for an argument of anything public: a result, or an error of the library.

The tests try a share of all combinations; ``python -m tests.acceptance.test_every_argument`` tries them all, which
takes minutes, and shows where other errors come from.
"""

from __future__ import annotations

import contextlib
import io
import sys
import traceback
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from lmmsparse.errors import LmmError
from tests.acceptance import hostile
from tests.acceptance.callables import Material, N, Public, material, public

# Combinations that the tests try of each argument, of some two hundred.
TRIED = 40
# The function is the caller's: what it raises goes through, as it must to end a search.
OTHERS_OWN = {("fit", "watch", "hostile function"), ("fit", "watch", "class")}
# The default, and no quick one.
SLOW = {("LinearMixedModel.conf_int", "nsim", "NoneType 0")}


@pytest.fixture(scope="module")
def everything() -> list[Public]:
    return public(material())


def places(functions: list[Public]) -> Iterator[tuple[Public, str]]:
    """Every argument of every callable."""
    for function in functions:
        for argument in function.arguments():
            yield function, argument


def found_wrong(function: Public, argument: str, value: str) -> str | None:
    """What a call with a hostile value does that it should not do; None where all is well."""
    if (function.name, argument, value) in OTHERS_OWN | SLOW:
        return None
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            repr(function.with_argument(argument, VALUES[value]()))
    except LmmError as error:
        return None if str(error) else "an error without a message"
    except Exception as error:
        last = [frame for frame in traceback.extract_tb(error.__traceback__) if "/lmmsparse/" in frame.filename]
        where = f"{last[-1].filename.split('/lmmsparse/')[-1]}:{last[-1].lineno}" if last else "outside the library"
        return f"{type(error).__name__} at {where}"
    return None


def all_found(functions: list[Public], tried: int | None) -> dict[str, str]:
    """What is wrong by function, argument and value, of so many values of each argument; None for all."""
    rng, names, out = np.random.default_rng(20), list(VALUES), {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for function, argument in places(functions):
            for value in names if tried is None else rng.choice(names, tried, replace=False).tolist():
                wrong = found_wrong(function, argument, value)
                if wrong is not None:
                    out[f"{function.name}({argument}={value})"] = wrong
    return out


VALUES = hostile.values(N)


def test_only_errors_of_the_library_come_out(everything: list[Public]) -> None:
    assert all_found(everything, TRIED) == {}


def test_what_is_public_is_tried(everything: list[Public]) -> None:
    found = {(function.name, argument) for function, argument in places(everything)}
    for expected in (
        ("lmer", "contrasts"),
        ("anova", "*"),
        ("Control", "memory_limit"),
        ("LinearMixedModel.update", "weights"),
        ("LinearMixedModel.bootstrap", "start_method"),
        ("Bootstrap.conf_int", "parm"),
        ("Profile.__getitem__", "name"),
        ("Objective.__call__", "theta"),
        ("make_objective", "X"),
        ("load_dataset", "library"),
    ):
        assert expected in found
    assert len(found) > 120


def test_the_arguments_that_are_there_work(everything: list[Public]) -> None:
    """Otherwise the call would be refused for another reason than its hostile value."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for function in everything:
            if function.name != "LinearMixedModel.profile":
                function()


def test_no_number_is_taken_for_what_it_is_not() -> None:
    """Values that look right to a careless check, each refused or understood."""
    at: Material = material()
    m, data = at.model, at.data
    for call in (
        lambda: m.refit(data["y"].astype(str)),
        lambda: m.refit(data["y"].round().astype("category")),
        lambda: m.refit(np.arange(N).astype("datetime64[D]")),
        lambda: m.predict(data, offset=[str(i) for i in range(N)]),
        lambda: m.predict(data, offset=np.full(N, np.inf)),
        lambda: m.predict(data, weights=np.ma.masked_all(N)),
        lambda: m.contest(["0", "1", "0", "0"]),
        lambda: m.contest(np.array([0, 1, 0, 0]) * (1 + 0j)),
        lambda: m.contest(np.ma.array([0.0, 1.0, 0.0, 0.0], mask=[0, 1, 0, 0])),
        lambda: m.contest(data[["x", "x"]].iloc[:1]),
        lambda: m.objective(["1", "0", "1"]),
        lambda: m.conf_int(np.complex128(0.95)),
        lambda: m.tidy(level=True),
        lambda: m.simulate(np.timedelta64(3, "D")),
        lambda: m.simulate(seed=True),
        lambda: m.simulate(seed=2.0),
        lambda: m.is_singular(tol=np.nan),
        lambda: m.is_singular(tol=-1),
        lambda: m.is_singular(tol=True),
        lambda: m.anova(type=True),
        lambda: m.anova(type=3.0),
        lambda: m.profile("x", points=2.0),
        lambda: m.ranova(nsim=True),
    ):
        with pytest.raises(LmmError):
            call()


if __name__ == "__main__":
    wrong = all_found(public(material()), None)
    print("\n".join(f"{call}: {error}" for call, error in wrong.items()) or "only errors of the library")
    sys.exit(bool(wrong))
