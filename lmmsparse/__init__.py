"""Linear mixed models by sparse penalized least squares.

>>> from lmmsparse import lmer, load_dataset
>>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))

The stages behind `lmer` are public too: `parse_formula`, `build_model_frame`, `random_terms`, `make_objective`, `fit`.
So are the classes of what the methods of a model return, for type hints and ``isinstance``: `Bootstrap`, `Influence`,
`IntraclassCorrelation`, `MarginalCovariance`, `Profile`, `Refits`, `RSquared`, `Singularity`, `Summary`, `VarCorr`.
"""

from lmmsparse.components.marginal import MarginalCovariance
from lmmsparse.components.singularity import Singularity
from lmmsparse.components.variances import IntraclassCorrelation, RSquared
from lmmsparse.control import Control
from lmmsparse.datasets import list_datasets, load_dataset
from lmmsparse.errors import LmmError, LmmWarning
from lmmsparse.fitting import fit
from lmmsparse.formula import parse_formula
from lmmsparse.frame import build_model_frame
from lmmsparse.inference import anova
from lmmsparse.inference.boot import Bootstrap
from lmmsparse.inference.profiles import Profile
from lmmsparse.influence import Influence
from lmmsparse.lmer import lmer
from lmmsparse.model import LinearMixedModel
from lmmsparse.objective import Objective, make_objective
from lmmsparse.refits import Refits
from lmmsparse.summary import Summary
from lmmsparse.terms import random_terms
from lmmsparse.varcorr import VarCorr

__version__ = "0.1.0"

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
