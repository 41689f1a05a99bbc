"""How a staged version is published: flushed to the disk, and renamed to the next number."""

import contextlib
import os
from pathlib import Path

from flatdense_artifact import next_version, version_folder

from flatdense_training.errors import ExportFailed
from flatdense_training.staging import rename_if_free


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
    while not rename_if_free(folder, version_folder(model_dir, version)):
        version += 1
    return version


def flush(path: Path) -> None:
    """Puts a file, or a folder's list of names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
