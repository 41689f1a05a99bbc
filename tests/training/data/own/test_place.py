"""A user's own data as a dataset."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flatdense_training.data.checksums import digest_array
from flatdense_training.data.datasets import MNIST, TRAIN_IMAGES, TRAIN_LABELS
from flatdense_training.data.idx import format_idx
from flatdense_training.data.own.place import read_place
from PIL import Image

WriteImages = Callable[..., Path]


def test_a_description_is_made(write_images: WriteImages, tmp_path: Path) -> None:
    """The dataset is called as its folder is, and knows the checksums of what was read."""
    folder = write_images(tmp_path / "shapes", rows=3)
    Image.new("L", (28, 28)).save(folder / "b" / "more.png")
    source = read_place(folder, None)
    assert (source.dataset.name, source.dataset.class_names) == ("shapes", ("a", "b"))
    assert source.dataset.sha256 == {
        name: digest_array(array) for name, array in source.arrays.items()
    }
    assert source.dataset.min_accuracy == round(4 / 7, 4)
    assert source.origin == str(folder)


def test_all_forms_are_one_dataset(write_images: WriteImages, tmp_path: Path) -> None:
    """The same images as files, as IDX and as an archive have the same checksums."""
    arrays = read_place(write_images(tmp_path / "images"), None).arrays
    (tmp_path / "idx").mkdir()
    for name, array in arrays.items():
        (tmp_path / "idx" / name).write_bytes(format_idx(array))
    np.savez(tmp_path / "it.npz", x_train=arrays[TRAIN_IMAGES], y_train=arrays[TRAIN_LABELS])
    places = [tmp_path / "images", tmp_path / "idx", tmp_path / "it.npz"]
    first, *others = (read_place(place, None).dataset for place in places)
    assert all(other.sha256 == first.sha256 for other in others)
    assert [other.name for other in others] == ["idx", "it"]


def test_the_order_of_the_disk_does_not_count(write_images: WriteImages, tmp_path: Path) -> None:
    """The same files that were written in another order are the same dataset."""
    folder = write_images(tmp_path / "it")
    for path in sorted(folder.rglob("*.png"), reverse=True):
        copy = tmp_path / "copy" / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    checksums = [read_place(place, None).dataset.sha256 for place in (folder, tmp_path / "copy")]
    assert checksums[0] == checksums[1]


def test_a_light_ground_is_told(write_images: WriteImages, tmp_path: Path) -> None:
    """Dark ink on a light ground is learnt as it is, and a remark says what callers send."""
    folder = write_images(tmp_path / "it")
    assert read_place(folder, None).remarks == ()
    for path in folder.rglob("*.png"):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    (remark,) = read_place(folder, None).remarks
    assert "The ground seems light" in remark
    assert "prepare_image" in remark


def test_a_known_dataset_is_recognised(mnist_folder: Path) -> None:
    """The original files by their path are the dataset of that name, with its defaults."""
    assert read_place(mnist_folder, None).dataset is MNIST
    named = read_place(mnist_folder, tuple("abcdefghij")).dataset
    assert (named.name, named.class_names[0]) == ("mnist", "a")


def test_an_odd_name_can_be_shown(write_images: WriteImages, tmp_path: Path) -> None:
    """A folder whose name is no text still gives a name that can be written."""
    folder = write_images(tmp_path / "a\nb\udcff")
    assert read_place(folder, None).dataset.name == "a?b?"


@pytest.mark.parametrize("form", ["folder", "file"])
def test_the_name_is_the_last_part(write_images: WriteImages, tmp_path: Path, form: str) -> None:
    """However a place is written, and whatever leads to it, its own name counts."""
    folder = write_images(tmp_path / "it")
    if form == "file":
        arrays = read_place(folder, None).arrays
        folder = tmp_path / "it.npz"
        np.savez(folder, x_train=arrays[TRAIN_IMAGES], y_train=arrays[TRAIN_LABELS])
    (tmp_path / "other").mkdir()
    assert read_place(tmp_path / "other" / ".." / folder.name, None).dataset.name == "it"
