"""Linear mixed models by sparse penalized least squares.

>>> from lmmsparse import lmer, load_dataset
>>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))

The stages behind `lmer` are public too: `parse_formula`, `build_model_frame`, `random_terms`, `make_objective`, `fit`.
"""

from lmmsparse.control import Control
from lmmsparse.datasets import list_datasets, load_dataset
from lmmsparse.errors import LmmError, LmmWarning
from lmmsparse.fitting import fit
from lmmsparse.formula import parse_formula
from lmmsparse.frame import build_model_frame
from lmmsparse.inference import anova
from lmmsparse.inference.boot import Bootstrap
from lmmsparse.inference.profiles import Profile
from lmmsparse.lmer import lmer
from lmmsparse.model import LinearMixedModel
from lmmsparse.objective import Objective, make_objective
from lmmsparse.terms import random_terms

__version__ = "0.1.0"

__all__ = [
    "Bootstrap",
    "Control",
    "LinearMixedModel",
    "LmmError",
    "LmmWarning",
    "Objective",
    "Profile",
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
