"""The models that are measured: their terms, and where their data come from.

This file is read by every program's process, so it needs nothing but the standard library and NumPy. The packaged data
sets are loaded by `benchmarks.data`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks import designs


@dataclass(frozen=True)
class Bar:
    """One random term: an intercept, and a slope or none, for the levels of a factor.

    Attributes
    ----------
    group : str
        Name of a column, or of two with a colon between.
    slope : str or None
    correlated : bool
        Of intercept and slope.
    """

    group: str
    slope: str | None = None
    correlated: bool = True

    def __str__(self) -> str:
        bar = "|" if self.correlated else "||"
        return f"({self.slope or 1}{bar}{self.group})"

    @property
    def factors(self) -> tuple[str, ...]:
        """Columns that make the grouping factor."""
        return tuple(self.group.split(":"))


@dataclass(frozen=True)
class Model:
    """A model to measure.

    Attributes
    ----------
    name : str
    response : str
    fixed : tuple of str
        Columns that enter as they are.
    bars : tuple of Bar
    dataset : str or None
        A packaged data set ...
    design : callable or None
        ... or a function that generates the columns.
    repeats : int
        Fits in one process, after a first one, if there is time.
    refits : int
        Not 0: this many new responses are fitted to the same design, and that is what is timed.
    threads : int or None
        Of every program; None for what the run says. Small fits get one: more threads only wait for each other.
    """

    name: str
    response: str
    fixed: tuple[str, ...]
    bars: tuple[Bar, ...]
    dataset: str | None = None
    design: Callable[[], designs.Columns] | None = None
    repeats: int = 5
    refits: int = 0
    threads: int | None = None

    @property
    def formula(self) -> str:
        """The formula as lme4 writes it."""
        return f"{self.response} ~ {' + '.join([*(self.fixed or ('1',)), *map(str, self.bars)])}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the formula names, each once."""
        slopes = [bar.slope for bar in self.bars if bar.slope]
        return tuple(
            dict.fromkeys([self.response, *self.fixed, *slopes, *(name for bar in self.bars for name in bar.factors)])
        )


CROSSED = (Bar("g"), Bar("h"))

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model("Dyestuff", "Yield", (), (Bar("Batch"),), dataset="Dyestuff", repeats=50, threads=1),
        Model("Penicillin", "diameter", (), (Bar("plate"), Bar("sample")), dataset="Penicillin", repeats=50, threads=1),
        Model("Pastes", "strength", (), (Bar("sample"), Bar("batch")), dataset="Pastes", repeats=50, threads=1),
        Model(
            "sleepstudy", "Reaction", ("Days",), (Bar("Subject", "Days"),), dataset="sleepstudy", repeats=50, threads=1
        ),
        Model(
            "sleepstudy-diagonal",
            "Reaction",
            ("Days",),
            (Bar("Subject", "Days", correlated=False),),
            dataset="sleepstudy",
            repeats=50,
            threads=1,
        ),
        Model(
            "sleepstudy-refits",
            "Reaction",
            ("Days",),
            (Bar("Subject", "Days"),),
            dataset="sleepstudy",
            repeats=3,
            refits=1000,
            threads=1,
        ),
        Model("cake", "angle", ("recipe", "temp"), (Bar("recipe:replicate"),), dataset="cake", repeats=50, threads=1),
        Model(
            "ScotsSec", "attain", ("sex",), (Bar("primary"), Bar("second")), dataset="ScotsSec", repeats=20, threads=1
        ),
        Model("Chem97", "score", ("gcsecnt",), (Bar("school"), Bar("lea")), dataset="Chem97", repeats=10, threads=1),
        Model("InstEval", "y", ("service",), (Bar("s"), Bar("d"), Bar("dept")), dataset="InstEval"),
        Model("InstEval-interaction", "y", (), (Bar("s"), Bar("d"), Bar("dept:service")), dataset="InstEval"),
        Model("crossed-100k", "y", ("x",), CROSSED, design=partial(designs.crossed, 100_000, 5_000, 500)),
        Model("slopes-1M", "y", ("x",), (Bar("g", "x"),), design=partial(designs.slopes, 1_000_000, 50_000)),
        Model(
            "nested-1M",
            "y",
            ("x",),
            (Bar("c"), Bar("b"), Bar("a")),
            design=partial(designs.nested, 1_000_000, 200, 5_000, 100_000),
        ),
        Model("crossed-1M", "y", ("x",), CROSSED, design=partial(designs.crossed, 1_000_000, 6_000, 3_700, zipf=True)),
        Model(
            "partly-crossed-1M",
            "y",
            ("x",),
            (Bar("student"), Bar("teacher")),
            design=partial(designs.partly_crossed, 200_000, 20_000, 500, 5),
        ),
        Model(
            "crossed-10M",
            "y",
            ("x",),
            CROSSED,
            design=partial(designs.crossed, 10_000_000, 70_000, 10_000, zipf=True),
            repeats=1,
        ),
    )
}
