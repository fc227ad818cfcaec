"""The fit in one row."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lmmsparse.fitted.model import FittedModel
from lmmsparse.frame.libraries import to_library


def glance(model: FittedModel) -> Any:
    """The fit in one row.

    Returns
    -------
    frame
        Columns ``nobs, sigma, loglik, aic, bic, criterion, method, df, df_resid, converged, singular``; ``method``
        is ``"REML"`` or ``"ML"``, and ``criterion`` what was minimised.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.glance()[["nobs", "sigma", "criterion", "method", "df"]].round(2)
       nobs  sigma  criterion method  df
    0   180  25.59    1743.63   REML   6
    """
    row = {
        "nobs": model.nobs,
        "sigma": model.sigma,
        "loglik": model.loglik,
        "aic": model.aic,
        "bic": model.bic,
        "criterion": model.criterion,
        "method": "REML" if model.is_reml else "ML",
        "df": model.df,
        "df_resid": model.df_resid,
        "converged": bool(model.converged),
        "singular": bool(model.estimates.singular),
    }
    return to_library(pd.DataFrame([row]), model.frame.library)
