"""Formula text to a fixed part and random-effects bars.

`parse_formula` reads the whole lme4 grammar, once: what it returns are plain values, so that nothing here knows about
data, and nobody needs to read the text again.
"""

from __future__ import annotations

from lmmsparse.formula.algebra import TermKey
from lmmsparse.formula.expressions import (
    MODULES,
    alias_of,
    canonical,
    displayed,
    expression_names,
    is_expression,
    names_of,
    parsed,
    quoted,
    readable,
    written_factor,
)
from lmmsparse.formula.parse import parse_formula
from lmmsparse.formula.pointing import locate, pointed, suggestion
from lmmsparse.formula.right_side import RightSide
from lmmsparse.formula.types import Bar, Formula, written_bar
from lmmsparse.formula.update import updated_formula

__all__ = [
    "MODULES",
    "Bar",
    "Formula",
    "RightSide",
    "TermKey",
    "alias_of",
    "canonical",
    "displayed",
    "expression_names",
    "is_expression",
    "locate",
    "names_of",
    "parse_formula",
    "parsed",
    "pointed",
    "quoted",
    "readable",
    "suggestion",
    "updated_formula",
    "written_bar",
    "written_factor",
]
