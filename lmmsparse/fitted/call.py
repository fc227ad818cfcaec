"""How a fit was called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lmmsparse.arguments import unknown_name
from lmmsparse.errors import ArgumentError
from lmmsparse.formula import updated_formula
from lmmsparse.frame import ModelFrame


@dataclass(frozen=True)
class Call:
    """What a fit was called with: names for its summary, and all of it for `again`.

    Attributes
    ----------
    data : str or None
        ``data.attrs["name"]``; packaged data sets have it.
    weights, offset, subset : str or None
        Column names, or ``"(array)"``.
    front_door : callable
        The function that was called.
    arguments : dict
        What it was called with, the data included; pickles and deep copies are without them.
    frame : ModelFrame
        What became of them.
    """

    data: str | None
    weights: str | None
    offset: str | None
    subset: str | None
    front_door: Callable[..., Any]
    arguments: Mapping[str, Any]
    frame: ModelFrame

    @property
    def has_offset(self) -> bool:
        """An offset was given as an argument, so that new rows need one as well."""
        return self.offset is not None

    def again(self, formula: str | None, changes: Mapping[str, Any]) -> Any:
        """Call the front door again.

        Parameters
        ----------
        formula : str, optional
            A change of the formula, such as ``". ~ . + x"``.
        changes : dict
            Arguments that differ.
        """
        arguments = {**self.arguments, **changes}
        unknown = [name for name in changes if name not in self.arguments and name != "data"]
        if unknown:
            raise unknown_name("update", "argument", unknown[0], list(self.arguments))
        if "data" not in arguments:
            raise ArgumentError("update: a model that was pickled or copied has left its data behind: give data=")
        if formula is not None:
            arguments["formula"] = updated_formula(arguments["formula"], formula)
        return self.front_door(**arguments)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.arguments.items() if name != "data"}
        return {**self.__dict__, "arguments": kept}
