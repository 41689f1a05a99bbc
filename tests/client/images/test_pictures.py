"""Pictures read from files, bytes, PIL and arrays, and what is said of those that are none."""

import io
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import InvalidInput, prepare_image
from flatdense_client._images.pictures import MAX_FILE_BYTES, is_picture, read_picture
from PIL import Image

GREY = np.linspace(0, 255, 30 * 40).astype(np.uint8).reshape(30, 40)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16", "I", "F", "CMYK", "HSV"])
def test_every_mode_is_grey(mode: str) -> None:
    """A grey picture keeps its brightness in each of Pillow's modes."""
    if mode == "I;16":
        image = Image.fromarray(GREY.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(GREY).convert(mode)
    picture = read_picture(image)
    assert picture.mode == mode
    assert picture.grey.dtype == np.float32
    assert np.abs(picture.grey - GREY).max() <= 1


def test_numbers_of_a_byte_in_more_bits_are_bytes() -> None:
    """A picture of 32 bits that holds 0..255 is as bright as one of 8 bits."""
    assert np.array_equal(read_picture(Image.fromarray(GREY.astype(np.int32))).grey, GREY)


def test_a_mode_that_has_no_grey_is_refused() -> None:
    """A mode that Pillow does not turn grey is one clear error."""
    with pytest.raises(InvalidInput, match="this PIL image cannot be read"):
        read_picture(Image.new("LAB", (30, 40)))


def test_an_image_whose_file_is_gone_is_refused() -> None:
    """PIL reads a file late: where it was closed by then, that is said."""
    file = io.BytesIO(_png(Image.fromarray(GREY)))
    image = Image.open(file)
    file.close()
    with pytest.raises(InvalidInput, match="this PIL image cannot be read"):
        read_picture(image)


def test_what_is_a_picture_by_its_type(tmp_path: Path) -> None:
    """Paths, bytes and PIL's images are pictures; numbers are not."""
    for value in ("a.png", tmp_path, b"", bytearray(), Image.new("L", (1, 1))):
        assert is_picture(value)
    for other in (GREY, GREY.tolist(), memoryview(b""), 5, None, Image):
        assert not is_picture(other)


@pytest.mark.parametrize("keep", [8, 20, 40, 60])
def test_a_picture_cut_short_is_refused(keep: int) -> None:
    """Every truncation is one clear error."""
    with pytest.raises(InvalidInput, match="damaged"):
        read_picture(_png(Image.fromarray(GREY))[:keep])


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    """Bytes that are no PNG or JPEG are one clear error."""
    with pytest.raises(InvalidInput, match="not a PNG or JPEG"):
        read_picture(data)


@pytest.mark.parametrize("side", [7100, 9600, 14_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    """A small file that would decode to a huge picture is refused by its header."""
    file = io.BytesIO()
    Image.new("1", (side, side)).save(file, "PNG")
    with pytest.raises(InvalidInput, match="too big: expected at most 50 megapixels"):
        read_picture(file.getvalue())


def test_a_picture_of_pils_may_be_too_big() -> None:
    """The limit holds for images that are in memory already."""
    with pytest.raises(InvalidInput, match="too big: expected at most 50 megapixels"):
        read_picture(Image.new("1", (10_000, 5_001)))


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((5, 5)), "an array of float64 of the shape (5, 5); expected uint8"),
        (np.zeros(784, np.uint8), "of the shape (784,)"),
        (np.zeros((2, 28, 28), np.uint8), "of the shape (2, 28, 28)"),
        (np.zeros((0, 28), np.uint8), "of the shape (0, 28)"),
        (np.zeros((4, 4, 1), np.uint8), "of the shape (4, 4, 1)"),
        (None, "of the type NoneType"),
        ({}, "of the type dict"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(array: object, told: str) -> None:
    """A wrong shape or type is refused with what came and what was expected."""
    with pytest.raises(InvalidInput) as caught:
        read_picture(array)
    assert told in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Whatever is wrong with a file, the message has its name, and is an InvalidInput."""
    file = tmp_path / "seven.png"
    file.write_bytes(b"no picture")
    blank = tmp_path / "blank.png"
    blank.write_bytes(_png(Image.new("L", (40, 40))))
    for path, told in [
        (file, "not a PNG or JPEG"),
        (str(blank), "blank"),
        (tmp_path / "missing", "there is no such file"),
        (tmp_path, "this is a folder"),
        (file / "below", "cannot be read: Not a directory"),
        ("a\0b", "this is no path"),
        (_BytesPath(), "there is no such file"),
    ]:
        with pytest.raises(InvalidInput, match=told) as caught:
            prepare_image(path)
        named = os.fsdecode(path)
        assert str(caught.value).startswith(f"{named!r}: ")


class _BytesPath(os.PathLike[str]):
    """A path of bytes that are no text, as some file systems have them."""

    def __fspath__(self) -> str:
        return b"\xff\n.png"  # type: ignore[return-value]


def test_an_endless_file_is_refused(tmp_path: Path) -> None:
    """No more is read of a file than the biggest picture needs."""
    path = tmp_path / "hole.png"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(InvalidInput, match="too big: expected at most 256 MiB"):
        read_picture(path)


def _with_exif(orientation: object) -> npt.NDArray[np.float32]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, "PNG", exif=exif)
    return read_picture(file.getvalue()).grey


def test_every_orientation_is_turned_upright() -> None:
    """The eight ways to hold a camera, and a ninth that is none, which leaves the picture as is."""
    for orientation, expected in {
        1: GREY,
        2: GREY[:, ::-1],
        3: GREY[::-1, ::-1],
        4: GREY[::-1],
        5: GREY.T,
        6: GREY.T[:, ::-1],
        7: GREY.T[::-1, ::-1],
        8: GREY.T[::-1],
        9: GREY,
    }.items():
        assert np.array_equal(_with_exif(orientation), expected)
