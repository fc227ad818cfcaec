"""What the library promises of its speed: ratios to other programs, seconds, memory, evaluations, criteria."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers import LIBRARY
from benchmarks.records import Record, Results
from benchmarks.report import megabytes, seconds_text

# Programs that find the exact optimum of lme4's criterion and count its constants as lme4 does.
REFERENCES = ("lme4", "glmm", "mixedlm", LIBRARY)
# A criterion may be above the best one by this, times |criterion|/1e4 where that is above 1.
CRITERION_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Verdict:
    """What came of a bound.

    Attributes
    ----------
    work, bound, figure : str
        What is measured, what is promised, what came out.
    holds : bool or None
        None when it was not measured.
    """

    work: str
    bound: str
    figure: str
    holds: bool | None


class Bound(ABC):
    """A promise that results keep or break."""

    @abstractmethod
    def verdict(self, results: Results) -> Verdict:
        """Whether these results keep it."""


@dataclass(frozen=True)
class Faster(Bound):
    """At least `ratio` times as fast as a peer; a ratio below 1 allows to be slower.

    A peer that was stopped at its time limit took at least that long, which can be enough.
    """

    model: str
    peer: str
    ratio: float

    def verdict(self, results: Results) -> Verdict:
        bound = f"at least {self.ratio:g} times as fast as {self.peer}"
        if self.ratio == 1:
            bound = f"not slower than {self.peer}"
        elif self.ratio < 1:
            bound = f"at most {1 / self.ratio:g} times the seconds of {self.peer}"
        ours, theirs = _seconds(results.ok(self.model, LIBRARY)), results.records.get((self.model, self.peer))
        if ours is None or theirs is None:
            return Verdict(self.model, bound, "not measured", None)
        if theirs.status == "timeout":
            least = theirs.limit / ours
            figure = f"more than {least:.3g} ({self.peer} was stopped)"
            return Verdict(self.model, bound, figure, True if least >= self.ratio else None)
        seconds = _seconds(theirs)
        if seconds is None:
            return Verdict(self.model, bound, f"{self.peer}: {theirs.status}", None)
        figure = f"{seconds_text(seconds)} / {seconds_text(ours)} = {seconds / ours:.3g}"
        return Verdict(self.model, bound, figure, seconds / ours >= self.ratio)


@dataclass(frozen=True)
class Seconds(Bound):
    """At most so many seconds."""

    model: str
    limit: float

    def verdict(self, results: Results) -> Verdict:
        seconds = _seconds(results.ok(self.model, LIBRARY))
        bound = f"at most {seconds_text(self.limit)}"
        if seconds is None:
            return Verdict(self.model, bound, "not measured", None)
        return Verdict(self.model, bound, seconds_text(seconds), seconds <= self.limit)


@dataclass(frozen=True)
class Memory(Bound):
    """At most so many bytes above the loaded data."""

    model: str
    limit: float

    def verdict(self, results: Results) -> Verdict:
        ours = results.ok(self.model, LIBRARY)
        bound = f"at most {megabytes(self.limit)} above the data"
        if ours is None or ours.bytes is None:
            return Verdict(self.model, bound, "not measured", None)
        return Verdict(self.model, bound, megabytes(ours.bytes), ours.bytes <= self.limit)


@dataclass(frozen=True)
class Evaluations(Bound):
    """So many evaluations at most, on every model and in the median."""

    most: int
    middle: int

    def verdict(self, results: Results) -> Verdict:
        counts = {one.model: one.evaluations for one in _ours(results) if one.evaluations is not None}
        bound = f"at most {self.most}, median at most {self.middle}"
        if not counts:
            return Verdict("evaluations", bound, "not measured", None)
        worst = max(counts, key=lambda model: counts[model])
        figure = f"most {counts[worst]} ({worst}), median {median(counts.values()):g} of {len(counts)} models"
        holds = counts[worst] <= self.most and median(counts.values()) <= self.middle
        return Verdict("evaluations", bound, figure, holds)


@dataclass(frozen=True)
class Criterion(Bound):
    """Never above the best criterion that any exact program finds."""

    def verdict(self, results: Results) -> Verdict:
        bound = f"never above the best by {CRITERION_TOLERANCE:g} max(1, |d|/10⁴)"
        excesses = {}
        for one in _ours(results):
            others = [results.ok(one.model, peer) for peer in REFERENCES if peer != LIBRARY]
            known = [other.criterion for other in others if other and other.criterion and other.kind == one.kind]
            if known and one.criterion is not None and one.evaluations is not None:  # not the mean of refits
                best = min(known)
                excesses[one.model] = (one.criterion - best) / max(1.0, abs(best) / 1e4)
        if not excesses:
            return Verdict("criterion", bound, "not measured", None)
        worst = max(excesses, key=lambda model: excesses[model])
        figure = f"largest difference {excesses[worst]:.1e} ({worst}) on {len(excesses)} models"
        return Verdict("criterion", bound, figure, excesses[worst] <= CRITERION_TOLERANCE)


BOUNDS: tuple[Bound, ...] = (
    Faster("InstEval", "lme4", 15),
    Faster("InstEval", "glmm", 3),
    Memory("InstEval", 400e6),
    Faster("crossed-100k", "lme4", 10),
    Faster("slopes-1M", "lme4", 60),
    Faster("slopes-1M", "glmm", 0.5),
    Faster("nested-1M", "lme4", 60),
    Faster("nested-1M", "mixedlm", 1),
    Faster("crossed-1M", "lme4", 14),
    Faster("crossed-1M", "glmm", 7),
    Memory("crossed-1M", 400e6),
    Seconds("crossed-10M", 180),
    Memory("crossed-10M", 24e9),
    Seconds("sleepstudy-refits", 0.2),
    Seconds("sleepstudy", 0.004),
    Evaluations(12, 8),
    Criterion(),
)


def verdicts(results: Results, bounds: Sequence[Bound] = BOUNDS) -> list[Verdict]:
    """All bounds in turn."""
    return [bound.verdict(results) for bound in bounds]


def verdict_text(verdict: Verdict) -> str:
    """A verdict on one line."""
    word = {True: "holds", False: "BROKEN", None: "?"}[verdict.holds]
    return f"{word:<7} {verdict.work:<18} {verdict.bound:<50} {verdict.figure}"


def _ours(results: Results) -> list[Record]:
    return [one for one in results.records.values() if one.peer == LIBRARY and one.status == "ok"]


def _seconds(one: Record | None) -> float | None:
    return None if one is None else one.median_seconds
