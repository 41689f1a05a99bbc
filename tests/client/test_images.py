"""Pictures of any size brought to MNIST's form."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import InvalidInput, load_image
from PIL import Image, ImageDraw

Encode = Callable[[npt.NDArray[np.uint8]], bytes]

EXAMPLES = Path(__file__).parents[2] / "examples"


def _draw(side: int = 200, at: tuple[int, int] = (0, 0)) -> npt.NDArray[np.uint8]:
    """A seven in white on black, moved by `at`."""
    image = Image.new("L", (side, side))
    x, y = at
    points = [(70 + x, 50 + y), (130 + x, 50 + y), (90 + x, 150 + y)]
    ImageDraw.Draw(image).line(points, fill=255, width=14, joint="curve")
    return np.asarray(image)


def _png(pixels: npt.NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    return file.getvalue()


def _on_uneven_paper(pixels: npt.NDArray[np.uint8]) -> bytes:
    y, x = np.mgrid[0 : pixels.shape[0], 0 : pixels.shape[1]] / max(pixels.shape)
    paper = 240 - 90 * x * y - 20 * x
    grain = np.random.default_rng(0).normal(0, 5, pixels.shape)
    photo = paper * (1 - 0.6 * (pixels / 255)) + grain
    return _jpeg(photo.clip(0, 255).astype(np.uint8))


def _as_alpha(pixels: npt.NDArray[np.uint8]) -> bytes:
    return _png(np.dstack([np.zeros((*pixels.shape, 3), np.uint8), pixels]))


def _turned(pixels: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn a quarter clockwise to see it upright
    Image.fromarray(np.ascontiguousarray(np.rot90(pixels))).save(file, "PNG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize(
    "encode",
    [
        _png,
        _jpeg,
        lambda pixels: _png(255 - pixels),
        lambda pixels: _png(np.dstack([255 - pixels] * 3)),
        lambda pixels: _png(pixels.astype(np.uint16) * 257),
        _as_alpha,
        _turned,
        _on_uneven_paper,
    ],
    ids=["png", "jpeg", "inverted", "colour", "16 bits", "alpha", "turned", "uneven paper"],
)
def test_one_drawing_in_every_form_is_one_image(encode: Encode) -> None:
    """Format, colours, depth, ground, light and orientation do not change what the model sees."""
    expected = load_image(_png(_draw())).astype(int)
    image = load_image(encode(_draw())).astype(int)
    assert np.abs(image - expected).mean() < 8


@pytest.mark.parametrize("at", [(-60, -40), (50, 40), (-60, 45)])
def test_the_place_in_the_picture_does_not_matter(at: tuple[int, int]) -> None:
    """A digit in a corner is the same image as one in the middle."""
    assert np.array_equal(load_image(_png(_draw(at=at))), load_image(_png(_draw())))


def test_it_has_the_form_of_mnist() -> None:
    """The longest side is 20 pixels, full ink is 255, the mass is in the middle of 28x28."""
    image = load_image(_png(_draw()))
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert image.max() == 255
    centre = [(np.indices(image.shape)[axis] * image).sum() / image.sum() for axis in (0, 1)]
    assert np.allclose(centre, 13.5, atol=0.51)


def test_specks_are_not_the_digit() -> None:
    """Dust far from the digit does not make it smaller."""
    drawing = _draw().copy()
    drawing[5, 5] = drawing[190, 192] = 255
    difference = load_image(_png(drawing)).astype(int) - load_image(_png(_draw()))
    assert np.abs(difference).mean() < 1


def test_an_image_in_mnists_form_is_left_alone() -> None:
    """28x28 on a dark ground comes back pixel for pixel."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[3:20, 5:9] = np.arange(68).reshape(17, 4) + 100
    assert np.array_equal(load_image(_png(pixels)), pixels)


def test_a_path_and_its_bytes_are_the_same(tmp_path: Path) -> None:
    """A path, as str or Path, gives what its bytes give."""
    path = tmp_path / "digit.png"
    path.write_bytes(_png(_draw()))
    assert np.array_equal(load_image(path), load_image(path.read_bytes()))
    assert np.array_equal(load_image(str(path)), load_image(path.read_bytes()))


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3, 5000), (28, 28), (200, 200)])
@pytest.mark.parametrize("brightness", [0, 128, 255])
def test_a_blank_picture_is_refused(shape: tuple[int, int], brightness: int) -> None:
    """A picture of one brightness shows no digit, whatever its shape."""
    with pytest.raises(InvalidInput, match="blank"):
        load_image(_png(np.full(shape, brightness, np.uint8)))


def test_empty_paper_is_refused() -> None:
    """The grain and shadow of paper are not ink."""
    with pytest.raises(InvalidInput, match="blank"):
        load_image(_on_uneven_paper(np.zeros((200, 200), np.uint8)))


@pytest.mark.parametrize("keep", [8, 20, 40, 100, 300])
def test_a_picture_cut_short_is_refused(keep: int) -> None:
    """Every truncation is one clear error."""
    with pytest.raises(InvalidInput, match="damaged"):
        load_image(_png(_draw())[:keep])


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    """Bytes that are no PNG or JPEG are one clear error."""
    with pytest.raises(InvalidInput, match="not a PNG or JPEG"):
        load_image(data)


@pytest.mark.parametrize("side", [7100, 9600, 14_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    """A small file that would decode to a huge picture is refused by its header."""
    file = io.BytesIO()
    Image.new("1", (side, side)).save(file, "PNG")
    with pytest.raises(InvalidInput, match="too big: expected at most 50 megapixels"):
        load_image(file.getvalue())


@pytest.mark.parametrize("name", ["seven.png", "photo_of_a_three.png"])
def test_the_examples_are_images(name: str) -> None:
    """The example pictures give images with ink and ground."""
    image = load_image(EXAMPLES / name)
    assert 40 < np.count_nonzero(image > 127) < 250
