"""Files of images, told by their content."""

import contextlib
import gzip
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import InvalidInput, PreparedImage
from flatdense_client._images.inputs import check_images
from flatdense_client.cli.files import read_images
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)


def _idx(images: npt.NDArray[np.uint8], kind: int = 0x08) -> bytes:
    shape = struct.pack(f">{images.ndim}I", *images.shape)
    return bytes([0, 0, kind, images.ndim]) + shape + images.tobytes()


def _npy(array: npt.NDArray[Any], *, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _picture(format_name: str) -> bytes:
    file = io.BytesIO()
    pixels = np.zeros((28, 28), np.uint8)
    pixels[5:20, 13:15] = 255
    Image.fromarray(pixels).save(file, format_name)
    return file.getvalue()


def _png() -> bytes:
    return _picture("PNG")


def _jpeg() -> bytes:
    return _picture("JPEG")


@pytest.mark.parametrize(
    "data",
    [
        _idx(IMAGES),
        _gzip(_idx(IMAGES)),
        _npy(IMAGES),
        _npy(np.asfortranarray(IMAGES)),
        _gzip(_npy(IMAGES)),
    ],
    ids=["idx", "idx.gz", "npy", "fortran npy", "npy.gz"],
)
@pytest.mark.parametrize("name", ["images", "images.png"])
def test_the_content_decides(tmp_path: Path, data: bytes, name: str) -> None:
    """Each format is known by its bytes, whatever the file is called."""
    path = tmp_path / name
    path.write_bytes(data)
    assert np.array_equal(read_images(path), IMAGES)


def test_pictures(tmp_path: Path) -> None:
    """A PNG is one image."""
    path = tmp_path / "one.idx"
    path.write_bytes(_png())
    prepared = read_images(path)
    assert isinstance(prepared, PreparedImage)
    assert prepared.pixels.shape == (28, 28)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "the file is empty"),
        (_gzip(b""), "the file is empty"),
        (b"hello, I am a text", "no kind of file known here"),
        (_png()[:60], "damaged"),
        (_gzip(_idx(IMAGES))[:-20], "gzip data is cut short"),
        (_gzip(_idx(IMAGES))[:200] + b"\0" * 300, "gzip data is"),
        (b"\x1f\x8b" + b"nonsense" * 4, "gzip data is damaged"),
        (_idx(IMAGES)[:-1], "is cut short: 3 images need 2,352 bytes"),
        (_idx(IMAGES)[:9], "ends in its header"),
        (_idx(IMAGES) + b"\0", "has bytes left over"),
        (_idx(np.zeros(5, np.uint8)), "holds labels; expected images"),
        (_idx(np.zeros((2, 32, 32), np.uint8)), "shape (2, 32, 32); expected images"),
        (_idx(IMAGES, kind=0x0D), "type 0x0d"),
        (_npy(IMAGES)[:-1], "is cut short: uint8 of the shape (3, 28, 28)"),
        (_npy(IMAGES)[:20], "header of this .npy file is damaged"),
        (_npy(IMAGES).replace(b"descr", b"deskr"), "header of this .npy file is damaged"),
        (b"\x93NUMPY\x09\x00" + b"x" * 80, "header of this .npy file is damaged"),
        (_npy(np.array([{}], object), allow_pickle=True), "holds Python objects"),
        (b"PK\x03\x04 and so on", "zip archive, such as .npz"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_a_bad_file_says_what_is_wrong(tmp_path: Path, data: bytes, told: str) -> None:
    """Whatever is wrong with a file is one InvalidInput that says it."""
    path = tmp_path / "file.png"
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        read_images(path)
    assert told in str(caught.value)


def test_what_is_no_readable_file(tmp_path: Path) -> None:
    """A missing file, a folder and a path through a file are InvalidInput too."""
    file = tmp_path / "file"
    file.touch()
    for path, told in [
        (tmp_path / "missing", "there is no such file"),
        (tmp_path, "this is a folder"),
        (file / "below", "cannot be read: Not a directory"),
    ]:
        with pytest.raises(InvalidInput, match=told):
            read_images(path)


def test_a_huge_claim_costs_no_memory(tmp_path: Path) -> None:
    """Headers that claim terabytes are measured against the file, not believed."""
    path = tmp_path / "claim"
    for claim in (
        bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**32 - 1, 28, 28),
        _npy(IMAGES).replace(b"(3, 28, 28), }         ", b"(3000000000, 28, 28), }"),
    ):
        path.write_bytes(claim)
        with pytest.raises(InvalidInput, match="cut short"):
            read_images(path)


@pytest.mark.parametrize("data", [_idx(IMAGES[:0]), _npy(IMAGES[:0])], ids=["idx", "npy"])
def test_no_images_are_no_images(tmp_path: Path, data: bytes) -> None:
    """A well-formed file of no images is read, and refused like the same array."""
    path = tmp_path / "none"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match="there are no images"):
        check_images(read_images(path))


@given(
    data=st.sampled_from([_idx(IMAGES), _npy(IMAGES), _png(), _jpeg(), _gzip(_idx(IMAGES))]),
    place=st.integers(0, 400),
    damage=st.binary(min_size=1, max_size=8),
)
def test_no_damage_is_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, place: int, damage: bytes
) -> None:
    """Whatever is overwritten in a file, it gives images or an InvalidInput, and nothing else."""
    path = tmp_path_factory.mktemp("damaged") / "file"
    path.write_bytes(data[:place] + damage + data[place + len(damage) :])
    with contextlib.suppress(InvalidInput):
        check_images(read_images(path))


@pytest.mark.parametrize("data", [_png(), _jpeg(), _idx(IMAGES), _npy(IMAGES), _gzip(_idx(IMAGES))])
def test_standard_input_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    """`-` gives the same images as a file of the same bytes."""
    path = tmp_path / "file"
    path.write_bytes(data)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert np.array_equal(np.asarray(read_images("-")), np.asarray(read_images(path)))


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        """A person sits there."""
        return True


@pytest.mark.parametrize(
    ("stdin", "told"), [(_Terminal(io.BytesIO()), "is a terminal"), (None, "is closed")]
)
def test_nobody_types_an_image(
    monkeypatch: pytest.MonkeyPatch, stdin: io.TextIOWrapper | None, told: str
) -> None:
    """A standard input that can give no image is refused at once: nothing waits for a person."""
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(InvalidInput, match=told):
        read_images("-")
