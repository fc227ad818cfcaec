"""Names that begin with the character by which expressions are told from columns."""

from __future__ import annotations

import pytest

from lmmsparse.errors import FormulaError
from lmmsparse.formula import parse_formula
from lmmsparse.formula.expressions import EXPRESSION


@pytest.mark.parametrize("text", ["y ~ `{}open(1)` + (1 | g)", "y ~ x + (`{}a` | g)", "y ~ . + (1 | g)"])
def test_they_are_refused(text: str) -> None:
    columns = ("y", "x", "g", f"{EXPRESSION}open(1)")
    with pytest.raises(FormulaError, match="reserved character"):
        parse_formula(text.format(EXPRESSION), columns)
