"""One image file as 28x28 grey pixels."""

import stat
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from flatdense_training.data.idx import UInt8
from flatdense_training.data.pixels import FULL, SIDE

TO_8_BITS = 257
"""65,535 / 255."""

DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
"""How Pillow calls whole numbers of 16 and more bits."""

DAMAGES = (
    EOFError,
    IndexError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,  # where the interpreter was told to raise them
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise for damaged bytes, each with its own words."""


class PictureFault(Exception):
    """A file cannot be learnt from. Its text continues a sentence that begins with the path."""


class NoPicture(PictureFault):
    """A file is not an image at all."""


class WrongSize(PictureFault):
    """An image is not 28x28."""


def read_picture(path: Path) -> UInt8:
    """The image in a file, upright and grey: uint8 [28, 28], 0 is black and 255 white.

    Of a picture with colours, this is its brightness. Grey values of 16 bits are scaled to 8, as
    long as one is above 255. What is transparent is laid over black, or over white and inverted,
    whichever leaves more contrast: either way, the ground is 0.

    Raises PictureFault.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise NoPicture("is not a file")
        with Image.open(path) as image:
            if image.size != (SIDE, SIDE):
                raise wrong_size(image)
            frames = getattr(image, "n_frames", 1)
            if frames > 1:
                raise PictureFault(f"has {frames} frames, expected one image")
            ImageOps.exif_transpose(image, in_place=True)
            return to_grey(image)
    except UnidentifiedImageError:
        if path.suffix.lower() in readable_suffixes():
            raise PictureFault("is damaged: its header is not that of an image") from None
        raise NoPicture("is not an image") from None
    except Image.DecompressionBombError:
        raise WrongSize(f"is far larger than {SIDE}x{SIDE}") from None
    except DAMAGES as error:
        reason = getattr(error, "strerror", None)
        raise PictureFault(
            f"cannot be read: {reason}" if reason else f"is damaged ({error})"
        ) from None


def wrong_size(image: Image.Image) -> WrongSize:
    """The fault of an image of another size."""
    return WrongSize(f"is {image.width}x{image.height} pixels, expected {SIDE}x{SIDE}")


def readable_suffixes() -> set[str]:
    """With a dot, in small letters: what the names of images end with."""
    return {suffix for suffix, name in Image.registered_extensions().items() if name in Image.OPEN}


def to_grey(image: Image.Image) -> UInt8:
    """uint8 [28, 28]: see read_picture(). Raises PictureFault where a value has no scale."""
    if image.mode in DEEP_MODES:
        return from_levels(np.asarray(image).astype(np.int64))
    if image.mode == "F":
        raise PictureFault("has fractions for pixels, expected whole numbers: save it with 8 bits")
    if image.has_transparency_data:
        return from_layer(image.convert("RGBA"))
    return np.asarray(image.convert("L"))


def from_levels(levels: np.ndarray) -> UInt8:
    """Levels of 16 bits, or of 8 bits that were stored in 16."""
    if levels.min() < 0 or levels.max() > FULL * TO_8_BITS:
        raise PictureFault(
            f"has pixels from {levels.min()} to {levels.max()}, expected 0 to {FULL * TO_8_BITS}"
        )
    if levels.max() > FULL:
        levels = np.rint(levels / TO_8_BITS)
    return levels.astype(np.uint8)


def from_layer(layer: Image.Image) -> UInt8:
    """A picture with transparent parts, over the ground that it stands out from."""
    over_black, over_white = (
        np.asarray(Image.alpha_composite(Image.new("RGBA", layer.size, ground), layer).convert("L"))
        for ground in ("black", "white")
    )
    return over_black if np.ptp(over_black) >= np.ptp(over_white) else FULL - over_white
