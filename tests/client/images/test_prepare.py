"""Pictures of any size brought to MNIST's form."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import ImageLike, InvalidInput, prepare_image
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from safetensors.numpy import load_file

Encode = Callable[[npt.NDArray[np.uint8]], bytes]

EXAMPLES = Path(__file__).parents[3] / "examples"


def _pixels(source: ImageLike) -> npt.NDArray[np.uint8]:
    return prepare_image(source).pixels


def _draw(side: int = 200, at: tuple[int, int] = (0, 0), width: int = 14) -> npt.NDArray[np.uint8]:
    """A seven in white on black, moved by `at`, by a pen so wide."""
    image = Image.new("L", (side, side))
    x, y = at
    points = [(70 + x, 50 + y), (130 + x, 50 + y), (90 + x, 150 + y)]
    ImageDraw.Draw(image).line(points, fill=255, width=width, joint="curve")
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


def _on_blotched_paper(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Faint ink on paper that is darker here and there, by up to half of the ink's strength."""
    coarse = Image.fromarray(np.random.default_rng(0).uniform(0, 1, (6, 6)).astype(np.float32))
    blotches = np.asarray(coarse.resize(pixels.shape[::-1], Image.Resampling.BICUBIC))
    photo = 200 * (1 - 0.15 * blotches) * (1 - 0.3 * (pixels / 255))
    return _jpeg(photo.clip(0, 255).astype(np.uint8))


