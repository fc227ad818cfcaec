"""Published data as cases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from tests.designs import Case, make_term


def one_way(frame: pd.DataFrame, group: str, response: str, reml: bool = True) -> Case:
    return Case(
        frame[response].to_numpy(float), np.ones((len(frame), 1)), (make_term(frame[group].astype(str)),), None, reml
    )


@pytest.fixture
def dyestuff(dataset: Callable[[str], pd.DataFrame]) -> Case:
    return one_way(dataset("Dyestuff"), "Batch", "Yield")


@pytest.fixture
def dyestuff2(dataset: Callable[[str], pd.DataFrame]) -> Case:
    return one_way(dataset("Dyestuff2"), "Batch", "Yield")


@pytest.fixture
def sleepstudy(dataset: Callable[[str], pd.DataFrame]) -> Case:
    frame = dataset("sleepstudy")
    columns = np.column_stack([np.ones(180), frame["Days"]])
    return Case(frame["Reaction"].to_numpy(float), columns, (make_term(frame["Subject"].astype(str), columns),))
