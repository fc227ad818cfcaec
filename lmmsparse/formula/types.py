"""What a parsed formula is."""

from __future__ import annotations

from dataclasses import dataclass

from lmmsparse.formula.expressions import plain_name
from lmmsparse.formula.right_side import RightSide

# Structures without correlations.
INDEPENDENT = ("diag", "homdiag")


def written_bar(keyword: str, left: str, group: str) -> str:
    """A random-effects term as formulas have it: ``"(x | g)"``, ``"(x || g)"``, ``"cs(x | g)"``."""
    called = "" if keyword in ("us", "diag") else keyword
    return f"{called}({left} {'||' if keyword == 'diag' else '|'} {group})"


@dataclass(frozen=True)
class Bar:
    """One random-effects term ``(left | factors)`` or ``keyword(left | factors)``.

    Attributes
    ----------
    left : RightSide
        The columns of the term: ``Days``, ``0 + Days``, ``1``.
    factors : tuple of str
        Grouping variables or Python expressions; ``("cask", "batch")`` is the interaction ``cask:batch``.
        A column whose name is no Python identifier stands in back-quotes.
    keyword : str
        What glmmTMB calls the structure of their covariances: ``"us"`` for ``|``, ``"diag"`` for ``||``, else the name
        before the parentheses.
    text : str
        The term as the user wrote it, ``"(1 | batch/cask)"``; the bars that one such term expands to share
        it.
    position : int
        Offset of the term in the formula text.
    """

    left: RightSide
    factors: tuple[str, ...]
    keyword: str
    text: str
    position: int

    @property
    def group(self) -> str:
        """Name of the grouping factor, ``"cask:batch"``."""
        return ":".join(plain_name(factor) for factor in self.factors)

    @property
    def correlated(self) -> bool:
        """False when the effects of a level are independent of each other."""
        return self.keyword not in INDEPENDENT

    @property
    def name(self) -> str:
        """The bar alone, ``"(1 | cask:batch)"``."""
        return written_bar(self.keyword, self.left.text, self.group)


@dataclass(frozen=True)
class Formula:
    """A mixed-model formula, taken apart.

    Attributes
    ----------
    text : str
        The formula as the user wrote it.
    response : str
        Python expression.
    fixed : RightSide
        The fixed effects: the intercept alone when the formula has bars and offsets only.
    bars : tuple of Bar
        In formula order, ``/``, ``*``, ``+`` and ``:`` on the grouping side expanded.
    offsets : tuple of str
        Python expressions, one for each ``offset()`` term.
    """

    text: str
    response: str
    fixed: RightSide
    bars: tuple[Bar, ...]
    offsets: tuple[str, ...]

    @property
    def sides(self) -> tuple[RightSide, ...]:
        """The fixed effects, and what stands to the left of each bar."""
        return (self.fixed, *(bar.left for bar in self.bars))
