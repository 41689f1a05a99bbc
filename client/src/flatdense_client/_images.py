"""A picture of one digit, brought to the form of MNIST's images: 28x28, light ink on a dark ground.

    bytes -> grey -> ink, its ground taken away -> cropped -> 20 pixels long -> centred in 28x28

Pillow is imported at the first picture, so that callers who bring arrays need not install it.
"""

import io
import math
import os
import warnings
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flatdense_client._errors import InvalidInput
from flatdense_client._pixels import SIDE_PIXELS

if TYPE_CHECKING:
    from PIL import Image

Grey = npt.NDArray[np.float32]

MAX_PIXELS = 50_000_000
"""The biggest picture that is decoded: more than cameras make, less than hurts a small machine."""

_DIGIT_PIXELS = 20
"""The longest side of the digit inside the 28x28, as in MNIST."""

_WORKING_PIXELS = 256
"""The longest side at which ink is looked for: averaging quiets the grain of paper and sensor."""

_SPECK_CELLS = 64
"""Into how many cells the longest side is cut to tell the digit from specks, which fill no cell."""

_GRAIN_REACH = 5.0
"""How many times the median grain the strongest grain may be."""

_MIDDLE_GREY = 128
_SHADE = 64
"""How far the light on the ground may differ, of 255, from its middle."""

_FAINTEST_INK = 24.0
"""The least difference from the ground, of 255, that is ink and not grain."""


def load_image(source: "str | os.PathLike[str] | bytes") -> npt.NDArray[np.uint8]:
    """Reads a PNG or JPEG of one digit, and gives it as uint8 [28, 28] in MNIST's form.

    A picture that is 28x28 already, on a dark ground, is given as it is. Any other is turned grey
    (transparency over white), freed of its ground whether light or dark and even if unevenly lit,
    cropped to the ink, scaled so that the longest side is 20 pixels, and placed with its centre of
    mass in the middle.

    `source` is a path, or the bytes of the file. While it decodes, Python's warning filters are set
    aside, which one thread at a time may do.

    Raises InvalidInput: it is no PNG or JPEG, is damaged, is bigger than 50 megapixels or shows no
    ink. Raises OSError: the file cannot be read. Raises ImportError: Pillow is missing.
    """
    data = source if isinstance(source, bytes) else _read(source)
    grey = _decode(data)
    if grey.shape == (SIDE_PIXELS, SIDE_PIXELS) and np.median(_border(grey)) < _MIDDLE_GREY:
        if np.ptp(grey) < _FAINTEST_INK:
            raise _blank()
        return grey.round().astype(np.uint8)
    return _centre(_fit(_crop(_ink(_shrink(grey, _WORKING_PIXELS)))))


def _read(path: "str | os.PathLike[str]") -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123  # a PathLike need not be a Path
        return file.read()


def _decode(data: bytes) -> Grey:
    """The brightness of each pixel, 0..255, upright as the camera was held."""
    image_module = _import_pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged remarks beside the pixels do no harm
            warnings.simplefilter("error", image_module.DecompressionBombWarning)
            return _to_grey(_open_upright(data, image_module))
    except (image_module.DecompressionBombError, image_module.DecompressionBombWarning):
        raise _too_big() from None
    except image_module.UnidentifiedImageError:
        raise InvalidInput("this is not a PNG or JPEG picture, or its header is damaged") from None
    # Pillow's decoders raise any of these for damaged bytes, each with its own words.
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InvalidInput(f"the picture is damaged ({error})") from None


def _open_upright(data: bytes, image_module: ModuleType) -> "Image.Image":
    from PIL import ImageOps  # noqa: PLC0415  # Pillow is an extra

    image = image_module.open(io.BytesIO(data), formats=("PNG", "JPEG"))
    if image.width * image.height > MAX_PIXELS:
        raise _too_big()
    return ImageOps.exif_transpose(image)


def _import_pillow() -> ModuleType:
    try:
        from PIL import Image  # noqa: PLC0415  # Pillow is an extra
    except ImportError:
        msg = "reading PNG and JPEG needs Pillow: pip install 'flatdense-client[images]'"
        raise ImportError(msg) from None
    return Image


