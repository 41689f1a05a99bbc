"""The version that scores is the one that was asked for, and the same on every node."""

import shutil
from pathlib import Path

import pytest
from flatdense_cluster.errors import ClusterError
from flatdense_cluster.score.model import find_model, open_model


def test_the_newest_unless_told(exported_model: Path, tmp_path: Path) -> None:
    """Or the version of that number, or a message with those there are."""
    for number in (1, 9, 10):
        shutil.copytree(exported_model / "1", tmp_path / str(number))
    assert find_model(tmp_path, None).version == 10
    assert find_model(tmp_path, 9).version == 9
    assert find_model(tmp_path, 9).sha256 == find_model(tmp_path, 1).sha256
    with pytest.raises(ClusterError, match=r"no version 3 in .*, which has 1, 9, 10"):
        find_model(tmp_path, 3)


def test_no_version_at_all(tmp_path: Path) -> None:
    """The message says how to get one."""
    with pytest.raises(ClusterError, match="flatdense-train"):
        find_model(tmp_path, None)


@pytest.mark.parametrize("name", ["weights.safetensors", "manifest.json"])
def test_another_version_on_a_node_is_refused(
    exported_model: Path, tmp_path: Path, name: str
) -> None:
    """One number, but other files than where the job was begun."""
    shutil.copytree(exported_model / "1", tmp_path / "1")
    model = find_model(tmp_path, None)
    file = tmp_path / "1" / name
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(ClusterError, match=r"holds other files here|cannot score"):
        open_model(model, "auto", tmp_path / "cache")
