"""How a folder appears."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flatdense_training.staging import discard, rename_if_free, staged


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, SystemExit])
def test_nothing_is_left_of_a_failure(tmp_path: Path, error: type[BaseException]) -> None:
    """However the writing ends before the rename, the folder is as it was."""
    (tmp_path / "1").mkdir()

    def fail() -> None:
        with staged(tmp_path) as folder:
            (folder / "file").write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert [entry.name for entry in tmp_path.iterdir()] == ["1"]


def test_staged_is_hidden(tmp_path: Path) -> None:
    """A folder in the making is hidden, and others may read what is published from it."""
    with staged(tmp_path / "new") as folder:
        assert folder.name.startswith(".")
        usual = tmp_path / "usual"
        usual.mkdir()
        assert folder.stat().st_mode == usual.stat().st_mode


def test_two_are_staged_apart(tmp_path: Path) -> None:
    """Two in one folder at once do not meet, and the end of one leaves the other."""
    with staged(tmp_path) as first:
        with staged(tmp_path) as second:
            assert first != second
        assert [entry.name for entry in tmp_path.iterdir()] == [first.name]


def test_discard_of_nothing(tmp_path: Path) -> None:
    """Discarding a folder that is gone does nothing."""
    discard(tmp_path / "absent")


def fill(path: Path) -> None:
    """Makes a folder with a file in it."""
    path.mkdir()
    (path / "file").write_text("taken")


@pytest.mark.parametrize("take", [fill, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_has_the_name_stays(tmp_path: Path, take: Callable[[Path], None]) -> None:
    """A name is given once: whatever has it stays, and so does the folder that wanted it."""
    folder, name = tmp_path / "folder", tmp_path / "name"
    fill(folder)
    take(name)
    before = name.lstat()
    assert not rename_if_free(folder, name)
    assert name.lstat() == before
    assert (folder / "file").exists()


def test_a_free_name_is_taken(tmp_path: Path) -> None:
    """Where nothing has the name the folder gets it; another failure is raised."""
    fill(tmp_path / "folder")
    assert rename_if_free(tmp_path / "folder", tmp_path / "name")
    assert (tmp_path / "name" / "file").exists()
    with pytest.raises(FileNotFoundError):
        rename_if_free(tmp_path / "folder", tmp_path / "other")
