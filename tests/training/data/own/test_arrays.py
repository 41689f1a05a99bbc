"""IDX files and archives of a user's own."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flatdense_training.data.datasets import TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from flatdense_training.data.idx import format_idx
from flatdense_training.data.own.arrays import read_archive, read_idx_folder
from flatdense_training.errors import DataDamaged, DataUnfit

X = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
Y = np.arange(12, dtype=np.uint8) % 3


def write(path: Path, **arrays: Any) -> Path:  # noqa: ANN401  # right and wrong ones
    """Writes an archive of images and labels to train on, with some changed, or more."""
    np.savez(path, **{"x_train": X, "y_train": Y, **arrays})
    return path


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (X, Y),
        (X[..., None], Y[:, None]),
        (X.reshape(12, 784), Y.astype(np.int64)),
        (X.astype(np.int32), Y.astype(np.uint64)),
        ((X / 255).astype(np.float32), Y.astype(np.int8)),
        (X / 255, Y),
    ],
)
def test_every_form_gives_the_same(tmp_path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Shapes and types that can only be meant in one way are taken, to the same bytes."""
    bundle = read_archive(write(tmp_path / "it.npz", x_train=images, y_train=labels), None)
    for name, expected in ((TRAIN_IMAGES, X), (TRAIN_LABELS, Y)):
        assert bundle.arrays[name].dtype == np.uint8
        np.testing.assert_array_equal(bundle.arrays[name], expected)
    assert bundle.class_names == ("0", "1", "2")


def test_truths_are_full_ink(tmp_path: Path) -> None:
    """An image of truths is 255 where it is true."""
    bundle = read_archive(write(tmp_path / "it.npz", x_train=X > 99), None)
    np.testing.assert_array_equal(bundle.arrays[TRAIN_IMAGES], np.where(X > 99, 255, 0))


def test_names(tmp_path: Path) -> None:
    """Names that are given are the classes'; arrays of other names are told."""
    path = write(tmp_path / "it.npz", x_test=X[:6], y_test=Y[:6], x_val=X)
    bundle = read_archive(path, ("a", "b", "c"))
    assert bundle.class_names == ("a", "b", "c")
    assert bundle.arrays[TEST_LABELS].tolist() == [0, 1, 2, 0, 1, 2]
    assert bundle.remarks == ("Left out, for their names say nothing: x_val.",)


@pytest.mark.parametrize(
    ("changes", "names", "message"),
    [
        (
            {"y_train": Y.astype(float)},
            None,
            "y_train in .* is of the type float64, expected whole",
        ),
        ({"y_train": Y.astype(str)}, None, "is of the type <U.*, expected whole numbers"),
        ({"y_train": np.eye(3)[Y]}, None, r"shape \(12, 3\).*argmax"),
        ({"y_train": Y[:-1]}, None, "has 12 images in x_train and 11 labels in y_train"),
        ({"y_train": Y.astype(int) - 1}, None, "row 0 has the label -1, expected 0 to 9"),
        ({"y_train": Y + 8}, None, "row 2 has the label 10, expected 0 to 9, for at most 10"),
        ({"y_train": Y + 1}, None, "no image has the label 0"),
        ({"y_train": Y * 0}, None, "has one class, '0'"),
        ({"y_train": Y.astype(np.uint64) + 2**63}, None, "row 0 has the label"),
        ({}, ("a", "b"), "row 2 has the label 2, expected 0 to 1 for 2 classes. 4 of 12 labels"),
        ({}, tuple("abcd"), "no image has the label 3, of the class 'd'"),
        ({"x_test": X[:2], "y_test": Y[:2]}, None, "y_test in .*no image has the label 2"),
        ({"x_test": X[:2]}, None, "lacks y_test. Expected x_train and y_train, and perhaps"),
        ({"x_train": X[:, :27]}, None, r"shape \(12, 27, 28\), expected .*prepare_image"),
        ({"x_train": np.array(1)}, None, r"shape \(\), expected"),
        ({"x_train": X.astype(float)}, None, "fractions from 0 to 1. .*astype"),
        ({"x_train": np.full(X.shape, np.nan)}, None, "row 0 has the pixel nan"),
        ({"x_train": X.astype(int) - 300}, None, "row 0 has the pixel -.*, expected 0 to 255"),
        ({"x_train": X.astype(complex)}, None, "is of the type complex128"),
        ({"x_train": X[:0], "y_train": Y[:0]}, None, "has 0 images"),
    ],
)
def test_wrong_arrays(
    tmp_path: Path, changes: dict[str, np.ndarray], names: tuple[str, ...] | None, message: str
) -> None:
    """What cannot be learnt from is refused with the array, and the row where there is one."""
    with pytest.raises(DataUnfit, match=message):
        read_archive(write(tmp_path / "it.npz", **changes), names)


def test_the_first_wrong_row_is_named(tmp_path: Path) -> None:
    """Of many images, the message names the one that is wrong."""
    images = X / 255
    images[7, 3, 3] = np.inf
    with pytest.raises(DataUnfit, match=r"x_train in .*it\.npz: row 7 has the pixel inf"):
        read_archive(write(tmp_path / "it.npz", x_train=images), None)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """Objects in an archive are refused, never built."""
    with pytest.raises(DataDamaged, match=r"it\.npz is corrupt"):
        read_archive(write(tmp_path / "it.npz", y_train=np.array([{}] * 12)), None)


def test_idx_files(tmp_path: Path) -> None:
    """IDX files, packed or not, give the same as the archive."""
    (tmp_path / TRAIN_IMAGES).write_bytes(format_idx(X))
    (tmp_path / f"{TRAIN_LABELS}.gz").write_bytes(gzip.compress(format_idx(Y)))
    bundle = read_idx_folder(tmp_path, None)
    np.testing.assert_array_equal(bundle.arrays[TRAIN_IMAGES], X)
    np.testing.assert_array_equal(bundle.arrays[TRAIN_LABELS], Y)
    (tmp_path / f"{TRAIN_LABELS}.gz").write_bytes(gzip.compress(format_idx(Y + 8)))
    with pytest.raises(DataUnfit, match=rf"{TRAIN_LABELS}.gz in {tmp_path}: row 2 has the label"):
        read_idx_folder(tmp_path, None)
    (tmp_path / f"{TRAIN_LABELS}.gz").unlink()
    with pytest.raises(DataUnfit, match=f"lacks {TRAIN_LABELS}"):
        read_idx_folder(tmp_path, None)
