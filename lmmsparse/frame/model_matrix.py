"""Matrices of the fixed part and of the columns left of a bar, and their recipes for new data."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.formula.expressions import expression_names, formatted, plain_name
from lmmsparse.formula.tokens import Token, tokens
from lmmsparse.frame.columns import Column, Mask
from lmmsparse.frame.evaluate import as_name, names_of, readable

if TYPE_CHECKING:  # formulaic takes long to import, and plain columns do without it
    from formulaic.model_spec import ModelSpec
    from formulaic.transforms.contrasts import Contrasts

INTERCEPT = "(Intercept)"
Matrix = NDArray[np.float64]
TermKey = frozenset[str]


@dataclass(frozen=True)
class Terms:
    """What stands in a right-hand side.

    Attributes
    ----------
    names : tuple of str
        Columns that stand for themselves.
    expressions : tuple of str
        Python expressions.
    variables : tuple of str
        Names that are read: ``names`` and those inside the expressions.
    plain : tuple of str or None
        When the text is a plain sum of columns: their names, the empty name standing for the intercept.
    lookups : str
        The text for formulaic, each expression in it replaced by a name to look up.
    """

    names: tuple[str, ...]
    expressions: tuple[str, ...]
    variables: tuple[str, ...]
    plain: tuple[str, ...] | None
    lookups: str


@functools.lru_cache(maxsize=256)
def read_terms(text: str) -> Terms:
    """Columns and expressions of a right-hand side that the formula room has written."""
    names: list[str] = []
    expressions: list[str] = []
    lookups = ""
    done = 0
    pieces = tokens(text)
    for piece in pieces:
        if piece.kind == "name":
            names.append(piece.text)
        elif piece.kind == "call":
            expressions.append(formatted(piece.text))
            lookups += f"{text[done : piece.start]}`{as_name(expressions[-1])}`"
            done = piece.end
    inside = [expression_names(expression).values for expression in expressions]
    return Terms(
        names=names_of(names),
        expressions=names_of(expressions),
        variables=names_of(names, *inside),
        plain=_plain_columns(pieces),
        lookups=lookups + text[done:],
    )


def _plain_columns(pieces: Sequence[Token]) -> tuple[str, ...] | None:
    intercept = True
    columns: list[str] = []
    sign = "+"
    for piece in pieces:
        if piece.kind == "operator" and piece.text in ("+", "-"):
            sign = piece.text
            continue
        if piece.kind == "number" and piece.text in ("0", "1"):
            intercept = (piece.text == "1") == (sign == "+")
        elif piece.kind == "name" and sign == "+":
            columns.append(piece.text)
        else:
            return None
        sign = "+"
    return (("",) if intercept else ()) + names_of(columns)


@dataclass(frozen=True)
class Design:
    """Recipe for the columns of a right-hand side.

    Attributes
    ----------
    terms : Terms
    names : tuple of str
        Names of the columns that are kept.
    spec : ModelSpec or None
        formulaic's recipe; None when the columns are numeric variables as they are.
    keep : (k,) array of int, or None
        The columns that are kept; None for all.
    contrasts : dict of str to Contrasts
    state : dict
        What transforms with memory have learned.
    """

    terms: Terms
    names: tuple[str, ...]
    spec: ModelSpec | None
    keep: NDArray[np.intp] | None
    contrasts: Mapping[str, Contrasts]
    state: Mapping[str, Any]

    def keeping(self, columns: NDArray[np.intp]) -> Design:
        """The recipe for some of the columns only."""
        return replace(self, names=tuple(self.names[j] for j in columns), keep=columns)

    def matrix(self, values: Mapping[str, pd.Series], n: int) -> Matrix:
        """Evaluate on complete rows of new data; rows in which an expression is missing are NaN.

        Parameters
        ----------
        values : mapping of str to (n,) Series
            The variables, of the kinds that they had in the fit.
        n : int

        Returns
        -------
        (n, k) array
        """
        if self.spec is None:
            matrix = _plain_matrix(cast("tuple[str, ...]", self.terms.plain), values, n)
        else:
            from lmmsparse.frame.materializer import Materializer, materialize

            state = copy.deepcopy(dict(self.state))
            frame = _data_frame(self.terms, values, n)
            materializer = Materializer(frame, self.contrasts, state, pd.RangeIndex(n))
            matrix = _as_floats(materialize(materializer, self.spec))
            for mask in materializer.missing.values():
                matrix[mask] = np.nan
        return matrix if self.keep is None else matrix[:, self.keep]

    def term_columns(self) -> dict[TermKey, tuple[int, ...]]:
        """Positions of the columns of every term, by the variables of the term."""
        if self.spec is None:
            return {key: (j,) for j, key in enumerate(term_keys_of(self.terms))}
        out: dict[TermKey, tuple[int, ...]] = {}
        done = 0
        for row in self.spec.structure or ():
            out[_key(row.term)] = tuple(range(done, done + len(row.columns)))
            done += len(row.columns)
        return out


def term_keys(text: str) -> tuple[TermKey, ...]:
    """The terms of a right-hand side, each as the set of its variables and expressions."""
    return term_keys_of(read_terms(text))


def term_keys_of(terms: Terms) -> tuple[TermKey, ...]:
    """`term_keys` of a text that is read."""
    if terms.plain is not None:
        return tuple(frozenset({name or "1"}) for name in terms.plain)
    from formulaic import Formula

    return tuple(_key(term) for term in Formula(terms.lookups))


def _key(term: Any) -> TermKey:
    return frozenset(str(factor.expr) for factor in term.factors)


def learn_design(
    text: str,
    columns: Mapping[str, Column],
    values: Mapping[str, pd.Series],
    contrasts: Mapping[str, Contrasts],
    labels: pd.Index,
) -> tuple[Design, Matrix, dict[str, Mask]]:
    """Evaluate a right-hand side for the first time; transforms with memory learn here.

    Parameters
    ----------
    text : str
        For formulaic.
    columns : mapping of str to (n,) Column
        Complete columns.
    values : mapping of str to (n,) Series
        The same as formulaic is to see them: categoricals without unused levels.
    contrasts : mapping of str to Contrasts
    labels : (n,) pandas.Index
        Row labels, for messages.

    Returns
    -------
    design : Design
    matrix : (n, k) array
    missing : dict of str to (n,) array of bool
        Expressions that are missing somewhere; the matrix is of no use then.
    """
    terms, n = read_terms(text), len(labels)
    relevant = {term: coding for term, coding in contrasts.items() if term in (*terms.names, *terms.expressions)}
    if terms.plain is not None and not relevant and all(columns[name].kind == "number" for name in terms.plain if name):
        names = tuple(name or INTERCEPT for name in terms.plain)
        numbers = {name: columns[name].values for name in terms.plain if name}
        return Design(terms, names, None, None, {}, {}), _plain_matrix(terms.plain, numbers, n), {}
    from lmmsparse.frame.materializer import Materializer, materialize

    state: dict[str, Any] = {}
    materializer = Materializer(_data_frame(terms, values, n), relevant, state, labels)
    result = materialize(materializer, terms.lookups)
    spec = result.model_spec
    design = Design(terms, _column_names(spec), spec, None, relevant, state)
    return design, _as_floats(result), materializer.missing


def _plain_matrix(plain: tuple[str, ...], values: Mapping[str, Any], n: int) -> Matrix:
    if plain == ("",):
        return np.broadcast_to(np.ones(1), (n, 1))
    matrix = np.empty((n, len(plain)), order="F")
    for j, name in enumerate(plain):
        matrix[:, j] = np.asarray(values[name]) if name else 1.0
    return matrix


def _data_frame(terms: Terms, values: Mapping[str, pd.Series], n: int) -> pd.DataFrame:
    columns = {name: values[name] for name in terms.variables if name in values}
    return pd.DataFrame(columns, index=pd.RangeIndex(n), copy=False)


def _as_floats(result: Any) -> Matrix:
    return np.array(getattr(result, "__wrapped__", result), dtype=np.float64, order="F")


def _column_names(spec: ModelSpec) -> tuple[str, ...]:
    names: list[str] = []
    for row in spec.structure or ():
        names.extend([INTERCEPT] if str(row.term) == "1" else (plain_name(readable(name)) for name in row.columns))
    return tuple(names)
