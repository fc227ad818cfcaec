"""The fitted model: what was fitted, what came of it, and the same model once more."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lmmsparse.arguments import as_list, as_real, checked_choice, checked_count, shown
from lmmsparse.design.identifiability import redundant_terms
from lmmsparse.design.terms import RandomTerm
from lmmsparse.errors import ArgumentError, IdentifiabilityWarning, SingularFitWarning
from lmmsparse.estimation.again import fit_again
from lmmsparse.estimation.allfit import all_searches
from lmmsparse.estimation.certificate import OptInfo
from lmmsparse.estimation.control import OPTIMIZERS, Control
from lmmsparse.estimation.digits import Fit
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.estimation.many import Refits, refit_responses
from lmmsparse.estimation.messages import warn_of
from lmmsparse.fitted.call import Call
from lmmsparse.fitted.varcorr import VarCorr, smallest_spread, term_covariances
from lmmsparse.frame import ModelFrame
from lmmsparse.frame.libraries import to_library
from lmmsparse.frame.response import check_response, check_responses
from lmmsparse.numerics.readonly import locked
from lmmsparse.objective.linear import Objective

if TYPE_CHECKING:
    from typing_extensions import Self

Float = NDArray[np.float64]
Model = TypeVar("Model", bound="FittedModel")


@dataclass(frozen=True, repr=False, eq=False)
class FittedModel:
    """A fitted model: immutable, and the first argument of all that is asked of a fit.

    What a kind of model can do beyond the facts here is listed in its class in `lmmsparse.models`.

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

    def __post_init__(self) -> None:
        """That the parts are of one fit; what they show is what results are computed from, and read-only."""
        self._check_parts()
        self.__setstate__(vars(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrays are read-only in copies and pickles too."""
        vars(self).update(state)
        locked((self.frame, self.terms, self.estimates, self.optinfo, *(term.labels for term in self.terms)))

    def _check_parts(self) -> None:
        """Refuse parts of different fits, as ``dataclasses.replace(model, frame=...)`` would put together."""
        frame, terms, estimates = self.frame, self.terms, self.estimates
        shapes = [(term.n_levels, len(term.names)) for term in terms]
        alike = (
            (len(frame.y), frame.X.shape[1]) == (len(self.objective.y), len(estimates.beta))
            and [b.shape for b in estimates.b] == shapes
            and len(terms) == len(self.objective.terms)
            and all(one is other for one, other in zip(terms, self.objective.terms, strict=True))
            and all(_is_of(term, frame) for term in terms)
        )
        if not alike:
            raise ArgumentError(
                "these parts are not of one fit; a model for another response, other data or another formula is made "
                "by refit() or update()"
            )

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
        return pd.Series(self.estimates.std_error, index=list(self.frame.fixed_names), name="std_error")

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
        return VarCorr(locked(term_covariances(self.terms, self.estimates)), self.sigma)

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
        least = as_real(tol)
        if least is None or not least >= 0.0:
            raise ArgumentError(f"is_singular: tol must be a number, 0 or more, got {shown(tol)}")
        return smallest_spread(self.terms, self.objective, self.estimates) < least

    @property
    def model_matrix(self) -> pd.DataFrame:
        """X with its column names, one row a kept observation."""
        return pd.DataFrame(self.frame.X.copy(), index=self.frame.index, columns=list(self.frame.fixed_names))

    def __repr__(self) -> str:
        kind = "REML criterion" if self.is_reml else "-2 log-likelihood"
        fit = f"{self.nobs} rows, {kind} {self.criterion:.4f}, {self.optinfo.message}"
        return f"<{type(self).__name__} {self.frame.formula.text!r}: {fit}>"

    def refit(self, y: ArrayLike) -> Self:
        """The same model for another response; only its cross-products are new.

        The search begins at θ̂; where there may be several minima, it begins where that of a new fit would.

        Parameters
        ----------
        y : (n,) array
            Finite; one value for every row of the fit.  A pandas Series or frame has the index of those rows
            (``m.frame.index``), in that order; all else is taken by position.

        Raises
        ------
        ArgumentError
            The response has another length, or values that are not finite numbers.
        DataError
            It is constant, or has another index.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.refit(m.frame.y / 100).fixef.round(3).to_dict()
        {'(Intercept)': 2.514, 'Days': 0.105}
        """
        frame = replace(self.frame, y=check_response(y, self.frame))
        found = fit_again(self.objective.with_response(frame.y_less_offset), self.control, near=self.theta)
        return warned(self._refitted(found, frame=frame, call=replace(self.call, repeatable=False)))

    def allfit(self, starts: int = 20, optimizers: Sequence[str] = OPTIMIZERS) -> Any:
        """Search the criterion from many starts with several optimizers, for who doubts the fit.

        Parameters
        ----------
        starts : int
            θ̂, the usual one, and others with every standard deviation small or large and all directions.
        optimizers : sequence of {"newton", "cobyqa"}

        Returns
        -------
        frame
            One row a search, the lowest first: ``optimizer, start, criterion, converged, evaluations`` and θ̂.  The
            criterion is that of the fit where there is no lower minimum.

        Raises
        ------
        ArgumentError
            An argument is wrong.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> found = m.allfit(starts=5, optimizers=["newton"])
        >>> bool((found["criterion"] >= m.criterion - 1e-6).all())
        True
        """
        count = checked_count("allfit", "starts", starts)
        names = [optimizers] if isinstance(optimizers, str) else as_list(optimizers)
        if not names:
            raise ArgumentError(f"allfit: optimizers must name one or more of {', '.join(OPTIMIZERS)}, got none")
        wanted = [checked_choice("allfit", "optimizers", name, OPTIMIZERS) for name in names]
        return to_library(all_searches(self.objective, self.theta, self.control, count, wanted), self.frame.library)

    def refit_many(self, Y: ArrayLike) -> Refits:
        """The same model for many responses at once, each search warm from θ̂.

        Parameters
        ----------
        Y : (n, m) array
            Finite; one column a response, as `simulate` draws them.  The index of a pandas frame is that of the
            rows of the fit, as in `refit`.

        Returns
        -------
        Refits
            Arrays ``theta`` (m, n_theta), ``beta`` and ``std_error`` (m, p), ``sigma``, ``criterion``, ``converged``,
            ``singular`` (m,).

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> many = m.refit_many(m.simulate(nsim=100, seed=1))
        >>> many.theta.shape, bool(many.converged.all())
        ((100, 3), True)
        """
        values = check_responses(Y, self.frame)
        responses = values if self.frame.offset is None else values - self.frame.offset[:, None]
        return refit_responses(self.objective, responses, self.estimates.theta, self.control)

    def refit_ml(self) -> Self:
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
        return warned(self._refitted(fit_again(self.objective.with_reml(False), self.control)))

    def update(self, formula: str | None = None, **changes: Any) -> Self:
        """The model fitted again to the same data, to which it keeps a reference, with something changed.

        Parameters
        ----------
        formula : str, optional
            A change of the formula as in R: ``.`` stands for what was on that side, terms after a minus sign are taken
            away, such as ``". ~ . + x - (Days | Subject) + (1 | Subject)"``.
        **changes
            Arguments of `lmmsparse.lmer` that are to differ: ``data``, ``REML``, ``weights``, ….

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
        criterion = {"REML": self.is_reml} if len(self.frame.fixed_names) else {}
        fitted: Self = self.call.again(formula, {**criterion, **changes})
        return fitted

    def _refitted(self, found: Fit, **changes: Any) -> Self:
        return replace(self, objective=found.objective, estimates=found.estimates, optinfo=found.info, **changes)


def _is_of(term: RandomTerm, frame: ModelFrame) -> bool:
    """Whether a term has the rows of a frame: the very arrays."""
    bar = frame.bars[term.bar] if term.bar < len(frame.bars) else None
    known = frame.groupings.get(term.group)
    return bar is not None and known is not None and term.columns is bar.columns and term.codes is known.codes


def warned(model: Model) -> Model:
    """The model, after warnings of what a reader must know of it, at the line that called its caller."""
    redundant = redundant_terms(model.objective.design, model.terms, model.frame.weights)
    names = model.optinfo.flat or tuple(name for t in redundant for name in model.terms[t].theta_names)
    warn_of(model.estimates, model.optinfo, names, stacklevel=4)
    return model


def as_ml(model: Model) -> Model:
    """The model by maximum likelihood; what was said of its REML fit is not said again."""
    if not model.is_reml:
        return model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        warnings.simplefilter("ignore", IdentifiabilityWarning)
        return model.refit_ml()
