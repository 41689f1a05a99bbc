"""A file of images, told by its first bytes and never by its name."""

import io
import sys
import zlib
from gzip import BadGzipFile, GzipFile
from pathlib import Path
from typing import Any, BinaryIO

import numpy.typing as npt

from flatdense_client._errors import InvalidInput
from flatdense_client._images.prepare import prepare_image
from flatdense_client._images.prepared import PreparedImage
from flatdense_client.cli.idx import holds_labels, looks_like_idx, read_idx_images
from flatdense_client.cli.npy import MAGIC as NPY_MAGIC
from flatdense_client.cli.npy import read_npy

STDIN = "-"
"""The name that stands for standard input."""

MAX_FILE_BYTES = 1 << 30
"""The most that is read, before and after decompression: over a million images, and no more than a
gzip bomb or an endless device can take."""

_HEAD_BYTES = 256
"""Enough to tell a file's kind, also when it is gzipped: its header has the name that it had."""

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_KINDS = "expected PNG, JPEG, IDX (also gzipped) or .npy"


def read_images(name: str | Path) -> npt.NDArray[Any] | PreparedImage:
    """The images of a file, or of standard input for the name `-`.

    A picture comes prepared; an array has any shape and type, which `Client.classify` takes or
    refuses.

    Raises InvalidInput: it cannot be read, or is not what it seems. The message does not name the
    file. Raises ImportError: it is a picture and Pillow is missing.
    """
    if name == STDIN:
        return _parse(_read(_open_stdin()))
    try:
        with Path(name).open("rb") as file:
            return _parse(_read(file))
    except FileNotFoundError:
        raise InvalidInput("there is no such file") from None
    except IsADirectoryError:
        raise InvalidInput("this is a folder; expected a file of images") from None
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}") from None


def may_hold_images(name: str | Path) -> bool:
    """Whether a file begins like a picture or an array of images.

    A file that cannot be opened may: reading it tells what is wrong.
    """
    try:
        with Path(name).open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if head.startswith(_GZIP):
            head = zlib.decompressobj(wbits=31).decompress(head, _HEAD_BYTES)
    except (OSError, zlib.error):
        return True
    is_array = head.startswith(NPY_MAGIC) or (looks_like_idx(head) and not holds_labels(head))
    return is_array or head.startswith(_PICTURES)


def _open_stdin() -> BinaryIO:
    if sys.stdin is None:  # closed before the command began
        raise InvalidInput("standard input is closed")
    if sys.stdin.isatty():
        raise InvalidInput("standard input is a terminal: send a file into it, with < or |")
    return sys.stdin.buffer


def _read(file: BinaryIO) -> bytes:
    data = file.read(MAX_FILE_BYTES + 1)
    _check_size(data)
    return _decompress(data) if data.startswith(_GZIP) else data


def _parse(data: bytes) -> npt.NDArray[Any] | PreparedImage:
    if not data:
        raise InvalidInput(f"the file is empty; {_KINDS}")
    if data.startswith(_PICTURES):
        return prepare_image(data)
    if data.startswith(NPY_MAGIC):
        return read_npy(data)
    if looks_like_idx(data):
        return read_idx_images(data)
    if data.startswith(_ZIP):
        msg = f"this is a zip archive, such as .npz: save the array alone with numpy.save; {_KINDS}"
        raise InvalidInput(msg)
    raise InvalidInput(
        f"this is no kind of file known here (it begins with {data[:8]!r}); {_KINDS}"
    )


def _decompress(data: bytes) -> bytes:
    try:
        with GzipFile(fileobj=io.BytesIO(data)) as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except EOFError:
        raise InvalidInput("the gzip data is cut short") from None
    except (BadGzipFile, zlib.error) as error:
        raise InvalidInput(f"the gzip data is damaged ({error})") from None
    _check_size(content)
    return content


def _check_size(data: bytes) -> None:
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput(f"this is more than {MAX_FILE_BYTES >> 30} GiB; split it")
