"""What is kept of a run: whole or not at all, whatever the disk does."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from flatdense_training.errors import CheckpointsUnwritable, RunUnderWay
from flatdense_training.fit.checkpoints import SUFFIX, Checkpoint, Checkpoints, key_of
from hypothesis import given
from hypothesis import strategies as st


def make(number: int) -> Checkpoint:
    """One with tensors of several types."""
    return Checkpoint(
        number=number,
        tensors={
            "weights": np.arange(12, dtype=np.float32).reshape(3, 4) + number,
            "count": np.array(number, np.int64),
            "answers": np.ones(5, np.float16),
        },
        notes={"epochs": [{"loss": 0.1, "number": number}]},
    )


def same(first: Checkpoint | None, second: Checkpoint) -> bool:
    """Whether both hold the same."""
    return (
        first is not None
        and (first.number, first.notes) == (second.number, second.notes)
        and first.tensors.keys() == second.tensors.keys()
        and all(np.array_equal(first.tensors[name], each) for name, each in second.tensors.items())
    )


def test_the_newest_comes_back_as_it_was(tmp_path: Path) -> None:
    """Of its own stage, and two of each stage are kept."""
    checkpoints = Checkpoints(tmp_path)
    for number in (1, 2, 10, 100):
        checkpoints.save("student", make(number))
    checkpoints.save("teacher", make(7))
    assert same(checkpoints.newest("student"), make(100))
    assert same(checkpoints.newest("teacher"), make(7))
    assert checkpoints.newest("answers") is None
    assert len(list(tmp_path.glob(f"student-*{SUFFIX}"))) == 2


@given(data=st.data())
def test_a_damaged_file_is_no_checkpoint(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Cut short or with any byte changed: the one before it is taken."""
    folder = tmp_path_factory.mktemp("checkpoints")
    checkpoints = Checkpoints(folder)
    checkpoints.save("student", make(1))
    checkpoints.save("student", make(2))
    path = max(folder.glob(f"*{SUFFIX}"))
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        del content[at:]
    path.write_bytes(content)
    assert same(checkpoints.newest("student"), make(1))


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing unfinished is left, and the last good one stays."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("student", make(1))

    def fail(_: int) -> None:
        """As a full disk does, at the last moment."""
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save("student", make(2))
    assert [path.suffix for path in tmp_path.iterdir()] == [SUFFIX]
    assert same(checkpoints.newest("student"), make(1))


def test_a_folder_of_another_run_is_cleared_unless_resumed(tmp_path: Path) -> None:
    """Who does not ask to go on begins from the beginning; who does finds all."""
    checkpoints = Checkpoints(tmp_path / "run")
    with checkpoints.held(resume=False):
        checkpoints.save("student", make(3))
    with checkpoints.held(resume=True):
        assert same(checkpoints.newest("student"), make(3))
    with checkpoints.held(resume=False):
        assert checkpoints.newest("student") is None


HOLD = """
import sys
from pathlib import Path
from flatdense_training.fit.checkpoints import Checkpoints
with Checkpoints(Path(sys.argv[1])).held(resume=True):
    print("taken", flush=True)
    sys.stdin.readline()
"""


def test_two_processes_do_not_do_the_same_run(tmp_path: Path) -> None:
    """The second is told who has it and what to do; when the first has ended, it may."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "taken\n"
        with (
            pytest.raises(RunUnderWay, match="another --seed"),
            Checkpoints(tmp_path).held(resume=True),
        ):
            pass
        other.stdin.close()
        assert other.wait(60) == 0
    with Checkpoints(tmp_path).held(resume=True):
        pass


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """Is said before anything is trained."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(CheckpointsUnwritable, match="--cache-dir"),
        Checkpoints(tmp_path / "file" / "run").held(resume=False),
    ):
        pass


def test_a_run_is_known_by_its_facts() -> None:
    """In whatever order they are told; any other fact makes another run."""
    assert key_of({"a": 1, "b": [2.5]}) == key_of({"b": [2.5], "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2})
