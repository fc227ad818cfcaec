"""The fitted model: immutable, with its extractors.  Methods orchestrate; numbers are computed in the rooms below."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lmmsparse.design.terms import RandomTerm
from lmmsparse.diagnostics.influence.influence import Diagnosing
from lmmsparse.errors import ArgumentError
from lmmsparse.estimation.control import Control
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.estimation.fit import OptInfo, controlled_fit, start_near
from lmmsparse.estimation.messages import notes, warn_of
from lmmsparse.fitted.call import Call
from lmmsparse.fitted.effects import coefficient_frames, smallest_spread, term_covariances
from lmmsparse.fitted.getme import Parts, extract
from lmmsparse.fitted.varcorr import VarCorr
from lmmsparse.frame import ModelFrame
from lmmsparse.frame.response import check_response
from lmmsparse.inference.bootstrap.bootstrap import Resampling
from lmmsparse.inference.ddf import checked_ddf
from lmmsparse.inference.hypotheses.tests import Testing
from lmmsparse.inference.profile.profile import Profiling
from lmmsparse.models.explaining import Explaining
from lmmsparse.models.hints import hint
from lmmsparse.objective.linear import Objective
from lmmsparse.prediction.predict import Predicting
from lmmsparse.report.summary import Summary, summarize
from lmmsparse.report.tidy import Reporting

Float = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class LinearMixedModel(Testing, Reporting, Profiling, Resampling, Explaining, Predicting, Diagnosing):
    """A linear mixed model fitted by `lmmsparse.models.lmer`.

    Attributes
    ----------
    frame : ModelFrame
        Rows kept, matrices and grouping factors.
    terms : tuple of RandomTerm
        Random-effect terms in the order of θ.
    objective : Objective
        The criterion as a function of θ: ``m.objective(theta)``, ``m.objective.gradient(theta)``.
    estimates : Estimates
    optinfo : OptInfo
        Record of the search.
    control : Control
    call : Call
        What it was called with.
    """

    frame: ModelFrame
    terms: tuple[RandomTerm, ...]
    objective: Objective
    estimates: Estimates
    optinfo: OptInfo
    control: Control
    call: Call

    @property
    def fixef(self) -> pd.Series:
        """Fixed-effect estimates β̂ by name."""
        return pd.Series(self.estimates.beta.copy(), index=list(self.frame.fixed_names), name="estimate")

    @property
    def params(self) -> pd.Series:
        """Alias of `fixef`."""
        return self.fixef

    @property
    def bse(self) -> pd.Series:
        """Standard errors of β̂."""
        values = np.sqrt(np.diag(self.estimates.fixed_covariance))
        return pd.Series(values, index=list(self.frame.fixed_names), name="std_error")

    @property
    def tvalues(self) -> pd.Series:
        """β̂ over its standard error."""
        return (self.fixef / self.bse).rename("statistic")

    @property
    def theta(self) -> Float:
        """Parameters θ̂ of the relative covariance factors, (n_theta,)."""
        return self.estimates.theta.copy()

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Names of θ as lme4 writes them."""
        return self.objective.theta_names

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return self.estimates.sigma

    @cached_property
    def varcorr(self) -> VarCorr:
        """Standard deviations and correlations of the random effects."""
        return VarCorr(term_covariances(self.terms, self.estimates), self.sigma)

    def coef(self) -> dict[str, Any]:
        """Fixed plus random effects of every level.

        Returns
        -------
        dict of str to frame
            A frame for every grouping factor: one row a level, one column an effect.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.coef()["Subject"].head(2).round(2)
             (Intercept)   Days
        308       253.66  19.67
        309       211.01   1.85
        """
        return coefficient_frames(self.terms, self.estimates.b, self.fixef, self.frame.library)

    @property
    def is_reml(self) -> bool:
        """True when the REML criterion was minimised."""
        return self.objective.reml

    @property
    def criterion(self) -> float:
        """What was minimised: the REML criterion or −2 log-likelihood."""
        return self.estimates.criterion

    @property
    def loglik(self) -> float:
        """Log-likelihood, or restricted log-likelihood of a REML fit."""
        return -0.5 * self.criterion

    @cached_property
    def deviance(self) -> float:
        """−2 log-likelihood (not restricted) at θ̂, β and σ profiled out; equals `criterion` for ML fits."""
        if not self.is_reml:
            return self.criterion
        return self.objective.with_reml(False)(self.theta)

    @property
    def df(self) -> int:
        """Number of parameters: p fixed effects, θ and σ."""
        return len(self.frame.fixed_names) + len(self.theta_names) + 1

    @property
    def df_resid(self) -> int:
        """Observations minus `df`."""
        return self.nobs - self.df

    @property
    def aic(self) -> float:
        """−2 `loglik` + 2 `df`."""
        return self.criterion + 2.0 * self.df

    @property
    def bic(self) -> float:
        """−2 `loglik` + log(n) `df`."""
        return self.criterion + float(np.log(self.nobs)) * self.df

    @property
    def nobs(self) -> int:
        """Number of observations n."""
        return len(self.frame.y)

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of every grouping factor."""
        return {term.group: term.n_levels for term in self.terms}

    @property
    def converged(self) -> bool:
        """The search ended with its certificate; see `optinfo`."""
        return self.optinfo.converged

    def is_singular(self, tol: float = 1e-4) -> bool:
        """True when the covariance matrix of a term is singular, or nearly so.

        Parameters
        ----------
        tol : float
            Smallest relative standard deviation (in units of the residual one, for columns of unit mean square).

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.is_singular()
        False
        """
        return smallest_spread(self.terms, self.objective, self.estimates) < tol

    @property
    def model_matrix(self) -> pd.DataFrame:
        """X with its column names, one row a kept observation."""
        return pd.DataFrame(self.frame.X.copy(), index=self.frame.index, columns=list(self.frame.fixed_names))

    def getme(self, name: str) -> Any:
        """A part of the model by lme4's name: ``X``, ``Z``, ``theta``, ``u``, ``b``, ``Lambda``, ``RX``, ``cnms`` ….

        Parameters
        ----------
        name : str

        Raises
        ------
        ArgumentError
            There is no such part; the message lists them.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.getme("cnms")
        [('Subject', ['(Intercept)', 'Days'])]
        """
        return extract(name, Parts(self.frame, self.terms, self.objective, self.estimates))

    def summary(self, ddf: str | None = "satterthwaite") -> Summary:
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
        method = checked_ddf(ddf, "summary", self.is_reml)
        return summarize(self, self.call, notes(self.frame, self.optinfo), method)

    if not TYPE_CHECKING:  # a checker is to know what there is

        def __getattr__(self, name: str) -> Any:
            """Of an unknown attribute: say where a name of lme4's or statsmodels' is here."""
            advice = hint(name)
            if advice is None:
                return object.__getattribute__(self, name)  # the usual error, or that of a property
            raise AttributeError(f"a fitted model has no {name!r}; {advice}")

    def __str__(self) -> str:
        return self.summary(ddf=None).brief()

    def __repr__(self) -> str:
        kind = "REML criterion" if self.is_reml else "-2 log-likelihood"
        fit = f"{self.nobs} rows, {kind} {self.criterion:.4f}, {self.optinfo.message}"
        return f"<LinearMixedModel {self.frame.formula.text!r}: {fit}>"

    def refit(self, y: ArrayLike) -> LinearMixedModel:
        """The same model for another response; only its cross-products are new, and the search begins at θ̂.

        Parameters
        ----------
        y : (n,) array
            Finite; one value for every row of the fit.

        Raises
        ------
        ArgumentError
            The response has another length, or values that are not finite numbers.
        DataError
            It is constant.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.refit(m.frame.y / 100).fixef.round(3).to_dict()
        {'(Intercept)': 2.514, 'Days': 0.105}
        """
        frame = replace(self.frame, y=check_response(y, self.frame))
        objective = self.objective.with_response(frame.y_less_offset)
        start = start_near(objective, self.theta)
        return fitted_model(frame, self.terms, objective, self.control, self.call, start=start)

    def refit_ml(self) -> LinearMixedModel:
        """The same model fitted by maximum likelihood; the model itself when it was.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> round(m.refit_ml().criterion, 3)
        1751.939
        """
        if not self.is_reml:
            return self
        objective = self.objective.with_reml(False)
        return fitted_model(self.frame, self.terms, objective, self.control, self.call)

    def update(self, formula: str | None = None, **changes: Any) -> LinearMixedModel:
        """The model fitted again to the same data, to which it keeps a reference, with something changed.

        Parameters
        ----------
        formula : str, optional
            A change of the formula as in R: ``.`` stands for what was on that side, terms after a minus sign are taken
            away, such as ``". ~ . + x - (Days | Subject) + (1 | Subject)"``.
        **changes
            Arguments of `lmmsparse.models.lmer` that are to differ: ``data``, ``REML``, ``weights``, ….

        Raises
        ------
        FormulaError
            The change cannot be read, or takes away a random-effects term that is not there.
        ArgumentError
            An argument is unknown, or the model is one for another response or other rows than the data hold.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.update(". ~ . - (Days | Subject) + (1 | Subject)", REML=False).frame.formula.text
        'Reaction ~ Days + (1 | Subject)'
        """
        if self.frame is not self.call.frame:
            raise ArgumentError("update: this model was made from another one by new responses or rows; update that")
        criterion = {"REML": self.is_reml} if len(self.frame.fixed_names) else {}
        fitted: LinearMixedModel = self.call.again(formula, {**criterion, **changes})
        return fitted


def fitted_model(
    frame: ModelFrame,
    terms: tuple[RandomTerm, ...],
    objective: Objective,
    control: Control,
    call: Call,
    *,
    start: Float | None = None,
    watch: Any = None,
) -> LinearMixedModel:
    """Fit an objective and wrap the estimates; warns of what a reader of the result must know."""
    estimates, info = controlled_fit(objective, control, start=start, watch=watch)
    warn_of(estimates, info, objective, stacklevel=4)
    return LinearMixedModel(frame, terms, objective, estimates, info, control, call)
