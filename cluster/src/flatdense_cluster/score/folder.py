"""A folder of pictures as a source: each file is one image, or says why it is none."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from flatdense_client import InvalidInput, prepare_image
from flatdense_server.tensors import PIXELS

from flatdense_cluster.score import listing
from flatdense_cluster.score.listing import Entry, ListingWriter
from flatdense_cluster.score.source import Images, Inventory

LISTING_NAME: Final = "listing.arrow"

MAX_FILE_BYTES: Final = 1 << 28
"""The most that is read of one file: more than the biggest picture that is decoded needs."""


@dataclass(frozen=True, slots=True)
class Folder:
    """PNG and JPEG beneath a folder. See Source."""

    path: Path

    kind = "folder"
    default_part_rows = 1024  # a second or two: what is lost at most when a worker dies

    def take_inventory(self, plan_folder: Path, part_rows: int) -> Inventory:
        """See Source. Lists the files."""
        writer = ListingWriter(listing.find_files(self.path))
        fingerprint = writer.write(plan_folder / LISTING_NAME, part_rows)
        return Inventory(fingerprint=fingerprint, rows=writer.rows)

    def fingerprint(self) -> str:
        """See Source. Of the paths, sizes and times of change of all files."""
        return listing.fingerprint(listing.find_files(self.path))

    def read(self, plan_folder: Path, part: int, part_rows: int) -> Images:
        """See Source. A file that is not what was listed, or no picture, has its error."""
        del part_rows  # the listing was cut by it
        entries = listing.read_part(plan_folder / LISTING_NAME, part)
        images = Images(
            sources=[show(entry.path) for entry in entries],
            pixels=np.zeros((len(entries), PIXELS), np.uint8),
            errors=[None] * len(entries),
        )
        for row, entry in enumerate(entries):
            try:
                prepared = prepare_image(read_file(self.path, entry))
            except InvalidInput as error:
                images.errors[row] = str(error)
            except Exception as error:  # noqa: BLE001 -- a decoder's defect costs one row, not all
                images.errors[row] = f"the picture cannot be decoded ({error!r})"
            else:
                images.pixels[row] = prepared.pixels.reshape(PIXELS)
        return images


def show(path: bytes) -> str:
    r"""A path as text; bytes that are no UTF-8 are spelled out, as `\xff`."""
    return path.decode(errors="backslashreplace")


def read_file(root: Path, entry: Entry) -> bytes:
    """The bytes of a listed file. Raises InvalidInput where they are not to be had."""
    if entry.fault is not None:
        raise InvalidInput(entry.fault)
    if entry.size_bytes > MAX_FILE_BYTES:
        raise InvalidInput(f"the file is too big: expected at most {MAX_FILE_BYTES >> 20} MiB")
    try:
        with (root / os.fsdecode(entry.path)).open("rb") as file:
            data = file.read(entry.size_bytes + 1)
            found = os.fstat(file.fileno())
    except FileNotFoundError:
        raise InvalidInput("the file vanished after it was listed") from None
    except OSError as error:
        raise InvalidInput(listing.cannot_be_read(error)) from None
    if len(data) != entry.size_bytes or found.st_mtime_ns != entry.mtime_ns:
        raise InvalidInput("the file was changed after it was listed")
    return data
