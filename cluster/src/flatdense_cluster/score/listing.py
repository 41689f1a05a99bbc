"""The files beneath a folder, in an order that is the same each time."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa

SCHEMA: Final = pa.schema(
    [
        pa.field("path", pa.binary(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False),
        pa.field("fault", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file beneath the folder, as it was found."""

    path: bytes
    """Below the folder, as the file system has it: any bytes but zero."""
    size_bytes: int
    mtime_ns: int
    fault: str | None = None
    """Why nothing can be read there; then the numbers are 0."""


def find_files(root: Path) -> Iterator[Entry]:
    """Every file beneath `root`: those of a folder by name, then those of each folder in it.

    Hidden ones and links to folders are left out. What cannot be read, or is no file, is an entry
    with its fault, and so is a folder that cannot be read: its files would be missed in silence.
    """
    faults: list[OSError] = []
    for parent, names, files in os.walk(root, onerror=faults.append):
        yield from take_faults(root, faults)
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield look_at(root, os.path.join(parent, name))  # noqa: PTH118 -- as os.walk does
    yield from take_faults(root, faults)


def take_faults(root: Path, faults: list[OSError]) -> Iterator[Entry]:
    """An entry for each folder that could not be read since."""
    while faults:
        error = faults.pop(0)
        yield Entry(relative(root, error.filename), 0, 0, f"the folder {cannot_be_read(error)}")


def look_at(root: Path, path: str) -> Entry:
    """What a name in a folder stands for."""
    name = relative(root, path)
    try:
        found = os.stat(path)  # noqa: PTH116 -- millions of times
    except OSError as error:
        return Entry(name, 0, 0, cannot_be_read(error))
    if not stat.S_ISREG(found.st_mode):
        return Entry(name, 0, 0, "this is no file but a pipe, a socket or a device")
    return Entry(name, found.st_size, found.st_mtime_ns)


def relative(root: Path, path: str) -> bytes:
    """The path below `root`."""
    return os.fsencode(os.path.relpath(path, root))


def cannot_be_read(error: OSError) -> str:
    """What the system says, as a part of a sentence."""
    return f"cannot be read: {error.strerror}"


def fingerprint(entries: Iterator[Entry]) -> str:
    """A digest of the paths, sizes and times of change."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(repr(entry).encode())
    return digest.hexdigest()


class ListingWriter:
    """Writes entries to a file, one batch of it for each part, and digests them meanwhile."""

    def __init__(self, entries: Iterator[Entry]) -> None:
        self.rows = 0
        self._entries = entries

    def write(self, file: Path, part_rows: int) -> str:
        """Writes them all, and gives their fingerprint. `rows` counts them. Raises OSError."""
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
            return fingerprint(self._pass_on(writer, part_rows))

    def _pass_on(self, writer: pa.ipc.RecordBatchFileWriter, part_rows: int) -> Iterator[Entry]:
        while part := list(islice(self._entries, part_rows)):
            columns = zip(*((e.path, e.size_bytes, e.mtime_ns, e.fault) for e in part), strict=True)
            arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
            writer.write_batch(pa.record_batch(arrays, SCHEMA))
            self.rows += len(part)
            yield from part


def read_part(file: Path, part: int) -> list[Entry]:
    """The entries of one part. Raises OSError."""
    with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
        batch = reader.get_batch(part)
        return [Entry(*row.values()) for row in batch.to_pylist()]
