"""What several searches of one criterion found, and what they took."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lmmsparse.estimation.spread import SAME, Ends
from lmmsparse.objective.points import Derivatives, Point
from lmmsparse.search.protocols import Optimum

Found = Optimum[Point, Derivatives]

# The end of a search that has not converged must be lower by more than this to be preferred.
WORTHWHILE = 1e-7


@dataclass(frozen=True)
class Searched:
    """The lowest of several searches.

    Attributes
    ----------
    optimum : Optimum
    ends : tuple of float
        Where all of them ended, in working units.
    earlier : int
        Evaluations of the search that won, before it was followed on its own.
    lost : int
        Evaluations, one by one, of searches that did not win.
    together : int
        Evaluations in calls for many searches.
    """

    optimum: Found
    ends: tuple[float, ...]
    earlier: int = 0
    lost: int = 0
    together: int = 0

    @classmethod
    def first(cls, optimum: Found) -> Searched:
        """One search."""
        return cls(optimum, (optimum.point.value,) if optimum.converged else ())

    def beside(self, ends: Ends) -> Searched:
        """With the ends of many searches that none has followed yet."""
        settled = tuple(ends.value[ends.settled].tolist())
        return replace(self, ends=self.ends + settled, together=self.together + int(ends.evaluations.sum()))

    def or_lower(self, other: Found, followed: int = 0) -> Searched:
        """The lower of these and another search.

        Parameters
        ----------
        other : Optimum
        followed : int
            Evaluations that had led to its start, when its end is among ours already.
        """
        ends = self.ends + ((other.point.value,) if other.converged and not followed else ())
        slack = 0.0 if other.converged else WORTHWHILE
        if other.point.value < self.optimum.point.value - slack:
            return replace(self, optimum=other, ends=ends, earlier=followed, lost=self.lost + len(self.optimum.history))
        return replace(self, ends=ends, lost=self.lost + len(other.history))

    def continued(self, other: Found) -> Searched:
        """With another search, which began where the end of the lowest pointed and ended lower: one of them, longer."""
        ends = list(self.ends)
        if self.optimum.point.value in ends:
            ends.remove(self.optimum.point.value)
        return replace(self, optimum=other, ends=(*ends, other.point.value))

    def minima(self, value: float) -> tuple[tuple[float, int], ...]:
        """Values that are the ends of searches with how many ended there, increasing, the first being ``value``."""
        ends = np.sort(np.array(self.ends))
        higher = ends[ends > value + SAME]
        groups = np.split(higher, np.flatnonzero(np.diff(higher) > SAME) + 1) if len(higher) else []
        own = max(1, len(ends) - len(higher))
        return ((value, own), *((float(group[0]), len(group)) for group in groups))