def _in_sharp_shadow(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Dark ink on paper, one half of it in the shadow of something with an edge."""
    y, x = np.mgrid[0 : pixels.shape[0], 0 : pixels.shape[1]] / max(pixels.shape)
    paper = np.where(x + y / 4 < 0.62, 235, 140)
    return _jpeg((paper * (1 - 0.7 * (pixels / 255))).astype(np.uint8))


def _white_alpha(pixels: npt.NDArray[np.uint8]) -> bytes:
    return _png(np.dstack([np.full((*pixels.shape, 3), 255, np.uint8), pixels]))


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
        _white_alpha,
        _turned,
        _on_uneven_paper,
        _on_blotched_paper,
    ],
    ids=[
        *("png", "jpeg", "inverted", "colour", "16 bits", "alpha", "white alpha", "turned"),
        *("uneven paper", "blotched paper"),
    ],
)
def test_one_drawing_in_every_form_is_one_image(encode: Encode) -> None:
    """Format, colours, depth, ground, light and orientation do not change what the model sees."""
    expected = _pixels(_png(_draw())).astype(int)
    image = _pixels(encode(_draw())).astype(int)
    assert np.abs(image - expected).mean() < 8


def test_a_sharp_shadow_is_no_ink() -> None:
    """The edge of a shadow leaves the digit whole, and as dark in the shadow as out of it."""
    expected = _pixels(_png(_draw())).astype(int)
    image = _pixels(_in_sharp_shadow(_draw())).astype(int)
    assert np.abs(image - expected).mean() < 16


@pytest.mark.parametrize("ground", [0, 255])
def test_a_digit_may_fill_the_picture(ground: int) -> None:
    """Strokes wider than a quarter of the picture, up to its border, are no shadow."""
    drawing = _draw(width=40)
    rows, columns = np.flatnonzero(drawing.any(axis=1)), np.flatnonzero(drawing.any(axis=0))
    tight = drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] ^ ground
    expected = _pixels(_png(drawing)).astype(int)
    assert np.abs(_pixels(_png(tight.astype(np.uint8))).astype(int) - expected).mean() < 8


@pytest.mark.parametrize("at", [(-60, -40), (50, 40), (-60, 45)])
def test_the_place_in_the_picture_does_not_matter(at: tuple[int, int]) -> None:
    """A digit in a corner is the same image as one in the middle, but for where pixels begin."""
    image = _pixels(_png(_draw(at=at))).astype(int)
    assert np.abs(image - _pixels(_png(_draw()))).mean() < 4


def test_it_has_the_form_of_mnist() -> None:
    """The longest side is 20 pixels, full ink is 255, the centre of mass is on pixel 14."""
    image = _pixels(_png(_draw()))
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (20, 21)  # 20 that begin between two pixels
    assert image.max() == 255
    centre = [(np.indices(image.shape)[axis] * image).sum() / image.sum() for axis in (0, 1)]
    assert np.allclose(centre, 14, atol=0.14)


@pytest.mark.parametrize("width", [1, 2, 5, 14])
def test_a_thin_pen_is_made_thick(width: int) -> None:
    """By whatever pen, strokes have MNIST's thickness; the result says by how much they grew."""
    done = prepare_image(_png(_draw(width=width)))
    expected = _pixels(_png(_draw())).astype(int)
    assert np.abs(done.pixels - expected).mean() < 8
    assert done.thickened == pytest.approx(14 - width, abs=4)
    assert ("thickened" in repr(done)) == (done.thickened > 0)


def test_a_thick_pen_is_left_as_it_is() -> None:
    """What is thick enough is no thicker after."""
    assert prepare_image(_png(_draw(width=24))).thickened == 0


def test_specks_are_not_the_digit() -> None:
    """Dust far from the digit does not make it smaller."""
    drawing = _draw().copy()
    drawing[5, 5] = drawing[190, 192] = 255
    difference = _pixels(_png(drawing)).astype(int) - _pixels(_png(_draw()))
    assert np.abs(difference).mean() < 1


def test_an_image_in_mnists_form_is_left_alone() -> None:
    """28x28 on a dark ground comes back pixel for pixel."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[3:20, 5:9] = np.arange(68).reshape(17, 4) + 100
    assert np.array_equal(_pixels(_png(pixels)), pixels)


def test_every_source_is_the_same(tmp_path: Path) -> None:
    """A path, its bytes, PIL's image of it and its pixels give one and the same image."""
    path = tmp_path / "digit.png"
    path.write_bytes(_png(255 - _draw()))
    expected = prepare_image(path)
    assert expected.is_inverted
    colours = np.dstack([255 - _draw()] * 3)
    sources: list[ImageLike] = [
        *(str(path), path.read_bytes(), bytearray(path.read_bytes()), Image.open(path)),
        *(255 - _draw(), colours, np.dstack([colours, np.full((200, 200), 255, np.uint8)])),
        *(Image.open(path).convert(mode) for mode in ("1", "P", "RGBA", "CMYK", "HSV", "I", "F")),
    ]
    for source in sources:
        assert np.array_equal(_pixels(source), expected.pixels)


@given(
    exponent=st.floats(0, 1),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    is_dark=st.booleans(),
    orientation=st.integers(1, 8),
)
def test_what_was_done_can_be_done_again(
    exponent: float, place: tuple[float, float], orientation: int, *, is_dark: bool
) -> None:
    """The steps that the result tells, done by hand to the picture, give its pixels."""
    side = round(60 * 10**exponent)
    digit = Image.fromarray(_draw()[45:156, 60:141]).resize((side * 3 // 4, side))
    drawing = Image.new("L", (2 * side + 20, side + 40))
    left = round(place[0] * (drawing.width - digit.width))
    top = round(place[1] * (drawing.height - digit.height))
    drawing.paste(digit, (left, top))
    upright = np.asarray(drawing)
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = _lay(upright, orientation)
    Image.fromarray(255 - stored if is_dark else stored).save(file, "PNG", exif=exif)
    done = prepare_image(file.getvalue())

    assert done.source_size == drawing.size
    assert done.source_mode == "L"
    assert done.is_turned == (orientation > 1)
    assert done.is_inverted == is_dark
    assert not done.as_is
    fine = 4  # what is between two pixels of the 28 needs more of them
    again = drawing.crop(done.crop_box)
    again = again.resize(
        (round(again.width * done.scale * fine), round(again.height * done.scale * fine)),
        Image.Resampling.BOX,
    )
    assert max(again.size) + done.thickened * done.scale * fine == pytest.approx(20 * fine, abs=1)
    x = round((14 + done.shift[0]) * fine - again.width / 2)
    y = round((14 + done.shift[1]) * fine - again.height / 2)
    canvas = Image.new("L", (28 * fine, 28 * fine))
    canvas.paste(again, (x, y))
    image = np.asarray(canvas.reduce(fine)).astype(int)
    assert np.abs(image - done.pixels).mean() < 10


def _lay(pixels: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """As a camera stores them that is held as EXIF's orientation says."""
    if orientation >= 5:  # the first row of the file is a column of what is seen
        pixels = pixels.T
    turned = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (-1, 1), 7: (-1, -1)}
    down, right = turned.get(orientation, (1, -1))
    return np.ascontiguousarray(pixels[::down, ::right])


def test_an_image_in_mnists_form_says_so() -> None:
    """What was not touched is told as untouched."""
    done = prepare_image(np.eye(28, dtype=np.uint8) * 255)
    assert done.as_is
    assert not done.is_inverted
    assert not done.is_turned
    assert done.crop_box == (0, 0, 28, 28)
    assert done.scale == 1
    assert done.shift == (0, 0)
    assert repr(done) == "PreparedImage(28x28 L, as it is)"


def test_a_person_can_read_what_was_done() -> None:
    """The repr tells the picture and each step in turn."""
    told = repr(prepare_image(_turned(255 - _draw())))
    assert told.startswith("PreparedImage(200x200 L, turned upright, inverted, cropped to x ")
    assert "scaled by 0.1" in told
    assert "shifted by (" in told


def test_a_prepared_image_is_an_array() -> None:
    """It becomes an array of any type, its own is read-only, and it can be prepared again."""
    done = prepare_image(_png(_draw()))
    assert np.shares_memory(np.asarray(done), done.pixels)
    assert np.array_equal(np.asarray(done, np.float32), done.pixels.astype(np.float32))
    copy = np.array(done)
    copy[:] = 0
    assert done.pixels.any()
    with pytest.raises(ValueError, match="read-only"):
        done.pixels[0, 0] = 1
    with pytest.raises(ValueError, match="without a copy"):
        done.__array__(np.float32, copy=False)
    with pytest.raises(AttributeError):
        done.scale = 2.0  # type: ignore[misc]
    assert prepare_image(done).as_is


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3, 5000), (28, 28), (200, 200)])
@pytest.mark.parametrize("brightness", [0, 128, 255])
def test_a_blank_picture_is_refused(shape: tuple[int, int], brightness: int) -> None:
    """A picture of one brightness shows no digit, whatever its shape."""
    with pytest.raises(InvalidInput, match="blank"):
        _pixels(_png(np.full(shape, brightness, np.uint8)))


