"""Linear mixed models by sparse penalized least squares.

>>> from lmmsparse import lmer, load_dataset
>>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))

`lmmsparse.modular` has the stages behind `lmer`, and `lmmsparse.results` the classes of what the methods of a model
return, for type hints and ``isinstance``; most of both can be had from here too.
"""

from importlib.metadata import version as _version

from lmmsparse.datasets import list_datasets, load_dataset
from lmmsparse.design.terms import random_terms
from lmmsparse.diagnostics.influence import Influence
from lmmsparse.diagnostics.singularity import Singularity
from lmmsparse.errors import LmmError, LmmWarning
from lmmsparse.estimation.control import Control
from lmmsparse.estimation.fit import fit
from lmmsparse.estimation.many import Refits
from lmmsparse.fitted.varcorr import VarCorr
from lmmsparse.formula import parse_formula
from lmmsparse.frame import build_model_frame
from lmmsparse.inference import anova
from lmmsparse.inference.bootstrap.result import Bootstrap
from lmmsparse.inference.profile.curves import Profile
from lmmsparse.models.linear import LinearMixedModel
from lmmsparse.models.lmer import lmer
from lmmsparse.objective.linear import Objective, make_objective
from lmmsparse.report.summary import Summary
from lmmsparse.variance.marginal import MarginalCovariance
from lmmsparse.variance.shares import IntraclassCorrelation, RSquared

__version__ = _version("lmmsparse")

__all__ = [
    "Bootstrap",
    "Control",
    "Influence",
    "IntraclassCorrelation",
    "LinearMixedModel",
    "LmmError",
    "LmmWarning",
    "MarginalCovariance",
    "Objective",
    "Profile",
    "RSquared",
    "Refits",
    "Singularity",
    "Summary",
    "VarCorr",
    "anova",
    "build_model_frame",
    "fit",
    "list_datasets",
    "lmer",
    "load_dataset",
    "make_objective",
    "parse_formula",
    "random_terms",
]
