"""Random-effect terms: one per bar of the formula, in the order of their parameters.

The model matrix Z of a term is never formed: its integer codes and its n × k columns say all that Z does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import checked_object
from lmmsparse.covariance import STRUCTURES, Covariance
from lmmsparse.frame import Codes, JointLevels, Levels, ModelFrame

Float = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class RandomTerm:
    """One bar ``(columns | group)``.

    Attributes
    ----------
    label : str
        The bar as written, for messages.
    bar : int
        Position of the bar in the formula.
    group : str
        Name of the grouping factor.
    codes : (n,) array of int8, int16 or int32
        Level of each row.
    labels : Levels or JointLevels
        The q levels.
    columns : (n, k) array
        Values that multiply the k random effects of a level.
    names : tuple of str
        Names of the columns.
    structure : Covariance
        Family of the covariance matrix of the k effects.
    """

    label: str
    bar: int
    group: str
    codes: Codes
    labels: Levels | JointLevels
    columns: Float
    names: tuple[str, ...]
    structure: Covariance

    @property
    def levels(self) -> pd.Index:
        """Labels of the q levels."""
        return self.labels.index

    @property
    def n_levels(self) -> int:
        """Number q of levels."""
        return len(self.labels)

    def with_columns(self, columns: Float, structure: Covariance | None = None) -> RandomTerm:
        """The term with other columns (n, k), which have no names of their own, and another family of covariances.

        The same family for so many columns unless one is given.
        """
        k = columns.shape[1]
        names = tuple(f"column {j + 1}" for j in range(k))
        return replace(self, columns=columns, names=names, structure=structure or self.structure.smaller(k))

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Names of the term's parameters."""
        return self.structure.names(self.group, self.names)


def random_terms(frame: ModelFrame) -> tuple[RandomTerm, ...]:
    """Terms of a model frame, by decreasing number of levels; ties keep the order of the formula."""
    checked_object("random_terms", "frame", frame, ModelFrame, "a ModelFrame, as build_model_frame returns")
    terms = []
    for position, part in enumerate(frame.bars):
        grouping = frame.groupings[part.bar.group]
        terms.append(
            RandomTerm(
                label=part.bar.text,
                bar=position,
                group=grouping.name,
                codes=grouping.codes,
                labels=grouping.labels,
                columns=part.columns,
                names=part.names,
                structure=STRUCTURES[part.bar.keyword](len(part.names)),
            )
        )
    return tuple(sorted(terms, key=lambda term: -term.n_levels))


def taken_columns(columns: Float, rows: Index) -> Float:
    """Some rows of a term's columns, (m, k); an intercept stays one number that stands for all."""
    if columns.strides[0] == 0:
        return np.broadcast_to(columns[:1], (len(rows), columns.shape[1]))
    return columns[rows]
