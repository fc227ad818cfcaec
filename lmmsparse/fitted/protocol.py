"""What the inference rooms read of a fitted model."""

from __future__ import annotations

from typing import Any, Protocol

import pandas as pd

from lmmsparse.design.terms import RandomTerm
from lmmsparse.estimation.control import Control
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.estimation.fit import OptInfo
from lmmsparse.fitted.call import Call
from lmmsparse.fitted.varcorr import VarCorr
from lmmsparse.frame import ModelFrame
from lmmsparse.inference.kenward_roger import KenwardRoger
from lmmsparse.inference.uncertainty import Uncertainty
from lmmsparse.objective.linear import Objective


class Fitted(Protocol):
    """A `LinearMixedModel`, as the rooms before it see it."""

    @property
    def frame(self) -> ModelFrame:
        """Rows kept, matrices and grouping factors."""

    @property
    def terms(self) -> tuple[RandomTerm, ...]:
        """Random-effect terms."""

    @property
    def objective(self) -> Objective:
        """The criterion as a function of θ."""

    @property
    def estimates(self) -> Estimates:
        """Estimates in the user's units."""

    @property
    def optinfo(self) -> OptInfo:
        """Record of the search."""

    @property
    def control(self) -> Control:
        """Settings of the fit."""

    @property
    def call(self) -> Call:
        """How it was called."""

    @property
    def fixef(self) -> pd.Series:
        """Fixed effects."""

    @property
    def is_reml(self) -> bool:
        """Fitted by REML."""

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""

    @property
    def varcorr(self) -> VarCorr:
        """Standard deviations and correlations."""

    @property
    def criterion(self) -> float:
        """What was minimised."""

    @property
    def uncertainty(self) -> Uncertainty:
        """Second derivatives at the optimum."""

    @property
    def kenward_roger(self) -> KenwardRoger:
        """Kenward and Roger's adjustment."""

    def refit_ml(self) -> Any:
        """The same model by maximum likelihood."""
