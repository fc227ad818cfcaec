"""Formula text to a fixed part and random-effects bars.

`parse_formula` reads the whole lme4 grammar; what it returns is plain text and tuples, so that nothing here
knows about data.
"""

from __future__ import annotations

from lmmsparse.formula.parse import parse_formula
from lmmsparse.formula.types import Bar, Formula
from lmmsparse.formula.update import updated_formula

__all__ = ["Bar", "Formula", "parse_formula", "updated_formula"]
