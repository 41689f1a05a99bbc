"""A folder of pictures: each file is an image in MNIST's form, or says why it is none."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flatdense_client import prepare_image
from flatdense_cluster.score.folder import Folder
from flatdense_cluster.score.source import Images


@pytest.fixture
def scans(tmp_path: Path, draw: Callable[[Path, int], None]) -> Folder:
    """Twelve pictures."""
    draw(tmp_path / "scans", 12)
    return Folder(tmp_path / "scans")


def read(folder: Folder, plan: Path, change: Callable[[], None] = lambda: None) -> Images:
    """All of it as one part; `change` comes after the listing."""
    plan.mkdir()
    rows = folder.take_inventory(plan, 100).rows
    change()
    images = folder.read(plan, 0, 100)
    assert len(images.sources) == len(images.pixels) == len(images.errors) == rows
    return images


def test_pictures_are_prepared_as_by_the_sdk(scans: Folder, tmp_path: Path) -> None:
    """The pixels are those that prepare_image gives."""
    images = read(scans, tmp_path / "plan")
    assert images.errors == [None] * 12
    for source, pixels in zip(images.sources, images.pixels, strict=True):
        prepared = prepare_image(scans.path / source)
        assert np.array_equal(pixels, prepared.pixels.ravel())


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "this is not a PNG or JPEG picture"),
        (b"no picture", "this is not a PNG or JPEG picture"),
        (b"\x89PNG\r\n\x1a\nnothing follows", "this is not a PNG or JPEG picture"),
        (None, "the picture is damaged"),
    ],
)
def test_a_corrupt_file_costs_itself_alone(
    scans: Folder, tmp_path: Path, content: bytes | None, error: str
) -> None:
    """Its row says why; the others are scored."""
    bad = scans.path / "0" / "003.png"
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2] if content is None else content)
    images = read(scans, tmp_path / "plan")
    wrong = {s: e for s, e in zip(images.sources, images.errors, strict=True) if e}
    assert list(wrong) == ["0/003.png"]
    assert error in wrong["0/003.png"]


def test_what_changes_after_the_listing_is_told(scans: Folder, tmp_path: Path) -> None:
    """A file that vanished, grew or was written anew is not scored as if it were the listed one."""
    first, second, third = (scans.path / "0" / f"00{number}.png" for number in (1, 2, 3))

    def change() -> None:
        first.unlink()
        second.write_bytes(second.read_bytes() + b"more")
        found = third.stat()
        os.utime(third, ns=(found.st_atime_ns, found.st_mtime_ns + 1))

    images = read(scans, tmp_path / "plan", change)
    errors = dict(zip(images.sources, images.errors, strict=True))
    assert errors["0/001.png"] == "the file vanished after it was listed"
    assert errors["0/002.png"] == errors["0/003.png"] == "the file was changed after it was listed"
    assert errors["0/000.png"] is None


def test_odd_names_are_text_in_the_table(scans: Folder, tmp_path: Path) -> None:
    """Other alphabets and line breaks as they are; bytes that are no text are spelled out."""
    picture = (scans.path / "0" / "000.png").read_bytes()
    names = ["Ziffer ü七.png", "two\nlines.png", os.fsdecode(b"no text \xff.png")]
    for name in names:
        (scans.path / name).write_bytes(picture)
    images = read(scans, tmp_path / "plan")
    assert images.errors == [None] * 15
    assert set(images.sources[:3]) == {"Ziffer ü七.png", "two\nlines.png", "no text \\xff.png"}
