"""What a sum of terms says: the fixed part of a formula, or what stands to the left of a bar."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from lmmsparse.formula.algebra import INTERCEPT, TermKey, Terms
from lmmsparse.formula.expressions import expression_names, is_expression, names_of, readable, token_of


@dataclass(frozen=True)
class RightSide:
    """A sum of terms, which `parse_formula` has read; nothing reads its text again.

    Attributes
    ----------
    text : str
        The sum as it stands in a formula, in Python's spelling and with ``.`` spelled out: ``"0 + x * I(z**2)"``.
    terms : tuple of tuple of str
        The terms that it expands to, each with its factors; main effects come before interactions, and the intercept,
        which has no factors, before both.  A factor is the name of a column, or an expression under its name for
        formulaic.
    factors : tuple of str
        All that were written, also those of terms that were subtracted again.
    """

    text: str
    terms: Terms
    factors: tuple[str, ...]

    def __str__(self) -> str:
        return self.text

    @property
    def has_intercept(self) -> bool:
        """Whether a constant is among the terms."""
        return INTERCEPT in self.terms

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Columns that stand for themselves."""
        return tuple(factor for factor in self.factors if not is_expression(factor))

    @cached_property
    def expressions(self) -> tuple[str, ...]:
        """Python expressions."""
        return tuple(readable(factor) for factor in self.factors if is_expression(factor))

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Names that are read: `names` and those inside of `expressions`, functions left out."""
        return names_of(self.names, *(expression_names(expression).values for expression in self.expressions))

    @cached_property
    def plain(self) -> tuple[str, ...] | None:
        """Columns of which it is the plain sum, the empty name standing for the intercept; None when it is more."""
        if any(len(term) > 1 or is_expression("".join(term)) for term in self.terms):
            return None
        return tuple("".join(term) for term in self.terms)

    @cached_property
    def keys(self) -> tuple[TermKey, ...]:
        """The terms without the order of their factors."""
        return tuple(map(frozenset, self.terms))

    @cached_property
    def lookups(self) -> str:
        """The text for formulaic, in which each expression is a name to look up."""
        products = [":".join(f"`{token_of(factor)}`" for factor in term) for term in self.terms if term]
        return " + ".join(["1" if self.has_intercept else "0", *products])
