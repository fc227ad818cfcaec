"""How a fit was called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """What a fit was called with, as far as a reader of its summary wants to know.

    Attributes
    ----------
    data : str or None
        ``data.attrs["name"]``; packaged data sets have it.
    weights, offset, subset : str or None
        Column names, or ``"(array)"``.
    """

    data: str | None
    weights: str | None
    offset: str | None
    subset: str | None

    @property
    def has_offset(self) -> bool:
        """An offset was given as an argument, so that new rows need one as well."""
        return self.offset is not None
