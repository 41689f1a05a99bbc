"""Digests: how one tells that a version is whole."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from flatdense_artifact import VersionDamaged, digest_files, read_manifest, verify_files


def test_every_file_but_the_manifest_has_its_sha256(version: Path) -> None:
    """Paths are relative, with `/`, sorted; the values are plain SHA-256."""
    digests = digest_files(version)
    assert list(digests) == ["saved_model.pb", "variables/variables.index", "weights.safetensors"]
    assert digests["saved_model.pb"] == hashlib.sha256(b"graph").hexdigest()


def test_a_whole_version_is_verified(version: Path) -> None:
    """What was just exported has nothing to complain about."""
    verify_files(version, read_manifest(version).files)


def alter(folder: Path) -> str:
    """Another byte, the same length."""
    (folder / "saved_model.pb").write_bytes(b"grapf")
    return (
        r"saved_model\.pb was altered or cut short: its sha256 is [0-9a-f]{64}, the manifest says"
    )


def empty(folder: Path) -> str:
    """A file with nothing in it."""
    (folder / "weights.safetensors").write_bytes(b"")
    return r"weights\.safetensors was altered or cut short"


def lose(folder: Path) -> str:
    """A file that is gone."""
    (folder / "variables" / "variables.index").unlink()
    return r"variables/variables\.index is missing"


def add(folder: Path) -> str:
    """A file too many."""
    (folder / "variables" / "more").write_bytes(b"")
    return "variables/more is not in the manifest"


@pytest.mark.parametrize("damage", [alter, empty, lose, add])
def test_what_is_not_as_exported_is_named(version: Path, damage: Callable[[Path], str]) -> None:
    """The message has the file's path, what is wrong with it, and what to do."""
    files = read_manifest(version).files
    message = damage(version)
    with pytest.raises(VersionDamaged, match=message) as caught:
        verify_files(version, files)
    assert str(caught.value).startswith(str(version))
    assert "xport the model again" in str(caught.value)
