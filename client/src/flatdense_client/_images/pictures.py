"""A picture from anywhere, as the brightness of its pixels.

Pillow is imported at the first picture, so that callers who bring arrays need not install it.
"""

import io
import os
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from flatdense_client._errors import InvalidInput
from flatdense_client._images.tensors import to_array

if TYPE_CHECKING:
    from PIL import Image

Grey = npt.NDArray[np.float32]
"""[H, W] the brightness of each pixel, 0 (black) to 255 (white)."""

Pictured: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | Image.Image"
"""What is a picture by its type: a path, the bytes of a file, or an image of PIL's."""

MAX_PIXELS = 50_000_000
"""The biggest picture that is decoded: more than cameras make, less than hurts a small machine."""

MAX_FILE_BYTES = 1 << 28
"""The most that is read of a file: more than MAX_PIXELS need, less than an endless device gives."""

_ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held."""

_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What brings each orientation upright, as a member of Pillow's `Transpose`."""

_CHANNELS = (3, 4)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Picture:
    """A picture of any size."""

    grey: Grey
    """Upright, as the camera was held. What is transparent lies over white, or over black where all
    would be white."""
    mode: str
    """How its pixels were stored, in Pillow's words, such as `RGB` or `L`."""
    is_turned: bool
    """Whether it was stored another way up."""


def is_picture(value: object) -> "TypeGuard[Pictured]":
    """Whether this is Pictured."""
    if isinstance(value, str | bytes | bytearray | os.PathLike):
        return True
    # Where nobody imported PIL, nothing is an image of PIL's.
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(value, pil.Image)


def read_picture(source: object) -> Picture:
    """Reads a picture: Pictured, or an array uint8 [H, W], [H, W, 3] or [H, W, 4].

    Files, and the bytes of them, are PNG or JPEG. An image of PIL's may be of any format.

    Raises InvalidInput: it is none of these, cannot be read, is damaged, or is bigger than 50
    megapixels. Raises ImportError: Pillow is missing.
    """
    image_module = _import_pillow()
    data = _read_file(source) if isinstance(source, str | os.PathLike) else source
    try:
        image = _open(data, image_module)
        if image.width * image.height > MAX_PIXELS:
            raise _too_big()
        return _to_picture(image, image_module)
    except (image_module.DecompressionBombError, image_module.DecompressionBombWarning):
        raise _too_big() from None
    except image_module.UnidentifiedImageError:
        raise InvalidInput("this is not a PNG or JPEG picture, or its header is damaged") from None
    # Pillow's decoders raise any of these for damaged bytes, each with its own words; a warning
    # where the caller's filters make it an error.
    except (OSError, SyntaxError, ValueError, EOFError, Warning) as error:
        is_opened = isinstance(source, image_module.Image)
        told = "this PIL image cannot be read" if is_opened else "the picture is damaged"
        raise InvalidInput(f"{told} ({error})") from None


def resize(grey: Grey, width: int, height: int, filter_name: str) -> Grey:
    """Scales to any size; `filter_name` is one of Pillow's `Resampling`."""
    image_module = _import_pillow()
    resampling = image_module.Resampling[filter_name]
    return np.asarray(image_module.fromarray(grey).resize((width, height), resampling))


def shrink(grey: Grey, longest: int) -> Grey:
    """Scales the longest side down to `longest`: each pixel is the mean of those it replaces."""
    scale = longest / max(grey.shape)
    if scale >= 1:
        return grey
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    return resize(grey, width, height, "BOX")


def _import_pillow() -> ModuleType:
    try:
        from PIL import Image  # noqa: PLC0415  # Pillow is an extra
    except ImportError:
        msg = "reading pictures needs Pillow: pip install 'flatdense-client[images]'"
        raise ImportError(msg) from None
    return Image


def _open(source: Any, image_module: ModuleType) -> "Image.Image":  # noqa: ANN401  # it finds out
    image: Image.Image
    if isinstance(source, image_module.Image):
        image = source
    elif isinstance(source, bytes | bytearray):
        image = image_module.open(io.BytesIO(source), formats=("PNG", "JPEG"))
    else:
        image = image_module.fromarray(_check_array(to_array(source)))
    return image


def _read_file(path: "str | os.PathLike[str]") -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # a PathLike need not be a Path
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise InvalidInput("there is no such file") from None
    except IsADirectoryError:
        raise InvalidInput("this is a folder; expected a PNG or JPEG") from None
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}") from None
    except ValueError as error:  # a zero character
        raise InvalidInput(f"this is no path ({error})") from None
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput(f"the file is too big: expected at most {MAX_FILE_BYTES >> 20} MiB")
    return data


def _check_array(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    is_grid = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _CHANNELS)  # noqa: PLR2004
    if array.dtype != np.uint8 or not is_grid or array.size == 0:
        msg = (
            f"the picture is an array of {array.dtype} of the shape {array.shape}; expected uint8 "
            "of the shape (H, W), (H, W, 3) or (H, W, 4)"
        )
        raise InvalidInput(msg)
    return array


def _to_picture(image: "Image.Image", image_module: ModuleType) -> Picture:
    turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    # Not exif_transpose, which writes the remarks anew and fails at damaged ones.
    upright = image.transpose(image_module.Transpose[turn]) if turn else image
    return Picture(
        grey=_to_grey(upright, image_module), mode=image.mode, is_turned=turn is not None
    )


def _to_grey(image: "Image.Image", image_module: ModuleType) -> Grey:
    if image.mode.startswith("I"):  # whole numbers of 16 or 32 bits
        levels = np.asarray(image, dtype=np.float32)
        return levels if levels.max() <= 255 else levels / np.float32(257)  # noqa: PLR2004
    if not image.has_transparency_data:
        return np.asarray(image.convert("L"), dtype=np.float32)
    layer = image.convert("RGBA")
    for ground in ("white", "black"):
        under = image_module.new("RGBA", image.size, ground)
        flat = image_module.alpha_composite(under, layer).convert("L")
        low, high = flat.getextrema()
        if low != high:  # else the ink is of the ground's own colour
            break
    return np.asarray(flat, dtype=np.float32)


def _too_big() -> InvalidInput:
    megapixels = MAX_PIXELS // 1_000_000
    return InvalidInput(f"the picture is too big: expected at most {megapixels} megapixels")
