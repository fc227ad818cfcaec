"""The terms of a right-hand side and how their columns are coded: what hypotheses about terms are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import ArgumentError
from lmmsparse.formula import displayed, factor_of
from lmmsparse.frame.model_matrix import INTERCEPT, Design

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """Some columns of a term: the products of the columns of its factors, those of the first factor fastest.

    Attributes
    ----------
    factors : tuple of str
    codings : tuple of (levels, columns) arrays
        Values of a categorical factor's columns at its levels; the identity for a numeric factor's columns.
    scale : float
    """

    factors: tuple[str, ...]
    codings: tuple[Float, ...]
    scale: float

    @property
    def width(self) -> int:
        """Number of columns."""
        return prod(coding.shape[1] for coding in self.codings)


@dataclass(frozen=True)
class ModelTerm:
    """A term of a right-hand side.

    Attributes
    ----------
    label : str
        ``"recipe:temperature"``.
    categorical, numeric : frozenset of str
        Its factors.
    sizes : dict of str to int
        Levels of its categorical factors, and columns of its numeric ones.
    columns : tuple of int
        Positions of its columns among all columns of the design, those included that were left out of X.
    kept : tuple of int
        Positions in X of those that were kept.
    pieces : tuple of Piece
        In the order of the columns.
    """

    label: str
    categorical: frozenset[str]
    numeric: frozenset[str]
    sizes: Mapping[str, int]
    columns: tuple[int, ...]
    kept: tuple[int, ...]
    pieces: tuple[Piece, ...]

    @property
    def factors(self) -> frozenset[str]:
        """All its factors; none for the intercept."""
        return self.categorical | self.numeric

    @property
    def is_intercept(self) -> bool:
        """Whether it is the constant."""
        return not self.factors

    @property
    def complete(self) -> bool:
        """Whether none of its columns was left out of X."""
        return len(self.kept) == len(self.columns)

    def is_contained_in(self, other: ModelTerm) -> bool:
        """Whether the other term varies more finely: the same numeric factors, and further categorical ones."""
        return self.numeric == other.numeric and self.categorical < other.categorical


def model_terms(design: Design) -> tuple[ModelTerm, ...]:
    """The terms of a design in the order of their columns, the intercept among them.

    Raises
    ------
    ArgumentError
        The product of several matrix-valued transforms, none of which stands alone, cannot be taken apart.
    """
    places = {column: j for j, column in enumerate(design.keep)} if design.keep is not None else None
    out: list[ModelTerm] = []

    def add(label: str, categorical: frozenset[str], sizes: dict[str, int], pieces: tuple[Piece, ...]) -> None:
        done = out[-1].columns[-1] + 1 if out else 0
        columns = tuple(range(done, done + sum(piece.width for piece in pieces)))
        kept = columns if places is None else tuple(places[j] for j in columns if j in places)
        out.append(ModelTerm(label, categorical, frozenset(sizes) - categorical, sizes, columns, kept, pieces))

    if design.spec is None:
        for name in design.side.plain or ():
            factors = (name,) if name else ()
            piece = Piece(factors, tuple(np.eye(1) for _ in factors), 1.0)
            add(name or INTERCEPT, frozenset(), dict.fromkeys(factors, 1), (piece,))
        return tuple(out)
    codes = _categorical_codings(design.spec)
    widths = _numeric_widths(design.spec, codes)
    for row in design.spec.structure or ():
        sizes: dict[str, int] = {}
        pieces = []
        for scoped in row.scoped_terms:
            names = tuple(factor_of(str(one.factor.expr)) for one in scoped.factors)
            codings = []
            for one, name in zip(scoped.factors, names, strict=True):
                coding = codes[name][bool(one.reduced)] if name in codes else np.eye(widths[name])
                codings.append(coding)
            pieces.append(Piece(names, tuple(codings), float(scoped.scale or 1.0)))
        for factor in row.term.factors:
            name = factor_of(str(factor.expr))
            if name in codes:
                sizes[name] = len(codes[name][False])
            elif name in widths:
                sizes[name] = widths[name]
        label = ":".join(map(displayed, sizes)) or INTERCEPT
        add(label, frozenset(name for name in sizes if name in codes), sizes, tuple(pieces))
    return tuple(out)


def _categorical_codings(spec: Any) -> dict[str, dict[bool, Float]]:
    """For each categorical factor its coding matrices, of reduced rank (True) and of full rank (False)."""
    out = {}
    for name, (_, state) in spec.encoder_state.items():
        if "contrasts" in state:
            both = {}
            for reduced in (True, False):
                matrix = state["contrasts"].get_coding_matrix(reduced_rank=reduced, sparse=False)
                both[reduced] = np.asarray(matrix, dtype=float)
            out[factor_of(str(name))] = both
    return out


def _numeric_widths(spec: Any, codes: Mapping[str, Mapping[bool, Float]]) -> dict[str, int]:
    """Number of columns of each numeric factor, from the numbers of columns of the terms."""
    products = {}
    for row in spec.structure or ():
        if not row.scoped_terms:
            continue
        categorical, numeric = 0, frozenset[str]()
        for scoped in row.scoped_terms:
            names = [factor_of(str(one.factor.expr)) for one in scoped.factors]
            numeric = frozenset(name for name in names if name not in codes)
            pairs = zip(scoped.factors, names, strict=True)
            categorical += prod(codes[name][bool(one.reduced)].shape[1] for one, name in pairs if name in codes)
        products[numeric] = len(row.columns) // max(1, categorical)
    widths: dict[str, int] = {}
    for numeric, product in sorted(products.items(), key=lambda item: len(item[0])):
        unknown = [name for name in sorted(numeric) if name not in widths]
        left = product // prod(widths[name] for name in numeric if name in widths)
        if len(unknown) > 1 and left > 1:
            raise ArgumentError(
                f"the columns of {':'.join(map(displayed, sorted(numeric)))} cannot be told "
                "apart: let all but one of its transforms have a single column, or add them as terms of their own"
            )
        widths |= dict.fromkeys(unknown, left)
    return widths
