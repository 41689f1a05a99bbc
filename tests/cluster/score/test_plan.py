"""The plan: every row in one part; another job is told what is other."""

from pathlib import Path

import msgspec
import pytest
from flatdense_cluster.errors import ClusterError
from flatdense_cluster.score.plan import PLAN_NAME, Plan, read_plan, write_plan
from hypothesis import given
from hypothesis import strategies as st

PLAN = Plan(
    source="/scans",
    kind="folder",
    fingerprint="abc",
    rows=100,
    part_rows=16,
    version=1,
    sha256="def",
)


@given(rows=st.integers(1, 10**12), part_rows=st.integers(1, 10**6))
def test_parts_have_all_rows(rows: int, part_rows: int) -> None:
    """All parts are full, but for the last one, which has the rest and is not empty."""
    plan = msgspec.structs.replace(PLAN, rows=rows, part_rows=part_rows)
    last = plan.rows_of(plan.parts - 1)
    assert (plan.parts - 1) * part_rows + last == rows
    assert 1 <= last <= part_rows


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"fingerprint": "other"}, "the source is not what it was then"),
        ({"version": 2, "sha256": "x"}, "version 1 scored then, and now it is version 2"),
        ({"sha256": "x"}, "the files of version 1 are not what they were then"),
        ({"part_rows": 9}, "it had --part-rows 16 then, and now 9"),
    ],
)
def test_another_job_is_refused(changed: dict[str, object], reason: str) -> None:
    """The message says what is other, and how to go on with the first."""
    PLAN.check_same(PLAN, Path("out"))
    with pytest.raises(ClusterError, match=reason) as refused:
        PLAN.check_same(msgspec.structs.replace(PLAN, **changed), Path("out"))
    assert "it scored /scans" in str(refused.value)


def test_a_plan_comes_back_as_it_was(tmp_path: Path) -> None:
    """With the digest by which parts know it; a damaged one is refused."""
    write_plan(tmp_path, PLAN)
    assert read_plan(tmp_path) == PLAN
    assert read_plan(tmp_path).digest == PLAN.digest
    file = tmp_path / PLAN_NAME
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ClusterError, match="is damaged"):
        read_plan(tmp_path)
