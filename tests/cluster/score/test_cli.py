"""The command, as far as it goes without Ray."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from flatdense_cluster.score.cli import main


def run(*arguments: object) -> Result:
    """Runs the command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_help_names_each_variable() -> None:
    """And what the exit codes mean."""
    text = " ".join(run("--help").output.split())
    for name in ("FLATDENSE_MODEL_DIR", "FLATDENSE_ENGINE", "FLATDENSE_CACHE_DIR", "RAY_ADDRESS"):
        assert name in text
    assert "Exit codes: 0 all is scored;" in text


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder with one file, which is no picture."""
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.png").touch()
    return folder


def missing(_scans: Path) -> tuple[str, str, str]:
    """Nothing is there."""
    return "absent", "out", "absent cannot be read: No such file or directory"


def empty(_scans: Path) -> tuple[str, str, str]:
    """No file is in it, at any depth."""
    Path("empty/deeper").mkdir(parents=True)
    return "empty", "out", "there are no images in"


def no_array(_scans: Path) -> tuple[str, str, str]:
    """A picture by itself is no array."""
    return "scans/a.png", "out", "a folder of PNG and JPEG"


def inside(_scans: Path) -> tuple[str, str, str]:
    """The job would score what it writes."""
    return "scans", "scans/out", "are one in the other"


def around(_scans: Path) -> tuple[str, str, str]:
    """The source would lie among the parts."""
    return "scans", ".", "are one in the other"


def a_file(_scans: Path) -> tuple[str, str, str]:
    """The folder for the table is a file."""
    Path("file").touch()
    return "scans", "file", "file: File exists"


def taken(_scans: Path) -> tuple[str, str, str]:
    """Somebody else's folder."""
    Path("letters").mkdir()
    Path("letters/a.txt").touch()
    return "scans", "letters", "is not empty ('a.txt')"


@pytest.mark.parametrize("case", [missing, empty, no_array, inside, around, a_file, taken])
def test_what_cannot_be_done_is_said_at_once(
    case: Callable[[Path], tuple[str, str, str]],
    scans: Path,
    exported_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before Ray is started, with the exit code 1; nothing but a lock is left."""
    monkeypatch.chdir(scans.parent)
    source, output, reason = case(scans)
    result = run(source, output, "--model-dir", exported_model)
    assert result.exit_code == 1
    assert "Error: " in result.output
    assert reason in result.output
    if Path(output).is_dir() and output == "out":
        assert [file.name for file in Path(output).iterdir()] == ["_lock"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--version", "7"], "no version 7 in"),
        (["--model-dir", "absent"], "the model folder absent cannot be read"),
    ],
)
def test_no_such_version(
    options: list[str], message: str, scans: Path, exported_model: Path, tmp_path: Path
) -> None:
    """The message names those there are, and no folder is made."""
    result = run(scans, tmp_path / "out", "--model-dir", exported_model, *options)
    assert result.exit_code == 1
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_no_room_for_the_plan(
    tmp_path: Path,
    exported_model: Path,
    limit_file_size: Callable[[int], AbstractContextManager[None]],
) -> None:
    """A packed array is unpacked first: where it does not fit, nothing is left of it."""
    rows = np.zeros((1000, 784), np.uint8)
    np.savez_compressed(tmp_path / "rows.npz", images=rows)
    with limit_file_size(100_000):
        result = run(tmp_path / "rows.npz", tmp_path / "out", "--model-dir", exported_model)
    assert result.exit_code == 1
    assert "File too large" in result.output
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["_lock"]
