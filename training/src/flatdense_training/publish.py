"""How a version appears: written aside, flushed to the disk, renamed.

Readers see all of it or nothing.
"""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from flatdense_artifact import next_version, version_folder

from flatdense_training.errors import ExportFailed

TAKEN = frozenset({errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR})
"""What a rename says where its target exists."""


def check_writable(model_dir: Path) -> None:
    """Raises ExportFailed unless a version could be made in `model_dir`.

    The folder need not exist yet. Nothing is changed.
    """
    existing = model_dir
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise ExportFailed(
            f"The model folder {model_dir} cannot be made: {existing} is not a folder. "
            "Name another one by --model-dir."
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ExportFailed(
            f"The model folder {model_dir} cannot be written: there is no permission to write in "
            f"{existing}. Change that, or name another one by --model-dir."
        )


@contextlib.contextmanager
def staged(model_dir: Path) -> Iterator[Path]:
    """A new, hidden folder in `model_dir`, which is made where it is missing.

    The staged folder is gone when the context ends, however it ends, unless `publish` renamed it.
    Raises OSError.
    """
    folder = model_dir / f".export-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True)
        yield folder
    finally:
        discard(folder)


def discard(folder: Path) -> None:
    """Removes a folder. Ctrl-C cannot stop it half-way."""
    while folder.exists():
        try:
            shutil.rmtree(folder)
        except KeyboardInterrupt:
            continue  # pressed twice: the first one still stands
        except OSError:
            return  # hidden, and no version: nobody reads it


def publish(folder: Path, model_dir: Path) -> int:
    """Renames a staged folder to the next free version, and gives its number.

    Everything in it is on the disk before its name is, and its name is on the disk before this
    returns. Of two that publish at once, the later one gets the next number. Raises OSError.
    """
    for path in [*folder.rglob("*"), folder]:
        flush(path)
    with contextlib.suppress(PermissionError):  # then the model folder is older than this run
        flush(model_dir.absolute().parent)
    version = rename_to_free(folder, model_dir)
    flush(model_dir)
    return version


def rename_to_free(folder: Path, model_dir: Path) -> int:
    """Renames `folder` to the first version, from the next one on, that nothing is called by."""
    version = next_version(model_dir)
    while True:
        try:
            folder.rename(version_folder(model_dir, version))
        except OSError as error:
            if error.errno not in TAKEN:
                raise
            version += 1
        else:
            return version


def flush(path: Path) -> None:
    """Puts a file, or a folder's list of names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
