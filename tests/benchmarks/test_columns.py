import numpy as np
import pytest

from benchmarks.columns import Factor, read, read_matrix, rows, write, write_matrix
from benchmarks.models import Bar, Model
from benchmarks.peers.base import combined, fixed_matrix, pandas_frame

COLUMNS = {
    "y": np.array([1.5, -2.0, 1e300]),
    "g": np.array([0, 70_000, 2], dtype=np.int32),
    "f": Factor(np.array([1, 0, 1], dtype=np.int32), ("no way", "größer")),
}


def test_columns_survive_their_files(tmp_path):
    write(COLUMNS, tmp_path)
    back = read(tmp_path)
    assert list(back) == ["y", "g", "f"]
    assert np.array_equal(back["y"], COLUMNS["y"])
    assert np.array_equal(back["g"], COLUMNS["g"])
    assert back["f"].levels == ("no way", "größer")
    assert np.array_equal(back["f"].codes, [1, 0, 1])
    assert rows(back) == 3


def test_responses_survive_their_file(tmp_path):
    matrix = np.arange(6.0).reshape(3, 2)
    write_matrix(matrix, tmp_path)
    assert np.array_equal(read_matrix(tmp_path, 3), matrix)
    assert (tmp_path / "responses.bin").read_bytes()[:24] == matrix[:, 0].tobytes()


def test_frame_has_categories_and_long_integers():
    frame = pandas_frame(COLUMNS)
    assert frame["g"].dtype == np.int64
    assert frame["f"].tolist() == ["größer", "no way", "größer"]
    assert frame["f"].cat.categories.tolist() == ["no way", "größer"]


def test_combinations_that_occur_are_numbered():
    assert combined(COLUMNS, ("f", "g")).tolist() == [1, 0, 2]


def test_fixed_matrix_has_treatment_contrasts():
    model = Model("m", "y", ("y", "f"), (Bar("g"),))
    assert fixed_matrix(model, COLUMNS) == pytest.approx(np.array([[1, 1.5, 1], [1, -2, 0], [1, 1e300, 1]]))
