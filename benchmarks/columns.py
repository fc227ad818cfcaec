"""Columns of a data set, and their files: one of raw numbers for each, which every program reads without a package.

A folder holds ``columns.tsv`` (name, type, file, and the file of the levels) and these files: little-endian doubles
(``float64``), or integers of four bytes (``int32``). A column with levels, which are lines of text, is a factor; its
integers count from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

INDEX = "columns.tsv"
RESPONSES = "responses.bin"
FILE_TYPES = {"float64": "<f8", "int32": "<i4"}


@dataclass(frozen=True)
class Factor:
    """A factor of a few named levels.

    Attributes
    ----------
    codes : (n,) int32 array
        From 0.
    levels : tuple of str
    """

    codes: NDArray[np.int32]
    levels: tuple[str, ...]

    def labels(self) -> NDArray[np.object_]:
        """Levels row by row, as text."""
        return np.array(self.levels, dtype=object)[self.codes]


Column = NDArray[Any] | Factor
Columns = Mapping[str, Column]


def rows(columns: Columns) -> int:
    """Number of rows."""
    first = next(iter(columns.values()))
    return len(first.codes if isinstance(first, Factor) else first)


def write(columns: Columns, folder: Path) -> None:
    """Write columns into a folder that exists."""
    index = []
    for i, (name, column) in enumerate(columns.items()):
        values = column.codes if isinstance(column, Factor) else column
        kind = "float64" if values.dtype.kind == "f" else "int32"
        values.astype(FILE_TYPES[kind], copy=False).tofile(folder / f"{i}.bin")
        levels = ""
        if isinstance(column, Factor):
            levels = f"{i}.txt"
            (folder / levels).write_text("\n".join(column.levels) + "\n", encoding="utf-8")
        index.append("\t".join([name, kind, f"{i}.bin", levels]))
    (folder / INDEX).write_text("\n".join(index) + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Column]:
    """Columns as `write` left them."""
    columns: dict[str, Column] = {}
    for line in (folder / INDEX).read_text(encoding="utf-8").splitlines():
        name, kind, file, levels = line.split("\t")
        values = np.fromfile(folder / file, dtype=FILE_TYPES[kind])
        texts = (folder / levels).read_text(encoding="utf-8").splitlines() if levels else None
        columns[name] = values if texts is None else Factor(values, tuple(texts))
    return columns


def write_matrix(matrix: NDArray[np.float64], folder: Path) -> None:
    """Write responses (n, m), column after column."""
    matrix.astype("<f8").T.tofile(folder / RESPONSES)


def read_matrix(folder: Path, rows: int) -> NDArray[np.float64]:
    """Responses (n, m) as `write_matrix` left them."""
    return np.fromfile(folder / RESPONSES, dtype="<f8").reshape(-1, rows).T
