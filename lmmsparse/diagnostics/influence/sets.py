"""The argument ``group`` of the methods that leave rows out, as sets of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lmmsparse.arguments import as_text, length_of, shown
from lmmsparse.diagnostics.influence.deletions import Deletions
from lmmsparse.errors import ArgumentError, DataError
from lmmsparse.frame import ModelFrame
from lmmsparse.frame.columns import column_of
from lmmsparse.frame.selection import check_same_index


def sets_of_rows(group: Any, frame: ModelFrame) -> tuple[str, pd.Index, Deletions]:
    """Name, labels and rows of the sets that ``group`` means: None, a grouping factor, or a label for each row.

    Raises
    ------
    ArgumentError
        It is none of these, or all rows have one label.
    DataError
        The labels are a Series with another index than the data.
    """
    n = len(frame.y)
    if group is None:
        return "row", frame.index, Deletions(np.arange(n), n)
    known = ", ".join(repr(name) for name in frame.groupings)
    expected = f"influence: group must be None for single rows, a grouping factor ({known}), or a label for each row"
    name = as_text(group)
    if name is not None:
        if name not in frame.groupings:
            raise ArgumentError(f"{expected}; got {shown(name)}")
        grouping = frame.groupings[name]
        return name, grouping.levels, Deletions(grouping.codes.astype(np.intp), grouping.n_levels)
    if isinstance(group, (bytes, Mapping)) or length_of(group) is None:
        raise ArgumentError(f"{expected}; got {shown(group)}")
    try:
        column = column_of("group", group)
    except DataError as error:
        raise ArgumentError(f"{expected}; {error}") from error
    values = np.asarray(column.values)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)  # pandas numbers no others
    total = len(frame.source_index)
    if len(values) not in (n, total):
        rows = f"{n} rows" if n == total else f"{n} rows, and the data {total}"
        raise ArgumentError(f"{expected}; got {len(values)} labels, but the fit has {rows}")
    check_same_index("influence: group", group, frame.index if len(values) == n else frame.source_index)
    if column.missing is not None:
        values = values.astype(object)
        values[column.missing] = None
    if len(values) != n:
        values = values[frame.rows]
    try:
        codes, labels = pd.factorize(values, sort=True)
    except TypeError as error:
        raise ArgumentError(f"{expected}; the labels cannot be told apart: {error}") from error
    if (codes < 0).any():
        raise ArgumentError(f"{expected}; the label of row {int((codes < 0).argmax())} is missing")
    if len(labels) < 2:
        raise ArgumentError(f"{expected}; all rows have the same label, and nothing would be left")
    return "label", pd.Index(labels), Deletions(codes.astype(np.intp), len(labels))
