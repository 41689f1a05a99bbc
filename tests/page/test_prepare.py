"""The browser's way to MNIST's form is the SDK's: pixel for pixel, but for rounding."""

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import InvalidInput, prepare_image
from page.handwriting import Handwritten, write_digits
from page.sheet import OpenPage, Sheet
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits

pytestmark = pytest.mark.xdist_group("page")

Grey = npt.NDArray[np.uint8]

PREPARE = """async (pictures) => {
  const { Blank, prepare, toGrey } = await import("/page/prepare.js");
  return pictures.map(({ data, width, height }) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const picture = bytes.length === width * height
      ? { data: Float32Array.from(bytes), width, height }
      : toGrey(bytes, width, height);
    try {
      return [...prepare(picture).pixels];
    } catch (error) {
      if (error instanceof Blank) return null;
      throw error;
    }
  });
}"""

SHARE = 0.99
"""Of the pixels of all pictures that are equal; the others are one apart."""


def prepare_there(sheet: Sheet, pictures: list[Grey]) -> list[list[int] | None]:
    """What the browser makes of pictures, grey or RGBA; None where it sees no ink."""
    sent = [
        {
            "data": base64.b64encode(picture.tobytes()).decode(),
            "width": picture.shape[1],
            "height": picture.shape[0],
        }
        for picture in pictures
    ]
    prepared: list[list[int] | None] = sheet.page.evaluate(PREPARE, sent)
    return prepared


def prepare_here(picture: Grey) -> Grey | None:
    """What the SDK makes of it."""
    try:
        return prepare_image(picture).pixels.ravel()
    except InvalidInput:
        return None


def draw(digit: Handwritten, width: int, height: int) -> npt.NDArray[np.float64]:
    """The ink, 0 to 1, in a picture of that size."""
    image = Image.new("L", (2 * width, 2 * height))
    pencil = ImageDraw.Draw(image)
    pen = max(2, round(2 * digit.pen / 280 * min(width, height)))
    for stroke in digit.strokes:
        points = [(2 * x * width, 2 * y * height) for x, y in stroke]
        pencil.line(points, fill=255, width=pen, joint="curve")
    return np.asarray(image.resize((width, height), Image.Resampling.BOX)) / 255


def picture_digits() -> Iterator[Grey]:
    """Drawn digits in pictures of many sizes, on grounds that people have."""
    for index, digit in enumerate(write_digits()):
        hand = np.random.default_rng(index)
        width, height = (int(side) for side in hand.integers(30, 520, 2))
        ink = draw(digit, width, height)
        y, x = np.mgrid[0:height, 0:width] / max(width, height)
        grounds = {
            0: 255 * ink,
            1: 255 - 255 * ink,
            2: (240 - 90 * x * y - 20 * x) * (1 - 0.6 * ink) + hand.normal(0, 4, ink.shape),
            3: np.where(x + y / 4 < 0.62, 235, 140) * (1 - 0.7 * ink),
        }
        yield grounds[index % 4].clip(0, 255).astype(np.uint8)


def test_pictures_become_what_the_sdk_makes_of_them(open_page: OpenPage, repository: Path) -> None:
    """Of drawn, photographed, shaded, tiny and plain pictures, and of those in MNIST's form."""
    photo = Image.open(repository / "examples" / "photo_of_a_three.png").convert("L")
    seven = Image.open(repository / "examples" / "seven.png").convert("L")
    tiny = [(16 - image).astype(np.uint8) * 15 for image in load_digits().images[:20]]
    tiny = [np.pad(image, 1, constant_values=240) for image in tiny]
    pictures = [*picture_digits(), np.asarray(photo), np.asarray(seven), *tiny]
    there = prepare_there(open_page(), pictures)
    differences = []
    for number, (picture, pixels) in enumerate(zip(pictures, there, strict=True)):
        wanted = prepare_here(picture)
        assert (wanted is None) == (pixels is None), (number, picture.shape)
        if wanted is not None and pixels is not None:
            difference = np.abs(wanted.astype(int) - pixels)
            assert difference.max() <= 1, (number, picture.shape)
            differences.append(difference)
    assert len(differences) > 0.9 * len(pictures)
    assert np.mean(np.concatenate(differences) == 0) >= SHARE


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_plain_picture_is_blank(open_page: OpenPage, level: int) -> None:
    """Of any brightness and size, in MNIST's form too."""
    pictures = [np.full((side, side), level, np.uint8) for side in (1, 28, 256)]
    assert prepare_there(open_page(), pictures) == [None, None, None]
    assert [prepare_here(picture) for picture in pictures] == [None, None, None]


def test_colours_and_transparency_become_grey_as_in_the_sdk(open_page: OpenPage) -> None:
    """Over white; and white ink over black, which white paper would swallow."""
    ink = draw(next(write_digits()), 60, 60)
    colours = np.random.default_rng(0).integers(0, 120, (60, 60, 3))
    clear = np.dstack([colours, 255 * ink]).astype(np.uint8)
    white = np.dstack([np.full((60, 60, 3), 255), 255 * ink]).astype(np.uint8)
    for picture, pixels in zip(
        [clear, white], prepare_there(open_page(), [clear, white]), strict=True
    ):
        wanted = prepare_here(picture)
        assert wanted is not None
        assert np.abs(wanted.astype(int) - np.array(pixels)).max() <= 2
