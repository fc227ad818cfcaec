"""The packaged datasets are those of R: shapes, levels in R's order, values row by row."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from formulaic import model_matrix

from lmmsparse.datasets import dataset_info, list_datasets, load_dataset
from lmmsparse.errors import ArgumentError, MissingDependencyError

# Rows, and for each column sum(i * x_i) over rows i = 1, 2, ... as R computes it from its own copies; x_i is
# the code from 0 for factors. The weight i makes the sum notice rows or levels in another order.
FINGERPRINTS: dict[str, tuple[int, dict[str, float]]] = {
    "sleepstudy": (180, {"Reaction": 4967738.2834, "Days": 74790, "Subject": 186915}),
    "Dyestuff": (30, {"Batch": 1600, "Yield": 710095}),
    "Dyestuff2": (30, {"Batch": 1600, "Yield": 2550.466}),
    "Penicillin": (144, {"diameter": 237825, "plate": 161460, "sample": 26520}),
    "Pastes": (60, {"strength": 109475.8, "batch": 11205, "cask": 1910, "sample": 35525}),
    "cake": (
        270,
        {"replicate": 346815, "recipe": 37665, "temperature": 92250, "angle": 1081834, "temp": 7324875},
    ),
    "InstEval": (
        73421,
        {
            "s": 5337352540518,
            "d": 1473863125578,
            "studage": 4251746852,
            "lectage": 5017475032,
            "service": 1174179049,
            "dept": 17491026048,
            "y": 8618410019,
        },
    ),
    "Chem97": (
        31022,
        {
            "lea": 49805821566,
            "school": 751705301089,
            "student": 9951490330542,
            "score": 2809954470,
            "gender": 209597032,
            "age": -224257428,
            "gcsescore": 3036482642.794,
            "gcsecnt": 11825487.0668711,
        },
    ),
    "ScotsSec": (
        3435,
        {
            "verbal": -11625865,
            "attain": 33509100,
            "primary": 563737325,
            "sex": 2858088,
            "social": 41065591,
            "second": 68685182,
        },
    ),
    "VerbAgg": (
        7584,
        {
            "Anger": 575167608,
            "Gender": 6676248,
            "item": 445601080,
            "resp": 16749940,
            "id": 4593173760,
            "btype": 30360016,
            "situ": 17975976,
            "mode": 21570792,
            "r2": 12074979,
        },
    ),
    "cbpp": (56, {"herd": 15312, "incidence": 2523, "size": 23851, "period": 2410}),
    "grouseticks": (
        403,
        {
            "INDEX": 21816808,
            "TICKS": 440663,
            "BROOD": 6223926,
            "HEIGHT": 37662804,
            "YEAR": 118781,
            "LOCATION": 2436107,
            "cHEIGHT": 33638,
        },
    ),
}
ORDERED = {("cake", "temperature"), ("InstEval", "studage"), ("InstEval", "lectage"), ("VerbAgg", "resp")}


def test_every_dataset_is_listed():
    assert list_datasets() == list(FINGERPRINTS)


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_values_are_those_of_r(name):
    rows, sums = FINGERPRINTS[name]
    frame = load_dataset(name)
    assert frame.shape == (rows, len(sums))
    assert list(frame.columns) == list(sums)
    weights = np.arange(1, rows + 1)
    for column, expected in sums.items():
        factor = isinstance(frame[column].dtype, pd.CategoricalDtype)
        values = frame[column].cat.codes.to_numpy(np.int64) if factor else frame[column].to_numpy()
        assert float(np.sum(weights * values)) == pytest.approx(expected, rel=1e-13), column


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_polars_and_pandas_agree(name):
    ours, theirs = load_dataset(name), load_dataset(name, library="polars")
    assert theirs.columns == list(ours.columns)
    for column in ours:
        if isinstance(ours[column].dtype, pd.CategoricalDtype):
            assert theirs[column].dtype == pl.Enum(ours[column].cat.categories.tolist())
            assert theirs[column].cast(pl.String).to_list() == ours[column].astype(str).tolist()
        else:
            assert theirs[column].to_numpy().tolist() == ours[column].tolist()


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_description_matches_the_frame(name):
    info, frame = dataset_info(name), load_dataset(name)
    assert info.rows == len(frame)
    assert [column.name for column in info.columns] == list(frame.columns)
    assert info.title and info.description and info.source and "GPL" in info.licence
    for column in info.columns:
        dtype = frame[column.name].dtype
        assert column.description
        if isinstance(dtype, pd.CategoricalDtype):
            assert tuple(dtype.categories) == column.levels
            assert bool(dtype.ordered) == ((name, column.name) in ORDERED)
            assert set(frame[column.name].cat.codes) == set(range(len(column.levels)))
        else:
            assert dtype == (np.float64 if column.kind == "number" else np.int64)


def test_levels_keep_the_order_of_r():
    assert load_dataset("ScotsSec")["sex"].cat.categories.tolist() == ["M", "F"]
    assert load_dataset("VerbAgg")["mode"].cat.categories.tolist() == ["want", "do"]
    departments = ["15", "5", "10", "12", "6", "7", "4", "8", "9", "14", "1", "3", "11", "2"]
    assert load_dataset("InstEval")["dept"].cat.categories.tolist() == departments


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_ordered_factors_get_treatment_contrasts(library):
    if library == "polars":
        pytest.importorskip("formulaic", minversion="1.2", reason="earlier ones read no frames of polars")
    cake = load_dataset("cake", library=library)
    columns = list(model_matrix("temperature", cake, output="pandas").columns)
    assert columns == ["Intercept"] + [f"temperature[T.{degrees}]" for degrees in range(185, 226, 10)]


def test_names_ignore_case():
    pd.testing.assert_frame_equal(load_dataset("SLEEPSTUDY"), load_dataset("sleepstudy"))
    assert dataset_info("insteval").name == "InstEval"


def test_each_call_returns_a_new_frame():
    first = load_dataset("cbpp")
    first.loc[0, "size"] = -1
    assert load_dataset("cbpp").loc[0, "size"] == 14


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ArgumentError, match="no dataset 'sleepstdy'; did you mean 'sleepstudy'"):
        load_dataset("sleepstdy")
    with pytest.raises(ArgumentError, match="choose from sleepstudy, Dyestuff"):
        dataset_info("zzzz")
    with pytest.raises(ArgumentError, match="must be a string, not int"):
        load_dataset(1)


def test_unknown_library():
    with pytest.raises(ArgumentError, match="'pandas' or 'polars', not 'arrow'"):
        load_dataset("cake", library="arrow")


def test_missing_polars_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)  # what Python itself takes for "cannot be imported"
    with pytest.raises(MissingDependencyError, match="pip install polars"):
        load_dataset("cake", library="polars")
