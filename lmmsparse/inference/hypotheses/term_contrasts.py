"""Hypotheses about the terms of X, as matrices L of Lβ = 0: sequential, by containment, and marginal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray

from lmmsparse.frame.model_terms import ModelTerm, Piece

Float = NDArray[np.float64]
Component = frozenset[str]

# Entries of a contrast below this share of the largest are rounding.
ROUNDING = 1e-11


def sequential_contrasts(terms: Sequence[ModelTerm], R: Float) -> list[Float]:
    """Type I: every term after those before it.

    With XᵀX = RᵀR the rows of R that belong to a term test it; scaled to a diagonal of one, as R's lmerTest has them:
    the degrees of freedom of a joint test depend on the scale of its rows.

    Parameters
    ----------
    terms : sequence of ModelTerm
    R : (p, p) upper triangular array
    """
    unit = R / np.diag(R)[:, None]
    return [unit[list(term.kept)] for term in terms]


def is_alone(terms: Sequence[ModelTerm]) -> bool:
    """Whether there is one term beside the intercept: all types test the same, which lmerTest scales as type I."""
    return sum(not term.is_intercept for term in terms) == 1


def contained_contrasts(terms: Sequence[ModelTerm], R: Float) -> list[Float]:
    """Type II: every term after all terms that do not contain it.

    Scaled as R's lmerTest has them, on which the degrees of freedom of joint tests depend: rows with a diagonal of one
    for a term that others contain or that is the only one, and single coefficients for the others.

    Parameters
    ----------
    terms : sequence of ModelTerm
    R : (p, p) array
        With XᵀX = RᵀR.
    """
    if is_alone(terms):
        return sequential_contrasts(terms, R)
    out = []
    for term in terms:
        last = [other for other in terms if term.is_contained_in(other)]
        first = [other for other in terms if other is not term and other not in last]
        order = [j for other in (*first, term, *last) for j in other.kept]
        start = sum(len(other.kept) for other in first)
        rows = np.asarray(np.linalg.qr(R[:, order], mode="r"))[start : start + len(term.kept)]
        own = rows[:, start : start + len(rows)]
        L = np.zeros((len(term.kept), R.shape[1]))
        L[:, order] = rows / np.diag(own)[:, None] if last else np.linalg.solve(own, rows)
        out.append(L)
    return out


def marginal_contrasts(terms: Sequence[ModelTerm], p: int) -> list[Float]:
    """Type III: effects averaged, with equal weights, over the levels of the factors of the terms that contain a term.

    They do not depend on the coding of the factors.  Without an intercept a factor beside others is still tested for
    differences between its levels (lmerTest tests its means at the first levels of the others there).

    Parameters
    ----------
    terms : sequence of ModelTerm
        None of which `has_empty_cells`.
    p : int
        Columns of X.
    """
    return [np.zeros((0, p)) if term.is_intercept else marginal_contrast(term, terms, p) for term in terms]


def has_empty_cells(term: ModelTerm, terms: Sequence[ModelTerm]) -> bool:
    """Whether a term would be averaged over cells of a term that contains it, and not all of them can be estimated."""
    containing = [other for other in terms if term.is_contained_in(other)]
    return bool(containing) and not all(other.complete for other in (term, *containing))


def marginal_contrast(term: ModelTerm, terms: Sequence[ModelTerm], p: int) -> Float:
    """Type III contrast of one term, (rows, p).

    A term with the factors A consists of a component for each subset of A (constant, main effects, interactions); it
    is tested for those that no term has but itself and the terms that contain it.
    """
    if not term.complete:
        return np.eye(p)[list(term.kept)]
    others = [other for other in terms if other is not term and not term.is_contained_in(other)]
    elsewhere = {part for other in others if other.numeric == term.numeric for part in _components(other)}
    own = [part for part in _components(term) if part not in elsewhere]
    if not own:
        return np.zeros((0, p))
    shared = frozenset.intersection(*own)
    if len(own) == 2 ** (len(term.categorical) - len(shared)):  # one block: level by level of the factors not shared
        L = functional(term, terms, p, shared, term.categorical - shared)
    else:
        L = np.vstack([functional(term, terms, p, part, frozenset()) for part in own])
    L[np.abs(L) < ROUNDING * np.abs(L).max()] = 0.0
    return L


def without(L: Float) -> Float:
    """The (p, p − r) matrix W whose columns span {β : Lβ = 0}: X W is the design under the hypothesis.

    Columns of the identity where L asks single coefficients to be zero.
    """
    p = L.shape[1]
    touched = np.flatnonzero(L.any(axis=0))
    rank = int(np.linalg.matrix_rank(L)) if len(L) else 0
    if len(touched) == rank:
        return np.delete(np.eye(p), touched, axis=1)
    return np.asarray(np.linalg.svd(L)[2][rank:].T)


def _components(term: ModelTerm) -> list[Component]:
    factors = sorted(term.categorical)
    subsets = chain.from_iterable(combinations(factors, r) for r in range(len(factors) + 1))
    return [frozenset(subset) for subset in subsets]


def functional(term: ModelTerm, terms: Sequence[ModelTerm], p: int, differences: Component, levels: Component) -> Float:
    """Contrasts of the coefficients of the term's numeric factors, as functions of the levels of the others.

    They are differences from the first level of some factors, at all levels of others, averaged over the rest.
    """
    axes = sorted(differences | levels | term.numeric)
    sizes = {name: term.sizes[name] - (name in differences) for name in axes}
    total = int(np.prod([sizes[name] for name in axes], dtype=int))
    L = np.zeros((total, p))
    for other in terms:
        if other.numeric != term.numeric:
            continue
        blocks = [_piece_rows(piece, term, axes, differences, levels) for piece in other.pieces]
        block = np.hstack(blocks)
        if other.complete:
            L[:, list(other.kept)] = block
    return L


def _piece_rows(piece: Piece, term: ModelTerm, axes: list[str], differences: Component, levels: Component) -> Float:
    """The rows on the columns of a piece; axes in alphabetical order, the last fastest."""
    product, present = np.full((1, 1), piece.scale), []
    for name, coding in zip(piece.factors, piece.codings, strict=True):
        if name in differences:
            rows = coding[1:] - coding[0]
        elif name in levels or name in term.numeric:
            rows = coding
        else:
            rows = coding.mean(axis=0, keepdims=True)
        if name in axes:
            present.append(name)
        product = np.kron(rows, product)  # the first factor is the fastest, in rows and columns
    present.reverse()
    for name in axes:
        if name not in present:  # a constant: without differences, and the same at all levels
            product = np.kron(
                np.zeros((term.sizes[name] - 1, 1)) if name in differences else np.ones((term.sizes[name], 1)), product
            )
            present.insert(0, name)
    shape = [term.sizes[name] - (name in differences) for name in present]
    order = [present.index(name) for name in axes]
    width = product.shape[1]
    return product.reshape(*shape, width).transpose(*order, len(axes)).reshape(-1, width)
