"""Checks of grouping factors and of the fixed part, in lme4's wording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import DataError, GroupingError
from lmmsparse.frame.grouping import Grouping
from lmmsparse.frame.model_matrix import Design


def check_groupings(groupings: Mapping[str, Grouping], n: int) -> None:
    """Every factor has more than one level and fewer levels than there are rows.

    Raises
    ------
    GroupingError
        Names the factor.
    """
    for name, grouping in groupings.items():
        if grouping.n_levels == 1:
            raise GroupingError(
                f"grouping factors must have > 1 sampled level: {name!r} has only {grouping.levels[0]!r}."
            )
    for name, grouping in groupings.items():
        if grouping.n_levels >= n:
            raise GroupingError(
                "number of levels of each grouping factor must be < number of observations:"
                f" {name!r} has {grouping.n_levels} levels in {n} observations."
            )


def check_term_size(term: str, n_columns: int, n_levels: int, correlated: bool, n: int) -> None:
    """A term has fewer random effects than there are observations.

    With ``||`` each column is a term of its own, for which `check_groupings` has settled it.

    Raises
    ------
    GroupingError
        Names the term.
    """
    q = n_columns * n_levels
    if correlated and n <= q:
        raise GroupingError(
            f"number of observations (={n}) <= number of random effects (={q}) for term {term};"
            " the random-effects parameters and the residual variance are probably unidentifiable:"
            " use fewer columns, or ||."
        )


def check_fixed_size(names: Sequence[str], n: int) -> None:
    """There are more rows than fixed-effect columns.

    Parameters
    ----------
    names : sequence of str
        Of the columns.
    n : int

    Raises
    ------
    DataError
        There are not; names the factor that most of the columns belong to.
    """
    if len(names) < n:
        return
    source, count = Counter(name.partition("[")[0] for name in names).most_common(1)[0]
    blame = f" {count} of them are levels of {source}: is it a factor, or numbers that were read as text?"
    raise DataError(
        f"{n} rows are left for {len(names)} fixed-effect columns; a fit needs more rows than columns."
        + (blame if 2 * count > len(names) > 2 else "")
    )


def check_columns_finite(columns: NDArray[np.float64], design: Design) -> None:
    """No product of finite values has become infinite; plain columns are finite as their variables are.

    Raises
    ------
    DataError
        Names the column.
    """
    if columns.size and design.spec is not None:
        for j, name in enumerate(design.names):
            if not np.isfinite(columns[:, j]).all():
                raise DataError(f"Column {name!r} of the model matrix is not finite; rescale its variables.")
