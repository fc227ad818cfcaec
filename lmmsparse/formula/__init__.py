"""Formula text to a fixed part and random-effects bars.

`parse_formula` reads the whole lme4 grammar, once: what it returns are plain values, so that nothing here knows about
data, and nobody needs to read the text again.
"""

from __future__ import annotations

from lmmsparse.formula.accepted import instead_of, is_literal
from lmmsparse.formula.algebra import TermKey
from lmmsparse.formula.expressions import (
    canonical,
    displayed,
    expression_names,
    factor_of,
    is_expression,
    names_of,
    parsed,
    quoted,
    readable,
    token_of,
    written_factor,
)
from lmmsparse.formula.functions import CALLS, CONTRASTS, NUMPY_CALLS, NUMPY_CONSTANTS
from lmmsparse.formula.limits import COLUMNS, shown
from lmmsparse.formula.parse import parse_formula
from lmmsparse.formula.pointing import locate, pointed, suggestion
from lmmsparse.formula.right_side import RightSide
from lmmsparse.formula.types import Bar, Formula, written_bar
from lmmsparse.formula.update import updated_formula

__all__ = [
    "CALLS",
    "COLUMNS",
    "CONTRASTS",
    "NUMPY_CALLS",
    "NUMPY_CONSTANTS",
    "Bar",
    "Formula",
    "RightSide",
    "TermKey",
    "canonical",
    "displayed",
    "expression_names",
    "factor_of",
    "instead_of",
    "is_expression",
    "is_literal",
    "locate",
    "names_of",
    "parse_formula",
    "parsed",
    "pointed",
    "quoted",
    "readable",
    "shown",
    "suggestion",
    "token_of",
    "updated_formula",
    "written_bar",
    "written_factor",
]
