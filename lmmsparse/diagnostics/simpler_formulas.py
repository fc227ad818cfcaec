"""Formulas with fewer parameters and the same likelihood, found by refitting."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.diagnostics.simpler_bars import BarVariant, shiftable, shifted, simpler_bars, whole_bar, written
from lmmsparse.errors import LmmError
from lmmsparse.fitted.model import FittedModel
from lmmsparse.inference.hypotheses.reduced import refitted_criterion

Float = NDArray[np.float64]

# Two fits have the same likelihood when their criteria differ by less: a likelihood ratio has a unit of its own, and
# criteria are exact to far less than this.
SAME = 1e-4
# ... and by less where they are the same in theory, so that only rounding of the constant tells them apart.
ROUNDING = 1e-6
# Digits of the constant in I(x + c) that are tried in turn.
DIGITS = (4, 6, 9, 12, 17)

State = tuple[BarVariant | None, ...]


@dataclass(frozen=True)
class Alternative:
    """Another formula for the same rows.

    Attributes
    ----------
    formula : str
    criterion : float
        REML criterion or −2 log-likelihood of its fit.
    rise : float
        By how much that is above the criterion of the model.
    saved : int
        How many parameters it has less.
    """

    formula: str
    criterion: float
    rise: float
    saved: int


@dataclass(frozen=True)
class Alternatives:
    """What was found; None where there is nothing.

    Attributes
    ----------
    simpler : Alternative or None
        The formula with the fewest parameters that has the same likelihood.
    closest : Alternative or None
        Where that is still singular, or there is none: the next step, which costs least of all.
    shifted : Alternative or None
        A formula of the same likelihood with another origin of a slope variable.
    """

    simpler: Alternative | None
    closest: Alternative | None
    shifted: Alternative | None


class FormulaSearch:
    """The search for simpler formulas: reductions of the singular terms of a model, each of them refitted.

    Parameters
    ----------
    model : FittedModel
    ranks : sequence of int
        Directions with a variance of every term.
    """

    def __init__(self, model: FittedModel, ranks: Sequence[int]) -> None:
        self.model, self.ranks = model, tuple(ranks)

    def run(self) -> Alternatives:
        """Take away what costs nothing until nothing more can go."""
        bars, designs = self.model.frame.formula.bars, self.model.frame.spec.bar_designs
        start: State = tuple(whole_bar(term, bars[term.bar], designs[term.bar]) for term in self.model.terms)
        state, value, closest = start, self.model.criterion, None
        while self._deficient(state):
            tried = [(self._criterion(candidate), candidate) for candidate in self._steps(state)]
            free = [(c, s) for c, s in tried if c <= self.model.criterion + SAME]
            if not free:
                finite = [(c, s) for c, s in tried if np.isfinite(c)]
                closest = min(finite, key=lambda pair: pair[0], default=None)
                break
            value, state = min(free, key=lambda pair: (_parameters(pair[1]), pair[0]))
        simpler = None if state is start else self._alternative(value, state)
        shift = self._shifted(state)
        return Alternatives(
            simpler,
            None if closest is None else self._alternative(*closest),
            None if shift is None else self._alternative(*shift),
        )

    def _deficient(self, state: State) -> list[int]:
        """Terms that still have more columns than directions with a variance."""
        return [t for t, one in enumerate(state) if one is not None and one.size > self.ranks[t]]

    def _steps(self, state: State) -> list[State]:
        out = []
        for t in self._deficient(state):
            one = state[t]
            assert one is not None
            # a term with a variance is better off with less of it than without all of it
            choices: list[BarVariant | None] = [*simpler_bars(one)] if self.ranks[t] else [None]
            out += [_with(state, t, choice) for choice in choices or [None]]
        return out

    def _shifted(self, state: State) -> tuple[float, State] | None:
        """Intercepts and slopes that are one number times (a, b) are slopes of x + a/b."""
        found = None
        for t in self._deficient(state):
            one = state[t]
            assert one is not None
            x = shiftable(one) if self.ranks[t] == 1 else None
            if x is None:
                continue
            constant = _ratio(self.model.estimates.templates[t], self.model.objective.design.coordinates.term_units(t))
            for digits in DIGITS:
                candidate = _with(state, t, shifted(one, x, f"{constant:.{digits}g}"))
                value = self._criterion(candidate)
                if value <= self.model.criterion + min(SAME, ROUNDING * max(1.0, abs(self.model.criterion) / 1e4)):
                    found = value, candidate
                    state = candidate
                    break
        return found

    def _criterion(self, state: State) -> float:
        """Smallest criterion; infinite where it cannot be had."""
        terms = tuple(one.term for one in state if one is not None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit that did not end is no fit of the same likelihood
            try:
                return refitted_criterion(self.model, "", self.model.frame.X, terms, self.model.is_reml)
            except LmmError:
                return float("inf")

    def _alternative(self, value: float, state: State) -> Alternative:
        saved = len(self.model.objective.theta_names) - _parameters(state)
        return Alternative(self._formula(state), value, value - self.model.criterion, saved)

    def _formula(self, state: State) -> str:
        formula = self.model.frame.formula
        bars = sorted((one for one in state if one is not None), key=lambda one: one.whole.bar)
        summands = [formula.fixed.text, *(f"offset({text})" for text in formula.offsets)]
        summands += [written(one, formula.bars[one.whole.bar].factors) for one in bars]
        return f"{formula.response} ~ {' + '.join(summands)}"


def _with(state: State, t: int, choice: BarVariant | None) -> State:
    return (*state[:t], choice, *state[t + 1 :])


def _parameters(state: State) -> int:
    return sum(one.term.structure.n_theta for one in state if one is not None)


def _ratio(template: Float, lengths: Float) -> float:
    """a/b of a template of rank one whose columns are multiples of (a, b)."""
    left = np.linalg.svd(template * lengths[:, None])[0][:, 0] / lengths
    return float(left[0] / left[1])
