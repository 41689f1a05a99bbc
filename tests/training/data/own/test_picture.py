"""One image file as grey pixels."""

import contextlib
import os
from pathlib import Path

import numpy as np
import pytest
from flatdense_training.data.own.picture import (
    NoPicture,
    PictureFault,
    WrongSize,
    read_picture,
)
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

RAMP = np.arange(28 * 28).reshape(28, 28).astype(np.uint8)
STROKE = np.zeros((28, 28), np.uint8)
STROKE[10:20, 12:16] = 255


def save(path: Path, image: Image.Image, **options: object) -> Path:
    """Writes an image, and gives its path."""
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "webp", "pgm"])
def test_lossless_formats_keep_every_pixel(tmp_path: Path, suffix: str) -> None:
    """A grey image comes back as it was, from whatever Pillow writes without loss."""
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"it.{suffix}", Image.fromarray(RAMP), **options)
    assert np.abs(read_picture(path).astype(int) - RAMP).max() <= (1 if suffix == "webp" else 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "I", "CMYK"])
def test_every_mode_shows_the_same(tmp_path: Path, mode: str) -> None:
    """White ink on black is 255 on 0, however the file keeps its pixels."""
    image = Image.fromarray(STROKE)
    if mode == "I;16":
        image = Image.fromarray(STROKE.astype(np.uint16) * 257)
    elif mode == "I":
        image = Image.fromarray(STROKE.astype(np.int32) * 257)
    else:
        image = image.convert("RGB").convert(mode)
    suffix = "tif" if mode in {"CMYK", "I"} else "png"
    pixels = read_picture(save(tmp_path / f"it.{suffix}", image))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, STROKE)


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    """65,535 levels become 255, and 8-bit levels in a 16-bit file stay as they are."""
    deep = np.linspace(0, 65_535, 784).reshape(28, 28).astype(np.uint16)
    pixels = read_picture(save(tmp_path / "deep.png", Image.fromarray(deep)))
    assert (pixels[0, 0], pixels[-1, -1]) == (0, 255)
    assert np.abs(pixels - deep / 257).max() <= 0.5
    shallow = save(tmp_path / "shallow.png", Image.fromarray(RAMP.astype(np.uint16)))
    np.testing.assert_array_equal(read_picture(shallow), RAMP)


@pytest.mark.parametrize("ink", [0, 40, 128, 255])
def test_a_transparent_ground_is_dark(tmp_path: Path, ink: int) -> None:
    """Ink of any brightness on nothing is light ink on a ground of 0."""
    layer = np.dstack([np.full((28, 28, 3), ink, np.uint8), STROKE])
    pixels = read_picture(save(tmp_path / "it.png", Image.fromarray(layer)))
    assert (pixels[STROKE == 0] == 0).all()
    assert (pixels[STROKE > 0] >= 127).all()


def test_an_opaque_layer_is_never_inverted(tmp_path: Path) -> None:
    """An alpha channel that hides nothing changes nothing."""
    layer = Image.fromarray(RAMP).convert("RGBA")
    np.testing.assert_array_equal(read_picture(save(tmp_path / "it.png", layer)), RAMP)


def test_exif_turns_the_picture_upright(tmp_path: Path) -> None:
    """An image that was stored on its side is read as a camera's owner sees it."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    path = save(tmp_path / "it.png", Image.fromarray(RAMP), exif=exif)
    np.testing.assert_array_equal(read_picture(path), np.rot90(RAMP, -1))


@pytest.mark.parametrize("size", [(27, 28), (32, 32), (1, 1)])
def test_another_size_is_told(tmp_path: Path, size: tuple[int, int]) -> None:
    """The size that came is named beside the one that was expected."""
    path = save(tmp_path / "it.png", Image.new("L", size))
    with pytest.raises(WrongSize, match=f"is {size[0]}x{size[1]} pixels, expected 28x28"):
        read_picture(path)


def test_a_picture_that_would_fill_the_memory_is_not_decoded(tmp_path: Path) -> None:
    """A small file that claims to be huge is refused by its header."""
    path = save(tmp_path / "it.png", Image.new("1", (20_000, 20_000)))
    with pytest.raises(WrongSize, match="28x28"):
        read_picture(path)


def test_an_animation_is_no_image(tmp_path: Path) -> None:
    """Which of several frames is meant is not guessed."""
    frames = [Image.fromarray(RAMP), Image.fromarray(STROKE)]
    path = save(tmp_path / "it.gif", frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(PictureFault, match="has 2 frames"):
        read_picture(path)


def test_fractions_are_refused(tmp_path: Path) -> None:
    """Pixels without a known scale are refused."""
    path = save(tmp_path / "it.tif", Image.fromarray(RAMP.astype(np.float32) / 255))
    with pytest.raises(PictureFault, match="has fractions for pixels"):
        read_picture(path)


def test_what_is_no_image(tmp_path: Path) -> None:
    """By its name a file was meant to be an image, and is damaged, or was not, and is none."""
    for name, fault in (("a.txt", NoPicture), ("a", NoPicture), ("a.png", PictureFault)):
        (tmp_path / name).write_bytes(b"not an image")
        with pytest.raises(PictureFault) as caught:
            read_picture(tmp_path / name)
        assert type(caught.value) is fault
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    with pytest.raises(NoPicture, match="not a file"):
        read_picture(tmp_path / "pipe")
    with pytest.raises(PictureFault, match="cannot be read: No such file"):
        read_picture(tmp_path / "absent.png")


@given(st.data())
def test_every_damage_is_a_fault(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever bytes are changed or cut, an image is read or is a PictureFault."""
    folder = tmp_path_factory.getbasetemp()
    suffix = data.draw(st.sampled_from(["png", "jpg", "gif", "bmp", "tif", "webp"]))
    path = save(folder / f"whole.{suffix}", Image.fromarray(RAMP))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(PictureFault):
        assert read_picture(path).shape == (28, 28)
