"""The versions in a model folder."""

from pathlib import Path

import pytest
from flatdense_artifact import NoVersions, list_versions, next_version, version_folder
from hypothesis import given
from hypothesis import strategies as st

NO_VERSIONS = ["01", "0", "+1", "-1", "1.5", "1e3", " 2", "v3", ".staging", "latest", "٣", "²"]


@given(versions=st.sets(st.integers(1, 10**12), min_size=1, max_size=6))
def test_versions_are_listed_by_number(
    tmp_path_factory: pytest.TempPathFactory, versions: set[int]
) -> None:
    """Ascending as numbers, not as text, and the next one is one more than the highest."""
    model_dir = tmp_path_factory.mktemp("models")
    for version in versions:
        version_folder(model_dir, version).mkdir()
    assert list_versions(model_dir) == sorted(versions)
    assert next_version(model_dir) == max(versions) + 1


def test_other_names_are_no_versions(tmp_path: Path) -> None:
    """Only folders named by a positive whole number in plain digits count; files never do."""
    for name in NO_VERSIONS:
        (tmp_path / name).mkdir()
    (tmp_path / "7").write_bytes(b"a file")
    (tmp_path / "3").mkdir()
    assert list_versions(tmp_path) == [3]
    assert next_version(tmp_path) == 4


def test_a_folder_without_versions_says_what_was_expected(tmp_path: Path) -> None:
    """The message has the folder, an example of a version, and what to run."""
    (tmp_path / "01").mkdir()
    with pytest.raises(NoVersions) as caught:
        list_versions(tmp_path)
    for part in (str(tmp_path), str(tmp_path / "1"), "flatdense-train"):
        assert part in str(caught.value)
    assert next_version(tmp_path) == 1


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    """A missing folder or a file in its place is a sentence with the path."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NoVersions, match=f"the model folder {tmp_path / name} cannot be read"):
        list_versions(tmp_path / name)


def test_the_first_version_is_1(tmp_path: Path) -> None:
    """Where there is no folder yet, or an empty one."""
    assert next_version(tmp_path / "missing") == 1
    assert next_version(tmp_path) == 1
