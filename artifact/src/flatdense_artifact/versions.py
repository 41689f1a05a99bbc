"""The versions in a model folder: its sub-folders whose names are positive whole numbers."""

from pathlib import Path

from flatdense_artifact.errors import NoVersions


def version_folder(model_dir: Path, version: int) -> Path:
    """Where a version lies."""
    return model_dir / str(version)


def list_versions(model_dir: Path) -> list[int]:
    """The versions in `model_dir`, ascending.

    Raises NoVersions where the folder is missing, cannot be read or has none.
    """
    try:
        versions = sorted(find_versions(model_dir))
    except OSError as error:
        raise NoVersions(
            f"the model folder {model_dir} cannot be read: {error.strerror}. "
            "Name one that holds an exported model, or run flatdense-train."
        ) from error
    if not versions:
        raise NoVersions(
            f"the model folder {model_dir} has no version: expected a folder named by a number, "
            f"such as {version_folder(model_dir, 1)}. Run flatdense-train to export one."
        )
    return versions


def next_version(model_dir: Path) -> int:
    """The number after the highest version; 1 where there is no version or no folder yet."""
    return max(find_versions(model_dir), default=0) + 1 if model_dir.exists() else 1


def find_versions(model_dir: Path) -> list[int]:
    """The versions in any order. Names such as `01`, `+1` or `.staging` are no versions."""
    names = [entry.name for entry in model_dir.iterdir() if entry.is_dir()]
    return [int(name) for name in names if name.isascii() and name.isdigit() and name[0] != "0"]
