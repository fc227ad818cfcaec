"""Tables of estimates, one row a parameter, as pandas frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.fitted.effects import mode_covariances, mode_frames, terms_by_group
from lmmsparse.fitted.model import FittedModel
from lmmsparse.inference.conf_int import variance_intervals
from lmmsparse.inference.ddf import fixed_tests
from lmmsparse.inference.intervals import t_intervals
from lmmsparse.inference.parameters import variance_parameters
from lmmsparse.inference.vcov import variance_estimates

Float = NDArray[np.float64]

TEXTS = ("effect", "group", "level", "term")
COLUMNS = (
    "effect",
    "group",
    "level",
    "term",
    "estimate",
    "std_error",
    "statistic",
    "df",
    "p_value",
    "conf_low",
    "conf_high",
)


def fixed_table(model: FittedModel, method: str | None, level: float) -> pd.DataFrame:
    """Fixed effects with their tests and intervals; normal quantiles without degrees of freedom."""
    tests = fixed_tests(model, method)
    df = np.full(len(tests.df), np.inf) if method is None else tests.df
    limits = t_intervals(tests.estimate, tests.std_error, df, level)
    return _table(
        effect="fixed",
        group=None,
        term=list(model.fixef.index),
        estimate=tests.estimate,
        std_error=tests.std_error,
        statistic=tests.statistic,
        df=tests.df,
        p_value=tests.p_value,
        limits=limits,
    )


def variance_table(model: FittedModel, level: float) -> pd.DataFrame:
    """Standard deviations and correlations of the random effects, and σ."""
    parameters = variance_parameters(model.terms)
    values, covariance = variance_estimates(model)
    errors = np.sqrt(np.diag(covariance))
    return _table(
        effect="ran_pars",
        group=[parameter.group for parameter in parameters],
        term=[parameter.label for parameter in parameters],
        estimate=values,
        std_error=errors,
        limits=variance_intervals(model, values, errors, level),
    )


def mode_table(model: FittedModel, level: float) -> pd.DataFrame:
    """Conditional modes of the random effects with their conditional standard deviations."""
    frames = mode_frames(model.terms, model.estimates.b, "pandas")
    covariances = mode_covariances(model.terms, model.objective, model.estimates)
    tables = []
    for group in terms_by_group(model.terms):
        frame, spread = frames[group], np.sqrt(np.einsum("qkk->qk", covariances[group]))
        estimate, error = frame.to_numpy().ravel(), spread.ravel()
        tables.append(
            _table(
                effect="ran_vals",
                group=group,
                level=[str(label) for label in np.repeat(frame.index.to_numpy(), frame.shape[1])],
                term=list(frame.columns) * len(frame),
                estimate=estimate,
                std_error=error,
                limits=t_intervals(estimate, error, np.full(len(error), np.inf), level),
            )
        )
    return pd.concat(tables, ignore_index=True)


def joined_tables(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables one under the other; text that only some of them have is None in the rows of the others."""
    if len(tables) == 1:
        return tables[0]
    names = [name for name in COLUMNS if any(name in table for table in tables)]
    texts = [name for name in names if name in TEXTS]
    as_objects = dict.fromkeys(texts, object)
    filled = [table.assign(**{name: table.get(name) for name in texts}).astype(as_objects)[names] for table in tables]
    joined = pd.concat(filled, ignore_index=True)
    return joined.assign(**{name: joined[name].where(joined[name].notna(), None) for name in texts})


def _table(*, estimate: Float, limits: Float, **columns: object) -> pd.DataFrame:
    """The columns in their order; what a kind of effect does not have is NaN, and ``level`` left out."""
    numbers = dict.fromkeys(("std_error", "statistic", "df", "p_value"), np.nan)
    content = numbers | columns | {"estimate": estimate, "conf_low": limits[:, 0], "conf_high": limits[:, 1]}
    names = [name for name in COLUMNS if name in content]
    return pd.DataFrame({name: content[name] for name in names}, index=pd.RangeIndex(len(estimate)))
