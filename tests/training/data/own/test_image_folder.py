"""Folders of images."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flatdense_training.data.datasets import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from flatdense_training.data.own.image_folder import read_image_folder
from flatdense_training.errors import DataMissing, DataUnfit
from PIL import Image

WriteImages = Callable[..., Path]


def test_a_folder_is_a_class(write_images: WriteImages, tmp_path: Path) -> None:
    """Each folder names a class, sorted as people do, and every image is in its class's rows."""
    folder = write_images(tmp_path / "it", ("10", "9", "x"), rows=3)
    bundle = read_image_folder(folder, None)
    assert bundle.class_names == ("9", "10", "x")
    assert bundle.arrays.keys() == {TRAIN_IMAGES, TRAIN_LABELS}
    assert bundle.arrays[TRAIN_LABELS].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert bundle.remarks == ()
    for file, image in zip(bundle.files[TRAIN_IMAGES], bundle.arrays[TRAIN_IMAGES], strict=True):
        np.testing.assert_array_equal(image, np.asarray(Image.open(folder / file)))


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Training", "testing")])
def test_train_and_test(write_images: WriteImages, tmp_path: Path, train: str, test: str) -> None:
    """Classes below train and test are the same classes, and the two are kept apart."""
    write_images(tmp_path / train, rows=4)
    write_images(tmp_path / test, rows=2)
    arrays = read_image_folder(tmp_path, None).arrays
    assert arrays[TRAIN_LABELS].tolist() == [0] * 4 + [1] * 4
    assert arrays[TEST_LABELS].tolist() == [0] * 2 + [1] * 2
    assert len(arrays[TEST_IMAGES]) == 4


def test_names_give_an_order_or_new_names(write_images: WriteImages, tmp_path: Path) -> None:
    """The folders' names order the classes; new ones rename them, and that is told."""
    folder = write_images(tmp_path / "it", ("a", "b"), rows=2)
    ordered = read_image_folder(folder, ("b", "a"))
    assert ordered.class_names == ("b", "a")
    assert ordered.files[TRAIN_IMAGES][0].startswith("b")
    assert ordered.remarks == ()
    renamed = read_image_folder(folder, ("yes", "no"))
    assert renamed.class_names == ("yes", "no")
    assert renamed.remarks == ("The classes have new names: a is yes, b is no.",)


def test_strays_are_left_out_and_told(write_images: WriteImages, tmp_path: Path) -> None:
    """What is no image is named; what is hidden is not; folders inside a class belong to it."""
    folder = write_images(tmp_path / "it", rows=2)
    (folder / "README.txt").write_text("words")
    (folder / ".git").mkdir()
    (folder / "a" / ".DS_Store").write_bytes(b"x")
    (folder / "a" / "Thumbs.db").write_bytes(b"x")
    os.mkfifo(folder / "a" / "pipe")
    (folder / "a" / "loop").symlink_to(folder)
    shutil.copytree(folder / "b", folder / "a" / "more")
    bundle = read_image_folder(folder, None)
    assert bundle.arrays[TRAIN_LABELS].tolist() == [0] * 4 + [1] * 2
    (remark,) = bundle.remarks
    assert remark.endswith("README.txt, a/Thumbs.db, a/pipe, a/loop.")


def test_many_strays_are_counted(write_images: WriteImages, tmp_path: Path) -> None:
    """A remark names five files and counts the others."""
    folder = write_images(tmp_path / "it")
    for number in range(1_007):
        (folder / "a" / f"{number:04}.txt").touch()
    (remark,) = read_image_folder(folder, None).remarks
    assert remark.endswith("a/0004.txt and 1,002 more.")


def write_big(folder: Path, files: int) -> None:
    """Puts images of another size into a folder."""
    for number in range(files):
        Image.new("L", (32, 20)).save(folder / f"big{number}.png")


def write_words(folder: Path) -> None:
    """Makes texts of all images in a folder."""
    for path in folder.iterdir():
        path.rename(path.with_suffix(".txt")).write_text("words")


def cut(path: Path) -> None:
    """Cuts a file short."""
    path.write_bytes(path.read_bytes()[:60])


def empty(folder: Path) -> None:
    """Takes every file out of a folder."""
    for path in folder.iterdir():
        path.unlink()


def remove(folder: Path, *names: str) -> None:
    """Takes folders out of a folder."""
    for name in names:
        shutil.rmtree(folder / name)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda it: write_big(it / "train" / "a", 7),
            r"7 of 19 images in .*\n.*train/a/big0.png is 32x20 pixels, expected 28x28",
        ),
        (
            lambda it: cut(it / "train" / "a" / "0.png"),
            r"1 of 12 images .*\n.*train/a/0.png is damaged",
        ),
        (
            lambda it: (it / "train" / "a" / "x.png").symlink_to("nowhere"),
            r"train/a/x.png cannot be read: No such file",
        ),
        (
            lambda it: write_words(it / "train" / "a"),
            r"class 'a' has no image in .*train/a; not an image: a/0.txt, a/1.txt",
        ),
        (lambda it: empty(it / "test" / "b"), r"class 'b' has no image in .*test/b"),
        (lambda it: remove(it, "test/b"), r"test has no folder b, and .*train has"),
        (lambda it: remove(it, "train/b"), r"train has no folder b, and .*test has"),
        (
            lambda it: shutil.copytree(it / "test", it / "val"),
            r"has val beside train, expected train and test alone",
        ),
        (lambda it: remove(it, "train"), r"has the folder test and no folder train"),
        (lambda it: remove(it, "train/b", "test/b"), r"has one class, 'a', expected 2 to 10"),
    ],
)
def test_wrong_folders(
    write_images: WriteImages, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    """Whatever is wrong with a folder, the message says what, and in which file or folder."""
    for part in ("train", "test"):
        write_images(tmp_path / part)
    damage(tmp_path)
    with pytest.raises(DataUnfit, match=message):
        read_image_folder(tmp_path, None)


def test_another_size_says_what_to_do(write_images: WriteImages, tmp_path: Path) -> None:
    """Five of many files are named, the others counted, and the way to 28x28 is told."""
    write_images(tmp_path)
    write_big(tmp_path / "a", 8)
    with pytest.raises(DataUnfit) as caught:
        read_image_folder(tmp_path, None)
    lines = str(caught.value).splitlines()
    assert len(lines) == 8
    assert lines[6] == "  and 3 more"
    assert "flatdense_client.prepare_image(path)" in lines[7]


def test_nothing_there(tmp_path: Path) -> None:
    """An empty folder, loose files and no folder at all are told apart."""
    with pytest.raises(DataUnfit, match=r"is empty. Expected one folder of images for each class"):
        read_image_folder(tmp_path, None)
    Image.new("L", (28, 28)).save(tmp_path / "0.png")
    with pytest.raises(DataUnfit, match="has files and no folder in it"):
        read_image_folder(tmp_path, None)
    with pytest.raises(DataMissing, match="absent cannot be read: No such file"):
        read_image_folder(tmp_path / "absent", None)


def test_one_file_is_open_at_a_time(write_images: WriteImages, tmp_path: Path) -> None:
    """A thousand images leave no file open."""
    folder = write_images(tmp_path / "it", rows=500)
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert len(read_image_folder(folder, None).arrays[TRAIN_IMAGES]) == 1_000
    # Fewer where what other tests left was collected meanwhile.
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
