"""Matrices of the fixed part and of the columns left of a bar, and their recipes for new data."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.formula import RightSide, TermKey, displayed, factor_of
from lmmsparse.frame.columns import Column, Mask

if TYPE_CHECKING:  # formulaic takes long to import, and plain columns do without it
    from formulaic.model_spec import ModelSpec
    from formulaic.transforms.contrasts import Contrasts

INTERCEPT = "(Intercept)"
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """Recipe for the columns of a right-hand side.

    Attributes
    ----------
    side : RightSide
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

    side: RightSide
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
            matrix = _plain_matrix(cast("tuple[str, ...]", self.side.plain), values, n)
        else:
            from lmmsparse.frame.materializer import Materializer, materialize

            state = copy.deepcopy(dict(self.state))
            frame = _data_frame(self.side, values, n)
            materializer = Materializer(frame, self.contrasts, state, pd.RangeIndex(n))
            matrix = _as_floats(materialize(materializer, self.spec))
            for mask in materializer.missing.values():
                matrix[mask] = np.nan
        return matrix if self.keep is None else matrix[:, self.keep]

    def term_columns(self) -> dict[TermKey, tuple[int, ...]]:
        """Positions of the columns of every term, by the factors of the term."""
        if self.spec is None:
            return {key: (j,) for j, key in enumerate(self.side.keys)}
        out: dict[TermKey, tuple[int, ...]] = {}
        done = 0
        for row in self.spec.structure or ():
            out[_key(row.term)] = tuple(range(done, done + len(row.columns)))
            done += len(row.columns)
        return out


def _key(term: Any) -> TermKey:
    return frozenset() if str(term) == "1" else frozenset(factor_of(str(factor.expr)) for factor in term.factors)


def learn_design(
    side: RightSide,
    columns: Mapping[str, Column],
    values: Mapping[str, pd.Series],
    contrasts: Mapping[str, Contrasts],
    labels: pd.Index,
) -> tuple[Design, Matrix, dict[str, Mask]]:
    """Evaluate a right-hand side for the first time; transforms with memory learn here.

    Parameters
    ----------
    side : RightSide
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
    n, plain = len(labels), side.plain
    relevant = {factor: coding for factor, coding in contrasts.items() if factor in (*side.names, *side.expressions)}
    if plain is not None and not relevant and all(columns[name].kind == "number" for name in plain if name):
        names = tuple(name or INTERCEPT for name in plain)
        numbers = {name: columns[name].values for name in plain if name}
        return Design(side, names, None, None, {}, {}), _plain_matrix(plain, numbers, n), {}
    from lmmsparse.frame.materializer import Materializer, materialize

    state: dict[str, Any] = {}
    materializer = Materializer(_data_frame(side, values, n), relevant, state, labels)
    result = materialize(materializer, side.lookups)
    spec = result.model_spec
    design = Design(side, _column_names(spec), spec, None, relevant, state)
    return design, _as_floats(result), materializer.missing


def _plain_matrix(plain: tuple[str, ...], values: Mapping[str, Any], n: int) -> Matrix:
    if plain == ("",):
        return np.broadcast_to(np.ones(1), (n, 1))
    matrix = np.empty((n, len(plain)), order="F")
    for j, name in enumerate(plain):
        matrix[:, j] = np.asarray(values[name]) if name else 1.0
    return matrix


def _data_frame(side: RightSide, values: Mapping[str, pd.Series], n: int) -> pd.DataFrame:
    columns = {name: values[name] for name in side.variables if name in values}
    return pd.DataFrame(columns, index=pd.RangeIndex(n), copy=False)


def _as_floats(result: Any) -> Matrix:
    return np.array(getattr(result, "__wrapped__", result), dtype=np.float64, order="F")


def _column_names(spec: ModelSpec) -> tuple[str, ...]:
    names: list[str] = []
    for row in spec.structure or ():
        names.extend([INTERCEPT] if str(row.term) == "1" else map(displayed, row.columns))
    return tuple(names)
