"""How a version appears."""

import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from flatdense_training.errors import ExportFailed
from flatdense_training.export.publish import check_writable, publish, rename_to_free
from flatdense_training.staging import staged


def publish_text(model_dir: Path, text: str) -> int:
    """Publishes a version with one file."""
    with staged(model_dir) as folder:
        (folder / "variables").mkdir()
        (folder / "variables" / "file").write_text(text)
        return publish(folder, model_dir)


def test_versions_count_up(tmp_path: Path) -> None:
    """The first version is 1 in a folder made for it, and each later one is the next."""
    model_dir = tmp_path / "new" / "models"
    assert [publish_text(model_dir, text) for text in "abc"] == [1, 2, 3]
    assert sorted(entry.name for entry in model_dir.iterdir()) == ["1", "2", "3"]
    assert (model_dir / "2" / "variables" / "file").read_text() == "b"


def test_numbers_are_not_used_again(tmp_path: Path) -> None:
    """A version comes after the highest one, whatever is missing below it."""
    (tmp_path / "7").mkdir()
    assert publish_text(tmp_path, "a") == 8


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("nowhere")])
def test_a_file_with_the_name_is_not_replaced(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Whatever has the next number for its name stays; the version takes the one after it."""
    make(tmp_path / "1")
    assert publish_text(tmp_path, "a") == 2
    assert os.path.lexists(tmp_path / "1")


def test_race(tmp_path: Path) -> None:
    """Of many that publish at once, each gets a number of its own and keeps its content."""
    writers = 8
    barrier = threading.Barrier(writers)

    def race(text: str) -> tuple[int, str]:
        with staged(tmp_path) as folder:
            (folder / "file").write_text(text)
            barrier.wait(timeout=30)
            return rename_to_free(folder, tmp_path), text

    with ThreadPoolExecutor(writers) as pool:
        outcomes = list(pool.map(race, "abcdefgh"))
    assert sorted(version for version, _ in outcomes) == list(range(1, writers + 1))
    for version, text in outcomes:
        assert (tmp_path / str(version) / "file").read_text() == text


def test_check_writable_changes_nothing(tmp_path: Path) -> None:
    """A folder that can be made passes, and is not made."""
    check_writable(tmp_path / "a" / "b")
    check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "models", "models/mnist"])
def test_file_in_the_way(tmp_path: Path, below: str) -> None:
    """A file where the folder should be, or above it, is named."""
    (tmp_path / "file").touch()
    with pytest.raises(ExportFailed, match=r"file is not a folder.*--model-dir"):
        check_writable(tmp_path / "file" / below)


def test_no_permission(without_privileges: Callable[[], AbstractContextManager[None]]) -> None:
    """A folder without permission to write is named before anything is trained."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        locked = Path(folder) / "locked"
        locked.mkdir(mode=0o555)
        with (
            without_privileges(),
            pytest.raises(ExportFailed, match=r"no permission to write in .*locked"),
        ):
            check_writable(locked / "models")