def test_empty_paper_is_refused() -> None:
    """The grain and shadow of paper are not ink."""
    with pytest.raises(InvalidInput, match="blank"):
        _pixels(_on_uneven_paper(np.zeros((200, 200), np.uint8)))


@pytest.mark.parametrize("name", ["seven.png", "photo_of_a_three.png"])
def test_the_examples_are_images(name: str) -> None:
    """The example pictures give images with ink and ground."""
    image = _pixels(EXAMPLES / name)
    assert 40 < np.count_nonzero(image > 127) < 250


def test_mnist_survives(
    mnist_test: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]], exported_model: Path
) -> None:
    """The model reads MNIST's digits nearly as well off a big light picture as off their pixels."""
    weights = load_file(exported_model / "1" / "weights.safetensors")
    images, labels = (part[:300] for part in mnist_test)

    def accuracy(rows: npt.NDArray[np.uint8]) -> float:
        """The fraction that the exported network reads right."""
        hidden = rows.reshape(-1, 784) / 255 @ weights["hidden/kernel"] + weights["hidden/bias"]
        logits = hidden.clip(min=0) @ weights["output/kernel"] + weights["output/bias"]
        return float(np.mean(logits.argmax(axis=1) == labels))

    prepared = [_pixels(_enlarge(image)) for image in images]
    assert accuracy(np.stack(prepared)) > accuracy(images) - 0.02


def _enlarge(image: npt.NDArray[np.uint8]) -> Image.Image:
    big = Image.fromarray(255 - image).resize((200, 200), Image.Resampling.BICUBIC)
    paper = Image.new("L", (500, 300), 255)
    paper.paste(big, (260, 40))
    return paper
