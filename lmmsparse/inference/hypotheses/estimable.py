"""Type III hypotheses where combinations of levels have no observations.

Averages over all cells cannot be estimated there.  What can be is a function of the parameters of the model with an
indicator for every level and every combination of levels, and type III hypotheses are those functions of a term's
parameters and of those of the terms that contain it which are orthogonal to the functions of the latter (Goodnight
1980).  With all cells they are the equally weighted averages of `hypotheses`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from math import prod

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import ArgumentError
from lmmsparse.frame.model_terms import ModelTerm
from lmmsparse.inference.hypotheses.term_contrasts import ROUNDING, functional
from lmmsparse.numerics.rank import independent_columns

Float = NDArray[np.float64]

# A row of which less than this is left when others are projected out is one of theirs.
NEGLIGIBLE = 1e-8
# Numbers in the table of all cells by all columns, 400 MB.
LARGEST_TABLE = 50_000_000


def estimable_contrasts(terms: Sequence[ModelTerm], every: Float, R: Float) -> list[Float]:
    """Type III contrasts (rows, p) of all terms; none of the intercept.

    With G the indicators as combinations of the columns of X, those that are independent, with as few first levels as
    can be, have the coefficients B⁻¹β = B⁻¹Gγ, the estimable functions of all indicators' coefficients γ.  Of the rows
    of a term what is orthogonal to the rows of the terms that contain it is its hypothesis, as in R's lmerTest.

    Parameters
    ----------
    terms : sequence of ModelTerm
        With all columns, those included that were left out of X.
    every : (p, number of columns) array
        All columns as combinations of those of X.
    R : (p, p) array
        With XᵀWX = RᵀR.

    Raises
    ------
    ArgumentError
        There are too many cells, the coding of a factor does not span its levels, or what two terms share is no term.
    """
    _check_shared(terms)
    blocks, owner = [], []
    for t, (rows, first) in enumerate(indicators(terms)):
        ordered = rows[:, np.argsort(first, kind="stable")]
        block = every @ ordered
        block[np.abs(block) < ROUNDING * (np.abs(every) @ np.abs(ordered))] = 0.0  # cells without observations
        blocks.append(block)
        owner += [t] * len(first)
    G = np.hstack(blocks)
    chosen = independent_columns(R @ G)
    to_beta, of_term = np.linalg.inv(G[:, chosen]), np.array(owner)[chosen]
    functions, out = to_beta @ G, []
    for t, term in enumerate(terms):
        own = np.flatnonzero((of_term == t) & (not term.is_intercept))
        above = np.flatnonzero([term.is_contained_in(terms[s]) for s in of_term])
        shared = np.linalg.lstsq(functions[above].T, functions[own].T)[0]
        L = to_beta[own] - shared.T @ to_beta[above]
        out.append(L[np.abs(L).max(axis=1, initial=0.0) > NEGLIGIBLE * np.abs(to_beta[own]).max(axis=1, initial=0.0)])
    return out


def _check_shared(terms: Sequence[ModelTerm]) -> None:
    """Without the intercept, or a main effect that two interactions share, it would be a part of the first of them."""
    known = {(term.numeric, term.categorical) for term in terms}
    for one, other in combinations(terms, 2):
        if one.numeric == other.numeric and (one.numeric, one.categorical & other.categorical) not in known:
            raise ArgumentError(
                f"type III tests with empty cells need what {one.label!r} and {other.label!r} share as a term of its "
                "own (the intercept, or a main effect): add it, or use type=2"
            )


def indicators(terms: Sequence[ModelTerm]) -> list[tuple[Float, NDArray[np.bool_]]]:
    """For every term the indicators of the combinations of levels of its factors as combinations of all columns.

    Pairs of a (columns, indicators) array, those of the first factor fastest, and whether each has a first level.
    """
    out: list[tuple[Float, NDArray[np.bool_]]] = []
    count = sum(len(term.columns) for term in terms)
    for term in terms:
        alike = [other for other in terms if other.numeric == term.numeric]
        sizes = {name: size for other in alike for name, size in other.sizes.items()}
        factors = frozenset(name for other in alike for name in other.categorical)
        cells = replace(term, categorical=factors, sizes=sizes)
        total = prod(sizes.values())
        if total * count > LARGEST_TABLE:
            raise ArgumentError(
                f"type III tests with empty cells need a table of {total} cells by {count} columns "
                f"({8e-9 * total * count:.1f} GB): use type=2, or contest() with a contrast of your own"
            )
        values = functional(cells, terms, count, frozenset(), factors)
        axes = sorted(sizes)
        places = np.indices([sizes[name] for name in axes]).reshape(len(axes), len(values))
        names = list(term.sizes)[::-1]
        own = [places[axes.index(name)] for name in names]
        shape = [sizes[name] for name in names]
        which = np.ravel_multi_index(own, shape) if names else np.zeros(len(values), dtype=np.intp)
        width = prod(shape)
        wanted = np.eye(width)[which]
        solution = np.linalg.lstsq(values, wanted)[0]
        if np.abs(values @ solution - wanted).max() > NEGLIGIBLE:
            raise ArgumentError(
                f"type III tests with empty cells need codings that tell all levels apart, and that of {term.label!r} "
                "does not: use type=2, or contest() with a contrast of your own"
            )
        solution[np.abs(solution) < ROUNDING * np.abs(solution).max(axis=0)] = 0.0
        first = np.zeros(shape, dtype=bool)
        for axis, name in enumerate(names):
            if name in term.categorical:
                first[(slice(None),) * axis + (0,)] = True
        out.append((solution, first.ravel()))
    return out
