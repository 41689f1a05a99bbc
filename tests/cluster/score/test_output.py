"""The folder of a table: one job at a time, and complete only where all of it is there."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from flatdense_cluster.errors import ClusterError
from flatdense_cluster.score.output import SUCCESS_NAME, Output, Summary
from flatdense_cluster.score.plan import Plan
from flatdense_cluster.score.source import Images
from flatdense_cluster.score.table import make_table, part_name, write_part
from flatdense_server.tensors import Outputs

PLAN = Plan(
    source="/rows.npy", kind="array", fingerprint="a", rows=5, part_rows=2, version=1, sha256="b"
)


def put(folder: Path, part: int, plan: Plan = PLAN) -> None:
    """Writes a part; the first row of each is rejected."""
    rows = plan.rows_of(part)
    images = Images(["x"] * rows, np.zeros((rows, 784), np.uint8), ["bad"] + [None] * (rows - 1))
    probabilities = np.full((rows, 2), 0.5, np.float32)
    outputs = Outputs(probabilities, np.ones(rows, np.int64))
    write_part(folder, part, make_table(plan, part, images, outputs, ("no", "yes")))


def test_two_jobs_cannot_hold_one_folder(tmp_path: Path) -> None:
    """The second one hears who is in it; when the first has left it may."""
    with (
        Output(tmp_path / "out").held(),
        pytest.raises(ClusterError, match=r"another job writes to .*out now: process \d+ on"),
        Output(tmp_path / "out").held(),
    ):
        pass
    with Output(tmp_path / "out").held():
        pass


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """One that is not empty and that no job began."""
    (tmp_path / "letter.txt").touch()
    with (
        pytest.raises(ClusterError, match=r"is not empty \('letter.txt'\)"),
        Output(tmp_path).held(),
    ):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_what_was_left_unfinished_is_swept(tmp_path: Path) -> None:
    """Of a job that was killed; what is finished stays."""
    with Output(tmp_path).held():
        put(tmp_path, 0)
    (tmp_path / ".part-000001.parquet.abcd").touch()
    (tmp_path / ".plan-abcd").mkdir()
    with Output(tmp_path).held():
        assert {file.name for file in tmp_path.iterdir()} == {"_lock", part_name(0)}


def test_a_plan_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """An error while it is made leaves nothing behind."""
    output = Output(tmp_path)
    with pytest.raises(OSError, match="full"), output.new_plan():
        raise OSError("full")
    assert list(tmp_path.iterdir()) == []
    with output.new_plan() as folder:
        (folder / "whole").touch()
        assert not output.has_plan()
    assert output.has_plan()
    assert [file.name for file in output.plan_folder.iterdir()] == ["whole"]


@pytest.mark.parametrize("damage", ["missing", "cut short", "of another plan", "fewer rows"])
def test_only_whole_parts_of_this_plan_count(tmp_path: Path, damage: str) -> None:
    """Any other one is done again, and the table is not complete without."""
    output = Output(tmp_path)
    for part in range(3):
        put(tmp_path, part)
    file = tmp_path / part_name(1)
    if damage == "missing":
        file.unlink()
    elif damage == "cut short":
        file.write_bytes(file.read_bytes()[:-9])
    elif damage == "of another plan":
        put(tmp_path, 1, msgspec.structs.replace(PLAN, fingerprint="other"))
    else:
        put(tmp_path, 2, PLAN)
        (tmp_path / part_name(2)).rename(file)
        put(tmp_path, 2, PLAN)
    assert output.count_parts(PLAN).keys() == {0, 2}
    with pytest.raises(ClusterError, match="has 2 of 3 parts"):
        output.finish(PLAN)
    assert not (tmp_path / SUCCESS_NAME).exists()


def test_a_part_too_many_is_noticed(tmp_path: Path) -> None:
    """Its rows would count twice."""
    for part in range(3):
        put(tmp_path, part)
    (tmp_path / "part-1 copy.parquet").write_bytes((tmp_path / part_name(1)).read_bytes())
    with pytest.raises(ClusterError, match=r"part-1 copy\.parquet, which is none of them"):
        Output(tmp_path).finish(PLAN)


def test_the_end_says_how_much_there_is(tmp_path: Path) -> None:
    """_SUCCESS counts what was scored and what was rejected."""
    for part in range(3):
        put(tmp_path, part)
    summary = Output(tmp_path).finish(PLAN)
    assert (summary.rows, summary.scored, summary.rejected, summary.parts) == (5, 2, 3, 3)
    assert msgspec.json.decode((tmp_path / SUCCESS_NAME).read_bytes(), type=Summary) == summary
    Output(tmp_path).reopen()
    assert not (tmp_path / SUCCESS_NAME).exists()
