"""An array of images on disk as a source: IDX or .npy, as they are, gzipped, or in an .npz."""

import gzip
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, Final

import numpy as np
from flatdense_client import InvalidInput
from flatdense_client.cli.idx import looks_like_idx, read_idx_images
from flatdense_server.tensors import IMAGE_SHAPE, PIXELS

from flatdense_cluster.errors import ClusterError
from flatdense_cluster.score.source import Images, Inventory

GZIP: Final = b"\x1f\x8b"
ZIP: Final = b"PK\x03\x04"
NPY: Final = b"\x93NUMPY"
HEAD_BYTES: Final = 16

IDX_HEADER_BYTES: Final = 16
"""Before the pixels: the magic number and three dimensions."""

UNPACKED_NAME: Final = "unpacked"

EXPECTED: Final = "expected uint8 of the shape (N, 28, 28) or (N, 784)"


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the pixels are in a file."""

    offset_bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class Array:
    """Rows of pixels in one file. See Source.

    Rows are read by slices. What is packed cannot be: it is unpacked into the plan's folder first.
    """

    path: Path

    kind = "array"
    default_part_rows = 65_536  # 51 MB, and less than a second

    def take_inventory(self, plan_folder: Path, part_rows: int) -> Inventory:
        """See Source. Unpacks what is packed."""
        del part_rows
        before = self.fingerprint()
        with self._named_errors():
            unpack(self.path, plan_folder / UNPACKED_NAME)
            rows = find_grid(self._rows_file(plan_folder)).rows
        self._check_unchanged(before)
        return Inventory(fingerprint=before, rows=rows)

    def fingerprint(self) -> str:
        """See Source. The size and the time of change: the bytes may be too many to read twice."""
        found = self.path.stat()
        return f"{found.st_size} bytes, changed at {found.st_mtime_ns} ns"

    def read(self, plan_folder: Path, part: int, part_rows: int) -> Images:
        """See Source."""
        before = self.fingerprint()
        file = self._rows_file(plan_folder)
        with self._named_errors():
            grid = find_grid(file)
            first = part * part_rows
            rows = min(part_rows, grid.rows - first)
            offset_bytes = grid.offset_bytes + first * PIXELS
            pixels = np.fromfile(file, np.uint8, rows * PIXELS, offset=offset_bytes)
        self._check_unchanged(before)
        return Images([self.path.name] * rows, pixels.reshape(rows, PIXELS), [None] * rows)

    def _rows_file(self, plan_folder: Path) -> Path:
        unpacked = plan_folder / UNPACKED_NAME
        return unpacked if unpacked.exists() else self.path

    def _check_unchanged(self, before: str) -> None:
        if self.fingerprint() != before:
            raise ClusterError(f"{self.path} is written to while it is read. Wait for its writer.")

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except (InvalidInput, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
            raise ClusterError(f"{self.path} cannot be scored: {error}") from error


def unpack(packed: Path, unpacked: Path) -> None:
    """Writes the array of a gzip file or an .npz by itself; does nothing for any other file.

    Raises OSError, EOFError, ValueError, zlib.error or BadZipFile.
    """
    head = read_head(packed)
    if head.startswith(GZIP):
        with gzip.open(packed) as source:
            copy(source, unpacked)
    elif head.startswith(ZIP):
        with zipfile.ZipFile(packed) as archive, archive.open(find_member(archive)) as source:
            copy(source, unpacked)


def copy(source: IO[bytes] | gzip.GzipFile, file: Path) -> None:
    """Writes all of it."""
    with file.open("xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def find_member(archive: zipfile.ZipFile) -> str:
    """The one array of an .npz. Raises ValueError where there are more, or none."""
    names = [name for name in archive.namelist() if name.endswith(".npy")]
    if len(names) != 1:
        found = ", ".join(name.removesuffix(".npy") for name in names) or "no array"
        raise ValueError(
            f"it holds {found}; expected one array. Save the images alone with numpy.savez."
        )
    return names[0]


def find_grid(file: Path) -> Grid:
    """Where the pixels of an IDX or .npy file are.

    Raises OSError; InvalidInput or ValueError where it is neither, is cut short, or holds something
    else.
    """
    head = read_head(file)
    if looks_like_idx(head):
        with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
            return Grid(IDX_HEADER_BYTES, len(read_idx_images(data)))
    if head.startswith(NPY):
        return find_npy_grid(file)
    raise ValueError(
        f"it begins with {head[:8]!r}; expected IDX or .npy (also gzipped), .npz, or a folder of "
        "PNG and JPEG."
    )


def find_npy_grid(file: Path) -> Grid:
    """find_grid() for .npy."""
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    if array.dtype != np.uint8 or array.shape[1:] not in {IMAGE_SHAPE, (PIXELS,)}:
        raise ValueError(f"it holds {array.dtype} of the shape {array.shape}; {EXPECTED}")
    if not array.flags.c_contiguous:
        raise ValueError("its array is in Fortran's order; save numpy.ascontiguousarray(images)")
    return Grid(array.offset, len(array))


def read_head(file: Path) -> bytes:
    """The first bytes, which say what it is."""
    with file.open("rb") as opened:
        return opened.read(HEAD_BYTES)