def _to_grey(image: "Image.Image") -> Grey:
    if image.mode.startswith("I"):  # 16 bits a pixel
        return np.asarray(image, dtype=np.float32) / np.float32(257)
    if image.has_transparency_data:
        image_module = _import_pillow()
        white = image_module.new("RGBA", image.size, "white")
        image = image_module.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image.convert("L"), dtype=np.float32)


def _shrink(grey: Grey, longest: int) -> Grey:
    """Scales the longest side down to `longest`: each pixel is the mean of those it replaces."""
    image_module = _import_pillow()
    scale = longest / max(grey.shape)
    if scale >= 1:
        return grey
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    shrunk = image_module.fromarray(grey).resize((width, height), image_module.Resampling.BOX)
    return np.asarray(shrunk)


def _border(grey: Grey) -> Grey:
    return np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])


def _ink(grey: Grey) -> Grey:
    """How far each pixel stands out from the ground, 0..255; what is not ink is 0.

    The ground is a smooth surface through the picture's border, so that a shadow across the paper
    is ground.
    """
    difference = grey - _ground(grey)
    light, dark = difference.clip(min=0), (-difference).clip(min=0)
    ink = light if np.square(light).sum() > np.square(dark).sum() else dark
    # The median, for ink that touches the border is not grain.
    grain = float(np.median(np.abs(_border(difference))))
    strongest = float(ink.max())
    floor = max(_GRAIN_REACH * grain, strongest / 8)
    if strongest < max(_FAINTEST_INK, 2 * floor):
        raise _blank()
    return ((ink - floor) / (strongest - floor)).clip(0, 1) * np.float32(255)


def _ground(grey: Grey) -> Grey:
    height, width = grey.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    border = np.concatenate([terms[0], terms[-1], terms[1:-1, 0], terms[1:-1, -1]])
    brightness = _border(grey)
    # A stroke that runs off the picture is on the border too: the surface is drawn again without
    # what stands out.
    near = np.abs(brightness - np.median(brightness)) <= _SHADE
    surface = np.linalg.lstsq(border[near], brightness[near], rcond=None)[0]
    return np.asarray(terms @ surface, np.float32)


def _crop(ink: Grey) -> Grey:
    """Cuts off what lies outside the digit, and the specks of dust and grain with it."""
    coarse = _shrink(ink, _SPECK_CELLS)
    cell = max(ink.shape) / max(coarse.shape)
    is_digit = coarse > coarse.max() / 4
    rows, columns = np.flatnonzero(is_digit.any(axis=1)), np.flatnonzero(is_digit.any(axis=0))
    near = ink[
        max(0, math.floor((rows[0] - 1) * cell)) : math.ceil((rows[-1] + 2) * cell),
        max(0, math.floor((columns[0] - 1) * cell)) : math.ceil((columns[-1] + 2) * cell),
    ]
    is_ink = near > 0
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    return near[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _fit(ink: Grey) -> Grey:
    """Scales the longest side to 20 pixels and the strongest ink to 255."""
    image_module = _import_pillow()
    scale = _DIGIT_PIXELS / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    resized = image_module.fromarray(ink).resize((width, height), image_module.Resampling.BILINEAR)
    digit: Grey = np.asarray(resized)
    return digit * np.float32(255 / digit.max())


def _centre(digit: Grey) -> npt.NDArray[np.uint8]:
    """Places the digit so that its centre of mass is in the middle, as far as it fits."""
    corner = []
    for axis, side in enumerate(digit.shape):
        mass = digit.sum(axis=1 - axis)
        centre = float((np.arange(side) + 0.5) @ mass / mass.sum())
        corner.append(min(max(round(SIDE_PIXELS / 2 - centre), 0), SIDE_PIXELS - side))
    top, left = corner
    height, width = digit.shape
    centred = np.zeros((SIDE_PIXELS, SIDE_PIXELS), np.uint8)
    centred[top : top + height, left : left + width] = digit.round()
    return centred


def _too_big() -> InvalidInput:
    megapixels = MAX_PIXELS // 1_000_000
    return InvalidInput(f"the picture is too big: expected at most {megapixels} megapixels")


def _blank() -> InvalidInput:
    return InvalidInput("the picture is blank: no ink stands out from its ground")
