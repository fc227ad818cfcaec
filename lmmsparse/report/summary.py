"""The report of a fit, in the words and digits of lme4's ``summary``."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.diagnostics.residuals import resid
from lmmsparse.errors import LmmError
from lmmsparse.estimation.messages import notes
from lmmsparse.fitted.model import FittedModel
from lmmsparse.fitted.remembered import is_remembered
from lmmsparse.fitted.varcorr import VarCorr
from lmmsparse.inference.ddf import METHODS, checked_ddf, fixed_tests
from lmmsparse.inference.uncertainty import uncertainty_of
from lmmsparse.rprint.numbers import DEFAULT_DIGITS, format_numbers, round_decimals, zap_small
from lmmsparse.rprint.tables import (
    COEFFICIENT_DIGITS,
    LINE_WIDTH,
    coefficient_lines,
    correlation_lines,
    filled_lines,
    varcorr_lines,
    vector_lines,
)

Float = NDArray[np.float64]

#: With more fixed effects their correlations are not shown.
MOST_CORRELATED = 12
# Flops that degrees of freedom may take without being asked for: some ten seconds.
AFFORDABLE = 3e11
#: The words that tell a message about a singular fit.
SINGULAR_FIT = "boundary (singular) fit"


@dataclass(frozen=True, eq=False)
class Summary:
    """What there is to report of a fit, from `LinearMixedModel.summary`; ``print(summary)`` shows it.

    Attributes
    ----------
    reml : bool
        The criterion is REML's.
    formula : str
        The formula as the user wrote it.
    data_name : str or None
        Name of the data; its line is left out when None.
    criterion : float
        What was minimised: the REML criterion, or −2 log L.
    aic, bic, loglik, deviance : float
    df_resid : int
        Observations less parameters.
    scaled_residuals : (n,) array
        Residuals divided by σ̂; NaN is left out.
    varcorr : VarCorr
    nobs : int
        Observations.
    ngroups : dict of str to int
        Levels of each grouping factor.
    coefficients : (p, 3) or (p, 5) DataFrame
        Columns ``estimate``, ``std_error``, ``statistic`` and, with tests, ``df`` and ``p_value``; the index
        holds the names.
    correlation : (p, p) DataFrame or None
        Correlations of the fixed effects.
    weights, offset, subset : str or None
        Descriptions, shown below the formula.
    messages : tuple of str
        Those on a singular fit come last, all others under the heading ``fit warnings:``.
    ddf : str
        Method of the degrees of freedom, named when ``coefficients`` has them.
    remark : str or None
        Said below the fixed effects.
    """

    reml: bool
    formula: str
    data_name: str | None
    criterion: float
    aic: float
    bic: float
    loglik: float
    deviance: float
    df_resid: int
    scaled_residuals: Float
    varcorr: VarCorr
    nobs: int
    ngroups: dict[str, int]
    coefficients: pd.DataFrame
    correlation: pd.DataFrame | None = None
    weights: str | None = None
    offset: str | None = None
    subset: str | None = None
    messages: tuple[str, ...] = ()
    ddf: str = "Satterthwaite"
    remark: str | None = None

    def __str__(self) -> str:
        lines = [
            *_title_lines(self, tested="df" in self.coefficients),
            *_call_lines(self),
            "",
            *_criterion_lines(self, decimals=1),
            "",
            *_residual_lines(self.scaled_residuals),
            "",
            "Random effects:",
            *varcorr_lines(self.varcorr.to_frame(), digits=COEFFICIENT_DIGITS),
            *_size_lines(self),
            *_fixed_effect_lines(self),
            *_message_lines(self.messages),
            *_too_many_lines(len(self.coefficients)),
        ]
        return "\n".join(lines)

    __repr__ = __str__

    def brief(self) -> str:
        """The shorter text that lme4 prints for a model.

        Returns
        -------
        str
            Without residuals, standard errors and correlations of the fixed effects.
        """
        estimates = self.coefficients["estimate"]
        names = [str(name) for name in estimates.index]
        texts = format_numbers(estimates, COEFFICIENT_DIGITS)
        lines = [
            *_title_lines(self, tested=False),
            *_call_lines(self),
            *_criterion_lines(self, decimals=4),
            "Random effects:",
            *varcorr_lines(self.varcorr.to_frame(), ("Std.Dev.",), COEFFICIENT_DIGITS),
            *_size_lines(self),
            "Fixed Effects:" if names else "No fixed effect coefficients",
            *vector_lines(names, texts, gap=2),
            *_message_lines(self.messages),
        ]
        return "\n".join(lines)


def summary(model: FittedModel, ddf: str | None = "satterthwaite") -> Summary:
    """The fit as lmerTest's ``summary`` prints it; ``print(m.summary())``.

    Parameters
    ----------
    ddf : {"satterthwaite", "kenward-roger", None}
        Degrees of freedom of the t tests; None for lme4's summary, without them.  Where they would take long
        or cannot be had, the summary is without them and says so.

    Raises
    ------
    ArgumentError
        The method is unknown, or Kenward and Roger's is asked of an ML fit.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (1 | Subject)", load_dataset("sleepstudy"))
    >>> m.summary(ddf="kenward-roger").coefficients[["std_error", "df"]].round(2)
                 std_error      df
    (Intercept)       9.75   22.81
    Days              0.80  161.00
    """
    method = checked_ddf(ddf, "summary", model.is_reml)
    coefficients, remark = _coefficients(model, method)
    covariance, correlation = model.estimates.unit_covariance, None
    if len(covariance) > 1:
        sd, names = np.sqrt(np.diag(covariance)), model.bse.index
        correlation = pd.DataFrame(covariance / np.outer(sd, sd), names, names)
    return Summary(
        reml=model.is_reml,
        formula=model.frame.formula.text,
        data_name=model.call.data,
        weights=model.call.weights,
        offset=model.call.offset,
        subset=model.call.subset,
        criterion=model.criterion,
        aic=model.aic,
        bic=model.bic,
        loglik=model.loglik,
        deviance=model.deviance,
        df_resid=model.df_resid,
        scaled_residuals=resid(model, "scaled").dropna().to_numpy(),
        varcorr=model.varcorr,
        nobs=model.nobs,
        ngroups=model.ngroups,
        coefficients=coefficients,
        correlation=correlation,
        messages=notes(model.frame, model.optinfo),
        ddf=METHODS[method or "satterthwaite"],
        remark=remark,
    )


def brief(model: FittedModel) -> str:
    """The text that lme4 prints for a model."""
    return summary(model, ddf=None).brief()


def _coefficients(model: FittedModel, ddf: str | None) -> tuple[pd.DataFrame, str | None]:
    """Table of the fixed effects, and why it has no degrees of freedom where they were wanted."""
    plain = pd.DataFrame({"estimate": model.fixef, "std_error": model.bse, "statistic": model.tvalues})
    if ddf is None or plain.empty:
        return plain, None
    if model.estimates.perfect:
        return plain, "no degrees of freedom: the residual variance is zero"
    flops = 0.0 if is_remembered(uncertainty_of, model) else 2.0 * len(model.theta) * model.optinfo.plan.flops
    if ddf == "satterthwaite" and flops > AFFORDABLE:
        return plain, "no degrees of freedom: they take long in a model of this size; call df_fixed() before summary()"
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            tests = fixed_tests(model, ddf)
    except (LmmError, np.linalg.LinAlgError) as error:
        return plain, f"no degrees of freedom: {error}"
    if not np.isfinite(tests.df).all():
        return plain, "no degrees of freedom: the data say too little of the variances"
    columns = {"estimate": tests.estimate, "std_error": tests.std_error, "df": tests.df}
    columns |= {"statistic": tests.statistic, "p_value": tests.p_value}
    return pd.DataFrame(columns, index=plain.index), None


def _title_lines(summary: Summary, tested: bool) -> list[str]:
    title = "Linear mixed model fit by " + ("REML" if summary.reml else "maximum likelihood ")
    if not tested:
        return [f"{title} ['lmerMod']"]
    # With tests the title is too long for a line. R breaks sentences to less than its width - 2 and then fills lines.
    title = f"{title}. t-tests use {summary.ddf}'s method"
    pieces = textwrap.wrap(title, LINE_WIDTH - 3, subsequent_indent="  ")
    return filled_lines([*pieces, " [", "lmerModLmerTest", "]"], separator="")


def _call_lines(summary: Summary) -> list[str]:
    parts = {
        "Formula: ": summary.formula,
        "   Data: ": summary.data_name,
        "Weights: ": summary.weights,
        " Offset: ": summary.offset,
        " Subset: ": summary.subset,
    }
    return [label + re.sub(r"\s*\n\s*", " ", text.strip()) for label, text in parts.items() if text is not None]


def _criterion_lines(summary: Summary, decimals: int) -> list[str]:
    if summary.reml:
        return [f"REML criterion at convergence: {format_numbers(round_decimals(summary.criterion, decimals))[0]}"]
    values = round_decimals([summary.aic, summary.bic, summary.loglik, summary.deviance], decimals)
    # The count takes part in the choice of digits and is then shown without decimals.
    texts = format_numbers([*values, summary.df_resid], DEFAULT_DIGITS)[:-1]
    return vector_lines(["AIC", "BIC", "logLik", "deviance", "df.resid"], [*texts, *format_numbers(summary.df_resid)])


def _residual_lines(residuals: Float) -> list[str]:
    quartiles = zap_small(_quartiles(residuals), COEFFICIENT_DIGITS + 1)
    texts = format_numbers(quartiles, COEFFICIENT_DIGITS)
    return ["Scaled residuals: ", *vector_lines(["Min", "1Q", "Median", "3Q", "Max"], texts)]


def _quartiles(values: Float) -> Float:
    """Minimum, quartiles and maximum of what is not NaN, (5,), interpolated between order statistics."""
    x = np.sort(values[~np.isnan(values)])
    if not x.size:
        return np.full(5, np.nan)
    position = (len(x) - 1) * np.arange(5) / 4
    low, share = np.floor(position).astype(np.intp), position % 1
    high = np.minimum(low + 1, len(x) - 1)
    # An infinite neighbour must not enter with a share of zero.
    with np.errstate(invalid="ignore"):
        between = (1 - share) * x[low] + share * x[high]
    return np.where((share == 0) | (x[low] == x[high]), x[low], between)


def _size_lines(summary: Summary) -> list[str]:
    groups = "; ".join(f"{name}, {count}" for name, count in summary.ngroups.items())
    return filled_lines([f"Number of obs: {summary.nobs}, groups: ", groups])


def _fixed_effect_lines(summary: Summary) -> list[str]:
    count = len(summary.coefficients)
    if not count:
        return []
    lines = ["", "Fixed effects:", *coefficient_lines(summary.coefficients)]
    lines += [] if summary.remark is None else [summary.remark]
    if summary.correlation is not None and 1 < count <= MOST_CORRELATED:
        lines += ["", "Correlation of Fixed Effects:", *correlation_lines(summary.correlation)]
    return lines


def _message_lines(messages: tuple[str, ...]) -> list[str]:
    singular = [text for text in messages if SINGULAR_FIT in text]
    others = [text for text in messages if SINGULAR_FIT not in text]
    return [*(["fit warnings:", *others] if others else []), *singular]


def _too_many_lines(count: int) -> list[str]:
    if count <= MOST_CORRELATED:
        return []
    return [
        "",
        f"Correlation matrix not shown by default, as p = {count} > {MOST_CORRELATED}.",
        "Use m.vcov() if you need it.",
    ]
