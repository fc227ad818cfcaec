"""What is known about each packaged dataset: columns, levels, source, licence."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lmmsparse.arguments import as_text, shown
from lmmsparse.errors import ArgumentError

DATA = files("lmmsparse.datasets") / "data"
LICENCE = (
    "Published measurements, cited under `source`. This copy was taken from the R package {package} "
    "{version}, which is distributed under the GPL, version 2 or later."
)


@dataclass(frozen=True)
class Column:
    """One column of a dataset.

    Attributes
    ----------
    name : str
    kind : {"number", "integer", "factor", "ordered"}
    levels : tuple of str
        The levels of a factor in R's order; empty for numbers.
    description : str
        Meaning and unit.
    """

    name: str
    kind: str
    levels: tuple[str, ...]
    description: str


@dataclass(frozen=True)
class DatasetInfo:
    """What a dataset holds and where it comes from.

    Attributes
    ----------
    name, title, description : str
    source : str
        The publication to cite.
    licence : str
        A note on the terms under which this copy was obtained.
    rows : int
    columns : tuple of Column
    """

    name: str
    title: str
    description: str
    source: str
    licence: str
    rows: int
    columns: tuple[Column, ...]


def list_datasets() -> list[str]:
    """Names of the packaged datasets.

    Examples
    --------
    >>> from lmmsparse.datasets import list_datasets
    >>> list_datasets()[:3]
    ['sleepstudy', 'Dyestuff', 'Dyestuff2']
    """
    return list(_metadata())


def dataset_info(name: str) -> DatasetInfo:
    """Describe a dataset.

    Parameters
    ----------
    name : str
        A name from `list_datasets`, in upper or lower case.

    Raises
    ------
    ArgumentError
        If there is no such dataset; the message suggests the nearest name.

    Examples
    --------
    >>> from lmmsparse.datasets import dataset_info
    >>> dataset_info("cake").columns[2].levels
    ('175', '185', '195', '205', '215', '225')
    """
    key = _resolve(name)
    entry = _metadata()[key]
    columns = tuple(
        Column(column, facts["kind"], _levels(facts.get("levels", ())), facts["description"])
        for column, facts in entry["columns"].items()
    )
    licence = LICENCE.format(package=entry["package"], version=entry["version"])
    return DatasetInfo(key, entry["title"], entry["description"], entry["source"], licence, entry["rows"], columns)


@cache
def _metadata() -> Mapping[str, Any]:
    content: dict[str, Any] = json.loads((DATA / "metadata.json").read_text(encoding="utf-8"))
    return content


def _levels(stored: list[str] | tuple[()] | int) -> tuple[str, ...]:
    """Levels as text; a number n stands for "1" ... "n"."""
    if isinstance(stored, int):
        return tuple(str(level) for level in range(1, stored + 1))
    return tuple(stored)


def _resolve(name: str) -> str:
    """The dataset's own spelling of `name`."""
    by_lower_case = {known.lower(): known for known in _metadata()}
    known = as_text(name)
    if known is None:
        raise ArgumentError(f"the name of a dataset must be a string, not {type(name).__name__}")
    if known.lower() in by_lower_case:
        return by_lower_case[known.lower()]
    near = difflib.get_close_matches(known.lower(), by_lower_case, n=1)
    advice = f"did you mean {by_lower_case[near[0]]!r}?" if near else f"choose from {', '.join(_metadata())}."
    raise ArgumentError(f"there is no dataset {shown(known)}; {advice}")
