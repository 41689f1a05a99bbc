"""Brings versions into a model folder, as an export does."""

import shutil
from pathlib import Path

from flatdense_artifact import digest_files, read_manifest, write_manifest
from msgspec.structs import replace


def publish(model_dir: Path, version: int, *, damaged: bool = False) -> None:
    """Copies version 1 aside and renames it; a damaged one has digests that fit its bad weights."""
    aside = Path(shutil.copytree(model_dir / "1", model_dir / ".aside"))
    if damaged:
        manifest = read_manifest(aside)
        (aside / "weights.safetensors").write_bytes(b"cut short")
        write_manifest(aside, replace(manifest, files=digest_files(aside)))
    aside.rename(model_dir / str(version))
