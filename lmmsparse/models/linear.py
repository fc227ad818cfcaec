"""The fitted model: immutable, with its extractors.  Methods orchestrate; numbers are computed in the rooms below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.design.terms import RandomTerm
from lmmsparse.diagnostics.influence.influence import Diagnosing
from lmmsparse.estimation.control import Control
from lmmsparse.estimation.fit import controlled_fit
from lmmsparse.estimation.messages import notes, warn_of
from lmmsparse.fitted.call import Call
from lmmsparse.fitted.effects import coefficient_frames
from lmmsparse.fitted.getme import Parts, extract
from lmmsparse.fitted.model import FittedModel
from lmmsparse.frame import ModelFrame
from lmmsparse.inference.bootstrap.bootstrap import Resampling
from lmmsparse.inference.ddf import checked_ddf
from lmmsparse.inference.hypotheses.drop1 import drop1
from lmmsparse.inference.hypotheses.ranova import ranova
from lmmsparse.inference.hypotheses.tests import anova_of_terms, contest
from lmmsparse.inference.profile.profile import Profiling
from lmmsparse.models.explaining import Explaining
from lmmsparse.models.hints import hint
from lmmsparse.objective.linear import Objective
from lmmsparse.prediction.predict import Predicting
from lmmsparse.report.summary import Summary, summarize
from lmmsparse.report.tidy import Reporting

Float = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class LinearMixedModel(Reporting, Profiling, Resampling, Explaining, Predicting, Diagnosing, FittedModel):
    """A linear mixed model fitted by `lmmsparse.models.lmer`."""

    # hypotheses
    contest = contest
    anova = anova_of_terms
    drop1 = drop1
    ranova = ranova

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

    def __str__(self) -> str:
        return self.summary(ddf=None).brief()

    if not TYPE_CHECKING:  # a checker is to know what there is

        def __getattr__(self, name: str) -> Any:
            """Of an unknown attribute: say where a name of lme4's or statsmodels' is here."""
            advice = hint(name)
            if advice is None:
                return object.__getattribute__(self, name)  # the usual error, or that of a property
            raise AttributeError(f"a fitted model has no {name!r}; {advice}")


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
