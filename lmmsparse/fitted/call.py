"""How a fit was called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lmmsparse.arguments import unknown_name
from lmmsparse.errors import ArgumentError
from lmmsparse.formula import updated_formula


@dataclass(frozen=True)
class Call:
    """What a fit was called with: names for its summary, and all of it for `again`.

    Attributes
    ----------
    data : str or None
        ``data.attrs["name"]``; packaged data sets have it.
    weights, offset, subset : str or None
        Column names, or ``"(array)"``.
    function : callable
        What was called.
    arguments : dict
        What it was called with, the data included; pickles and deep copies are without them.
    repeatable : bool
        False for a model of another response or other rows than these arguments give.
    """

    data: str | None
    weights: str | None
    offset: str | None
    subset: str | None
    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    repeatable: bool = True

    @classmethod
    def of(cls, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Call:
        """The call of a function that fits a model, from its first line: ``Call.of(lmer, locals())``.

        Parameters
        ----------
        function : callable
        arguments : dict
            By name; among them ``data``, ``weights``, ``offset``, ``subset`` and ``start``.
        """
        # a start is one for the parameters of this model, which a changed one need not have
        given = {**arguments, "start": None}
        weights, offset, subset = (_shown(given[name]) for name in ("weights", "offset", "subset"))
        return cls(_data_name(given["data"]), weights, offset, subset, function, given)

    @property
    def has_offset(self) -> bool:
        """An offset was given as an argument, so that new rows need one as well."""
        return self.offset is not None

    def again(self, formula: str | None, changes: Mapping[str, Any]) -> Any:
        """Call the function again.

        Parameters
        ----------
        formula : str, optional
            A change of the formula, such as ``". ~ . + x"``.
        changes : dict
            Arguments that differ.

        Raises
        ------
        ArgumentError
            The call would give another model, an argument is unknown, or the data are not at hand.
        """
        if not self.repeatable:
            raise ArgumentError("update: this model was made from another one by new responses or rows; update that")
        arguments = {**self.arguments, **changes}
        unknown = [name for name in changes if name not in self.arguments and name != "data"]
        if unknown:
            raise unknown_name("update", "argument", unknown[0], list(self.arguments))
        if "data" not in arguments:
            raise ArgumentError("update: a model that was pickled or copied has left its data behind: give data=")
        if formula is not None:
            arguments["formula"] = updated_formula(arguments["formula"], formula)
        return self.function(**arguments)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.arguments.items() if name != "data"}
        return {**self.__dict__, "arguments": kept}


def _shown(value: Any) -> str | None:
    """A column name, or a word for an array."""
    return value if value is None or isinstance(value, str) else "(array)"


def _data_name(data: Any) -> str | None:
    name = data.attrs.get("name") if isinstance(data, pd.DataFrame) else None
    return name if isinstance(name, str) else None
