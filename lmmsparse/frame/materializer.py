"""The materializer of formulaic, with R's meaning where it differs, and without silent substitutions."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from formulaic.errors import FactorEvaluationError, FormulaicError
from formulaic.materializers import PandasMaterializer
from formulaic.materializers.types import EvaluatedFactor, FactorValues
from formulaic.model_spec import ModelSpec
from formulaic.parser.types import Factor
from formulaic.transforms.contrasts import C, Contrasts

from lmmsparse.errors import ArgumentError, DataError, FormulaError, LmmError, MemoryLimitError, NewDataError
from lmmsparse.formula import COLUMNS, factor_of, is_expression, readable
from lmmsparse.frame.columns import Mask
from lmmsparse.frame.evaluate import infinite_error, new_levels_message, run
from lmmsparse.numerics.memory import usable_memory

# A column is made, and copied into the matrix.
BYTES_A_VALUE = 16


class Materializer(PandasMaterializer):  # type: ignore[misc]
    """Evaluates one right-hand side on complete rows.

    Differences from formulaic: expressions are evaluated here, in R's arithmetic; logical values are categorical; a
    level that the fit has not seen and a factor with a single level are errors; rows in which an expression is
    missing are collected in ``missing`` instead of becoming rows of zeros.

    Parameters
    ----------
    data : (n, ...) DataFrame
    contrasts : mapping of str to Contrasts
    state : mutable mapping
        What transforms with memory have learned; filled when empty.
    labels : (n,) pandas.Index
        Row labels, for messages.
    """

    INTERFACE_EXPLICIT_OVERRIDES = False  # formulaic's base class would ask for decorators of its own

    def __init__(
        self,
        data: pd.DataFrame,
        contrasts: Mapping[str, Contrasts],
        state: MutableMapping[str, Any],
        labels: pd.Index,
    ) -> None:
        super().__init__(data)
        self.contrasts = contrasts
        self.state = state
        self.labels = labels
        self.missing: dict[str, Mask] = {}
        self.columns = 0

    def _is_categorical(self, values: Any) -> bool:
        return getattr(values, "dtype", None) == np.dtype(bool) or bool(super()._is_categorical(values))

    def _lookup(self, name: str) -> tuple[Any, set[Any]]:
        expression = readable(name)
        factor = factor_of(name)
        values = self._evaluated(expression) if is_expression(factor) else self.data[factor]
        if expression in self.contrasts:
            if not self._is_categorical(values):
                message = f"contrasts names {expression!r}, which is numeric; write factor(...) in the formula."
                raise ArgumentError(message)
            values = C(values, contrasts=self.contrasts[expression])
        return values, set()

    def _evaluated(self, expression: str) -> Any:
        values = run(expression, dict(self.data.items()), self.state)
        plain = getattr(values, "__wrapped__", values)
        missing = np.zeros(self.nrows, dtype=bool)
        for column in plain.values() if isinstance(plain, dict) else (plain,):
            if np.ndim(column) == 0 or len(column) != self.nrows:
                what = "a single value" if np.ndim(column) == 0 else f"{len(column)} values"
                raise FormulaError(f"{expression!r} gives {what}; one for each of the {self.nrows} rows is needed.")
            missing |= _missing_rows(expression, column, self.labels)
        if missing.any():
            self.missing[expression] = missing
        if isinstance(values, np.ndarray) and values.ndim == 1:
            return pd.Series(values, index=self.data.index)
        return values

    def _build_model_matrix(self, spec: ModelSpec, drop_rows: Sequence[int]) -> Any:
        for term in spec.formula if not spec.structure else ():  # before the factors of any are made
            counts = [self._least_columns(self.factor_cache[factor.expr]) for factor in term.factors]
            self._check_room(readable(str(term)), math.prod(counts))
        return super()._build_model_matrix(spec, drop_rows)

    def _least_columns(self, factor: EvaluatedFactor) -> int:
        if factor.metadata.kind is not Factor.Kind.CATEGORICAL:
            return 1
        return max(1, pd.Series(_plain(factor.values)).nunique() - 1)

    def _encode_evaled_factor(
        self, factor: EvaluatedFactor, spec: ModelSpec, drop_rows: Sequence[int], reduced_rank: bool = False
    ) -> dict[str, Any]:
        categorical = factor.metadata.kind is Factor.Kind.CATEGORICAL
        known = spec.encoder_state.get(factor.expr, [None, {}])[1].get("categories") if categorical else None
        if known is not None:
            _check_levels(factor.expr, factor.values, known)
        encoded = super()._encode_evaled_factor(factor, spec, drop_rows, reduced_rank=reduced_rank)
        if categorical and known is None:
            levels = spec.encoder_state[factor.expr][1].get("categories", ())
            if len(levels) == 1:
                name = readable(factor.expr)
                raise DataError(f"{name!r} has a single level, {str(levels[0])!r}; leave it out of the model.")
        return cast("dict[str, Any]", encoded)

    def _get_columns_for_term(self, factors: list[dict[str, Any]], spec: ModelSpec, scale: float = 1) -> dict[str, Any]:
        count = math.prod(map(len, factors))
        self._check_room(":".join(readable(next(iter(factor), "")).partition("[")[0] for factor in factors), count)
        self.columns += count
        return cast("dict[str, Any]", super()._get_columns_for_term(factors, spec, scale))

    def _check_room(self, name: str, count: int) -> None:
        """Refuse columns beyond number or memory before they are made."""
        total = self.columns + count
        if total > COLUMNS:
            raise DataError(
                f"{name!r} would have {count} columns in the model matrix, of which there may be {COLUMNS}; the levels "
                "of so large a factor are random effects, as in (1 | f)."
            )
        if BYTES_A_VALUE * total * self.nrows > usable_memory():
            raise MemoryLimitError(
                f"{name!r} would have {count} columns of {self.nrows} rows in the model matrix, for which there is no "
                "memory; the levels of a large factor are random effects, as in (1 | f)."
            )


def _plain(values: Any) -> Any:
    return values.__wrapped__ if isinstance(values, FactorValues) else values


def _missing_rows(expression: str, values: Any, labels: pd.Index) -> Mask:
    array = values.to_numpy() if isinstance(values, pd.DataFrame) else values
    dtype = getattr(array, "dtype", None)
    if dtype is not None and dtype.kind in "mMc":
        what = "complex numbers" if dtype.kind == "c" else "times"
        raise DataError(f"{expression!r} gives {what}; convert it to a number.")
    if dtype is not None and dtype.kind == "f":
        numbers = np.asarray(array)
        infinite = np.isinf(numbers).reshape(len(numbers), -1).any(axis=1)
        if infinite.any():
            raise infinite_error(expression, labels[int(np.argmax(infinite))])
    gaps = np.asarray(pd.isna(array))
    return cast(Mask, gaps.reshape(len(gaps), -1).any(axis=1))


def _check_levels(expr: str, values: Any, known: Sequence[Any]) -> None:
    unseen = [value for value in pd.unique(pd.Series(_plain(values)).dropna()) if value not in set(known)]
    if unseen:
        raise NewDataError(new_levels_message(readable(expr), unseen))


def materialize(materializer: Materializer, spec: str | ModelSpec) -> Any:
    """Build the model matrix from text, or from the spec of an earlier one.

    Raises
    ------
    FormulaError
        An expression fails, or formulaic does not understand the terms.
    """
    try:
        with np.errstate(all="ignore"):  # what is not finite is reported by name later
            return materializer.get_model_matrix(spec, na_action="ignore", output="numpy")
    except FactorEvaluationError as error:
        cause = error.__cause__
        if isinstance(cause, LmmError):
            raise cause from cause.__cause__
        raise FormulaError(readable(str(error))) from error
    except LmmError:
        raise
    except MemoryError as error:
        raise MemoryLimitError("there is no memory for the model matrix of these terms") from error
    except (FormulaicError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise FormulaError(f"The terms {readable(str(spec))!r} could not be evaluated: {error}") from error
