"""Keras archives."""

from pathlib import Path

import numpy as np
import pytest
from flatdense_training.data.datasets import TRAIN_IMAGES, TRAIN_LABELS
from flatdense_training.data.npz import KERAS_NAMES, read_npz
from flatdense_training.errors import DataDamaged, DataMissing


def write(path: Path, **changes: np.ndarray | None) -> Path:
    """Writes an archive of two images each, with some arrays changed or, by None, left out."""
    arrays = {
        key: np.zeros((2, 28, 28) if key.startswith("x_") else 2, np.uint8)
        for key in KERAS_NAMES.values()
    }
    kept = {key: array for key, array in (arrays | changes).items() if array is not None}
    np.savez(path, **kept)
    return path


def test_arrays_come_under_their_idx_names(tmp_path: Path) -> None:
    """An archive's four arrays are found under the names of the IDX files."""
    labels = np.array([3, 4], np.uint8)
    arrays = read_npz(write(tmp_path / "a.npz", y_train=labels))
    assert arrays.keys() == KERAS_NAMES.keys()
    assert arrays[TRAIN_IMAGES].shape == (2, 28, 28)
    assert arrays[TRAIN_LABELS].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": None}, "lacks an array"),
        ({"x_train": np.zeros((2, 28, 28))}, "x_train .* is float64 in 3 dimensions"),
        ({"x_train": np.zeros((2, 784), np.uint8)}, "uint8 in 2 dimensions, expected uint8 in 3"),
        ({"y_test": np.zeros((2, 10), np.uint8)}, "expected uint8 in 1"),
        ({"y_test": np.array([{}, {}])}, "is corrupt"),
    ],
)
def test_wrong_content(tmp_path: Path, changes: dict[str, np.ndarray | None], message: str) -> None:
    """An archive without the expected arrays is refused by name, and nothing is unpickled."""
    with pytest.raises(DataDamaged, match=message):
        read_npz(write(tmp_path / "a.npz", **changes))


def test_not_an_archive(tmp_path: Path) -> None:
    """A file that is no archive is refused."""
    (tmp_path / "a.npz").write_bytes(b"not a zip at all")
    with pytest.raises(DataDamaged, match=r"not a whole \.npz archive"):
        read_npz(tmp_path / "a.npz")


def test_every_damage_is_a_clear_error(tmp_path: Path) -> None:
    """Cut anywhere, an archive gives DataDamaged and no other exception."""
    whole = write(tmp_path / "a.npz").read_bytes()
    for cut in range(0, len(whole), 97):
        (tmp_path / "cut.npz").write_bytes(whole[:cut])
        with pytest.raises(DataDamaged):
            read_npz(tmp_path / "cut.npz")


def test_no_file(tmp_path: Path) -> None:
    """An archive that is not there is named."""
    with pytest.raises(DataMissing, match=r"absent\.npz cannot be read"):
        read_npz(tmp_path / "absent.npz")
