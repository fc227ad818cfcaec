"""The algebra of terms: what the operators of a formula make of the terms on their two sides.

A term is the product of its factors; ``a:b`` and ``b:a`` are the same term, which keeps the order that it had first.
"""

from __future__ import annotations

from collections.abc import Iterable

from lmmsparse.errors import FormulaError
from lmmsparse.formula.limits import ORDER, TERMS

# The factors in the order in which they were written; the intercept has none.
Term = tuple[str, ...]
Terms = tuple[Term, ...]
TermKey = frozenset[str]
INTERCEPT: Term = ()


def summed(signed: Iterable[tuple[bool, Terms]]) -> Terms:
    """``left + right - other``, from left to right: pairs of whether they are taken away, and terms."""
    distinct: dict[TermKey, Term] = {}
    for negative, terms in signed:
        for term in terms:
            if negative:
                distinct.pop(frozenset(term), None)
            else:
                distinct.setdefault(frozenset(term), term)
    return tuple(distinct.values())


def united(*groups: Terms) -> Terms:
    """``left + right``: distinct terms in order of appearance."""
    return summed((False, terms) for terms in groups)


def crossed(left: Terms, right: Terms) -> Terms:
    """``left : right``."""
    if len(left) * len(right) > 10 * TERMS:
        raise FormulaError(f"The products of this formula have more than {TERMS} terms; that is the most.")
    terms = united(tuple(tuple(dict.fromkeys(a + b)) for a in left for b in right))
    if len(terms) > TERMS or any(len(term) > ORDER for term in terms):
        raise FormulaError(
            f"The products of this formula have {len(terms)} terms, the largest of {max(map(len, terms))} factors; at "
            f"most {TERMS} terms of {ORDER} factors each are possible."
        )
    return terms


def multiplied(left: Terms, right: Terms) -> Terms:
    """``left * right``: both sides and their interactions."""
    return united(left, right, crossed(left, right))


def nesting(left: Terms, right: Terms) -> Terms:
    """``left / right``: the left side, and the right one within all of its factors."""
    within = tuple(dict.fromkeys(factor for term in left for factor in term))
    return united(left, crossed((within,), right))


def powered(terms: Terms, power: int) -> Terms:
    """``terms ** power``: the interactions of up to so many of the terms."""
    out = terms
    if min(power, len(terms)) > ORDER:
        raise FormulaError(
            f"This power has interactions of {min(power, len(terms))} factors; at most {ORDER} are possible."
        )
    for _ in range(min(power, len(terms)) - 1):
        out = crossed(out, terms)
    return out


def by_degree(terms: Terms) -> Terms:
    """The intercept first, then main effects, then interactions of two, ..."""
    return tuple(sorted(terms, key=len))
