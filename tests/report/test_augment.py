"""The rows of a fit with what it says of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from lmmsparse import lmer
from lmmsparse.errors import DataError
from tests.reported import DAYS

Dataset = Callable[[str], pd.DataFrame]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "dict"])
def test_rows_of_the_fit_in_the_library_of_the_data(library: str, dataset: Dataset) -> None:
    data = dataset("sleepstudy").assign(Subject=lambda d: d["Subject"].astype(str), w=lambda d: d["Days"] + 1.0)
    data.loc[3, "Reaction"] = np.nan
    if library in ("polars", "pyarrow"):
        module = pytest.importorskip(library)
        given = module.from_pandas(data) if library == "polars" else module.Table.from_pandas(data)
    else:
        given = data if library == "pandas" else {name: data[name].to_numpy() for name in data}
    m = lmer(DAYS, given, weights="w", offset=3.0 * data["Days"].to_numpy())
    for rows in (m.augment(), m.augment(given)):
        assert type(rows) is (pd.DataFrame if library == "dict" else type(given))
        table = rows if isinstance(rows, pd.DataFrame) else rows.to_pandas()
        assert len(table) == m.nobs == 179
        np.testing.assert_allclose(table["Reaction"], data["Reaction"].dropna())
        np.testing.assert_allclose(table["Reaction"], table["fitted"] + table["resid"])
        np.testing.assert_allclose(table["fitted"], table["fixed"] + table["random"])
        np.testing.assert_allclose(table["scaled_resid"], m.resid("scaled"))
        np.testing.assert_allclose(table["fixed"], m.predict(re_form=0))
        np.testing.assert_array_equal(table["weight"], np.delete(data["w"].to_numpy(), 3))
        np.testing.assert_array_equal(table["offset"], np.delete(3.0 * data["Days"].to_numpy(), 3))
        assert list(table["Subject"]) == list(data["Subject"].drop(3))
    for frame in (m.tidy(), m.tidy("ran_pars"), m.tidy("ran_vals"), m.glance(), m.conf_int()):
        assert type(frame) is (pd.DataFrame if library == "dict" else type(given))


def test_a_taken_name_gets_a_dot(dataset: Dataset) -> None:
    data = dataset("sleepstudy").rename(columns={"Days": "fixed"})
    m = lmer("Reaction ~ fixed + (1 | Subject)", data)
    for rows in (m.augment(), m.augment(data)):
        np.testing.assert_array_equal(rows["fixed"], data["fixed"])
        np.testing.assert_allclose(rows[".fixed"], m.predict(re_form=0))
    with pytest.raises(DataError, match="data have 10 rows, but the model was fitted to data with 180"):
        m.augment(data.iloc[:10])


def test_augment_refuses_rows_in_another_order(dataset):
    data = dataset("sleepstudy")
    m = lmer(DAYS, data)
    with pytest.raises(DataError, match=r"'Reaction' is .* in row 0 of the data, but was 249\.56 in the fit"):
        m.augment(data.iloc[::-1].reset_index(drop=True))
    with pytest.raises(DataError, match="augment: data is a frame whose index differs"):
        m.augment(data.iloc[::-1])
    doubled = lmer("log(Reaction) ~ Days + (1 | Subject)", data)
    assert len(doubled.augment(data)) == 180
    with pytest.raises(DataError, match="the rows in the same order"):
        doubled.augment(data.iloc[::-1].reset_index(drop=True))
    kept = data.assign(Reaction=data["Reaction"].where(data.index % 7 != 3))
    scaled = lmer("scale(Reaction) ~ Days + (1 | Subject)", kept)
    assert len(scaled.augment(kept)) == scaled.nobs
    with pytest.raises(DataError, match="the rows in the same order"):
        scaled.augment(kept.iloc[[1, 0, *range(2, 180)]].reset_index(drop=True))
