"""Tests of every fixed effect by the method of degrees of freedom that is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from lmmsparse.errors import ArgumentError
from lmmsparse.fitted.model import FittedModel
from lmmsparse.inference.kenward_roger import kenward_roger_of, kr_test
from lmmsparse.inference.uncertainty import uncertainty_of
from lmmsparse.inference.wald import TTest, t_tests

Float = NDArray[np.float64]

#: Names of the methods and what a summary calls them.
METHODS = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward-Roger"}


def checked_ddf(ddf: Any, where: str, reml: bool) -> str | None:
    """A method of degrees of freedom, or None for none.

    Raises
    ------
    ArgumentError
        It is unknown, or Kenward and Roger's is asked of an ML fit.
    """
    if ddf is None:
        return None
    method = ddf.lower().replace("_", "-") if isinstance(ddf, str) else ddf
    if not isinstance(method, str) or method not in METHODS:
        raise ArgumentError(f"{where}: ddf must be 'satterthwaite', 'kenward-roger' or None, got {ddf!r}")
    if method == "kenward-roger" and not reml:
        raise ArgumentError(
            f"{where}: Kenward and Roger's method needs a REML fit, and this one is by maximum likelihood; "
            "fit with REML=True, or ask for ddf='satterthwaite'"
        )
    return method


def fixed_tests(model: FittedModel, method: str | None) -> TTest:
    """Test of every fixed effect; without a method, or with a residual variance of zero, df and p-values are NaN."""
    beta, count = model.estimates.beta, len(model.estimates.beta)
    if not count or method is None or model.estimates.perfect:
        error, nothing = np.sqrt(np.diag(model.estimates.fixed_covariance)), np.full(count, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            return TTest(beta, error, nothing, beta / error, nothing)
    if method == "satterthwaite":
        return t_tests(np.eye(count), beta, uncertainty_of(model))
    known = kenward_roger_of(model)
    error = np.sqrt(np.diag(known.adjusted))
    df = np.array([kr_test(row[None], beta, known).den_df for row in np.eye(count)])
    statistic = beta / error
    return TTest(beta, error, df, statistic, np.asarray(2.0 * stdtr(df, -np.abs(statistic))))
