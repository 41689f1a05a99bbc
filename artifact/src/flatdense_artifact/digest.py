"""sha256 digests of a version's files."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from flatdense_artifact.errors import VersionDamaged
from flatdense_artifact.manifest import MANIFEST_NAME


def digest_files(folder: Path) -> dict[str, str]:
    """The sha256 of each file below `folder` but its manifest, by sorted path with `/`."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: digest(path) for name, path in names.items() if name != MANIFEST_NAME}


def verify_files(folder: Path, expected: Mapping[str, str]) -> None:
    """Compares the files of `folder` with the digests of its manifest.

    Raises VersionDamaged naming the first file that is missing, altered, surplus or unreadable.
    """
    try:
        found = digest_files(folder)
    except OSError as error:
        raise VersionDamaged(
            f"{error.filename} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    for name, sha256 in expected.items():
        if name not in found:
            raise VersionDamaged(f"{folder / name} is missing. Export the model again.")
        if found[name] != sha256:
            raise VersionDamaged(
                f"{folder / name} was altered or cut short: its sha256 is {found[name]}, "
                f"the manifest says {sha256}. Export the model again."
            )
    surplus = sorted(found.keys() - expected.keys())
    if surplus:
        raise VersionDamaged(
            f"{folder / surplus[0]} is not in the manifest. A version is never changed after its "
            "export: remove the file, or export the model again."
        )


def digest(path: Path) -> str:
    """The sha256 of one file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
