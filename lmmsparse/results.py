"""The classes of what a fitted model holds and of what its methods return, for type hints and ``isinstance``."""

from lmmsparse.diagnostics.directions import TermRank
from lmmsparse.diagnostics.influence.result import Influence
from lmmsparse.diagnostics.simpler_formulas import Alternative
from lmmsparse.diagnostics.singularity import Singularity
from lmmsparse.estimation.certificate import OptInfo
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.estimation.many import Refits
from lmmsparse.fitted.model import FittedModel
from lmmsparse.fitted.varcorr import TermCovariance, VarCorr
from lmmsparse.inference.bootstrap.result import Bootstrap
from lmmsparse.inference.kenward_roger import KenwardRoger
from lmmsparse.inference.profile.curves import Profile, ProfileCurve
from lmmsparse.inference.uncertainty import Uncertainty
from lmmsparse.models.linear import LinearMixedModel
from lmmsparse.report.summary import Summary
from lmmsparse.variance.marginal import MarginalCovariance
from lmmsparse.variance.shares import IntraclassCorrelation, RSquared, VarianceParts

__all__ = [
    "Alternative",
    "Bootstrap",
    "Estimates",
    "FittedModel",
    "Influence",
    "IntraclassCorrelation",
    "KenwardRoger",
    "LinearMixedModel",
    "MarginalCovariance",
    "OptInfo",
    "Profile",
    "ProfileCurve",
    "RSquared",
    "Refits",
    "Singularity",
    "Summary",
    "TermCovariance",
    "TermRank",
    "Uncertainty",
    "VarCorr",
    "VarianceParts",
]
