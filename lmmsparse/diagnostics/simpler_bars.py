"""Simpler versions of a bar: their columns, and how they are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance import STRUCTURES, Unstructured
from lmmsparse.covariance.protocols import Keeps
from lmmsparse.design.terms import RandomTerm
from lmmsparse.errors import ArgumentError
from lmmsparse.formula import Bar, is_expression, written_bar, written_factor
from lmmsparse.frame.model_matrix import INTERCEPT, Design
from lmmsparse.frame.model_terms import ModelTerm, model_terms
from lmmsparse.inference.hypotheses.term_contrasts import marginal_contrast, without

Float = NDArray[np.float64]

# Functions that give one number for each number, so that one can be added to their value.
ELEMENTWISE = ("I", "log", "log2", "log10", "exp", "sqrt", "abs")
CONSTANT = ModelTerm(INTERCEPT, frozenset(), frozenset(), {}, (0,), (0,), ())


@dataclass(frozen=True)
class BarVariant:
    """A bar with all or some of its columns.

    Attributes
    ----------
    keyword : str
        Of its structure, as in `Bar`.
    left : str
        What stands to the left of the bar.
    term : RandomTerm
    whole : RandomTerm
        The term that it was made of.
    parts : tuple of ModelTerm
        All terms of the left side of ``whole``; empty when they cannot be told apart.
    kept : tuple of int
        Positions of those that are left.
    """

    keyword: str
    left: str
    term: RandomTerm
    whole: RandomTerm
    parts: tuple[ModelTerm, ...]
    kept: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of columns."""
        return self.term.structure.size

    @property
    def may_turn(self) -> bool:
        """Whether any lower triangular map of its columns keeps its structure, as with ``|``."""
        return self.term.structure.keeps is Keeps.TRIANGULAR


def whole_bar(term: RandomTerm, bar: Bar, design: Design) -> BarVariant:
    """The bar of the formula."""
    try:
        parts = model_terms(design)
    except ArgumentError:
        parts = ()
    return BarVariant(bar.keyword, bar.left.text, term, term, parts, tuple(range(len(parts))))


def written(variant: BarVariant, factors: Sequence[str]) -> str:
    """``"(1 | batch:cask)"``."""
    return written_bar(variant.keyword, variant.left, ":".join(factors))


def simpler_bars(variant: BarVariant) -> list[BarVariant]:
    """Everything that is one step simpler, but the bar left out.

    A term of the left side is taken away unless others contain it; the structure becomes a simpler one, ``||`` of
    ``|``; of ``(0 + f | g)`` with a factor f stays ``(1 | g)``.
    """
    out = []
    if len(variant.kept) > 1:
        for j in variant.kept:
            if _may_go(variant, j):
                out.append(_keeping(variant, tuple(i for i in variant.kept if i != j)))
    elif len(variant.kept) == 1 and variant.term.structure.correlated:
        part = variant.parts[variant.kept[0]]
        if part.categorical and not part.numeric:
            ones = np.broadcast_to(np.ones(1), (len(variant.term.codes), 1))
            term = variant.term.with_columns(ones, Unstructured(1))
            out.append(BarVariant("us", "1", term, term, (CONSTANT,), (0,)))
    for keyword in variant.term.structure.simpler if variant.size > 1 else ():
        structure = STRUCTURES[keyword](variant.size)
        out.append(replace(variant, keyword=keyword, term=replace(variant.term, structure=structure)))
    return out


def _may_go(variant: BarVariant, j: int) -> bool:
    """Whether what is left without a part is what its formula says."""
    part, others = variant.parts[j], [variant.parts[i] for i in variant.kept if i != j]
    if variant.term.structure.keeps is Keeps.SCALE:  # one variance for fewer effects is another model
        return False
    if part.is_intercept:  # a factor would take the intercept's place
        return not any(other.categorical for other in others)
    if any(part.factors < other.factors for other in others):
        return False
    if variant.may_turn or not part.categorical:
        return True
    # where the columns cannot be turned the coding counts, and that of a factor depends on the terms before it
    later = [variant.parts[i] for i in variant.kept if i > j and variant.parts[i].categorical]
    independent = not part.numeric and any(other.is_intercept for other in others)
    return not any(part.categorical & other.categorical or not independent for other in later)


def _keeping(variant: BarVariant, kept: tuple[int, ...]) -> BarVariant:
    parts, whole = variant.parts, variant.whole
    gone = [part for i, part in enumerate(parts) if i not in kept]
    k = whole.columns.shape[1]
    if variant.may_turn and any(part.categorical for part in parts):
        W = without(np.vstack([marginal_contrast(part, parts, k) for part in gone]))
        columns = whole.columns @ W
    else:
        columns = np.delete(whole.columns, [j for part in gone for j in part.columns], axis=1)
    left = _sum([parts[i] for i in kept])
    return replace(
        variant,
        left=left,
        term=whole.with_columns(columns, variant.term.structure.smaller(columns.shape[1])),
        kept=kept,
    )


def _sum(parts: Sequence[ModelTerm]) -> str:
    texts = [":".join(map(written_factor, part.sizes)) for part in parts if not part.is_intercept]
    if len(texts) == len(parts):
        texts.insert(0, "0")
    return " + ".join(texts) or "1"


def shiftable(variant: BarVariant) -> str | None:
    """The numeric variable x of a bar ``(1 + x | g)``, as it stands in an expression; None for other bars."""
    parts = [variant.parts[i] for i in variant.kept]
    if not (variant.may_turn and variant.size == 2 and len(parts) == 2 and parts[0].is_intercept):
        return None
    if parts[1].categorical or len(parts[1].numeric) != 1:
        return None
    (name,) = parts[1].numeric
    text = written_factor(name)
    if not is_expression(name):
        return text
    function = text.split("(", 1)[0]
    if function not in ELEMENTWISE:
        return None
    return text[len("I(") : -1] if function == "I" else text


def shifted(variant: BarVariant, x: str, constant: str) -> BarVariant:
    """``(0 + I(x + c) | g)`` in the place of ``(1 + x | g)``."""
    columns = variant.term.columns[:, 1:] + float(constant) * variant.term.columns[:, :1]
    term = variant.term.with_columns(columns, Unstructured(columns.shape[1]))
    sign, size = ("-", constant[1:]) if constant.startswith("-") else ("+", constant)
    return BarVariant("us", f"0 + I({x} {sign} {size})", term, term, (), ())
