"""How many CPUs the process may use, as the kernel says it."""

import os
from pathlib import Path

import pytest
from flatdense_server.engine.cpus import read_quota, usable_cpus


@pytest.mark.parametrize(
    ("text", "quota"),
    [
        ("max 100000\n", None),
        ("100000 100000\n", 1),
        ("150000 100000\n", 2),
        ("5000 100000\n", 1),
        ("400000 100000\n", 4),
    ],
)
def test_the_quota_of_cgroup_v2_is_rounded_up(tmp_path: Path, text: str, quota: int | None) -> None:
    """cpu.max is quota and period; max is no quota."""
    (tmp_path / "cpu.max").write_text(text)
    assert read_quota(tmp_path) == quota


@pytest.mark.parametrize(("quota", "cpus"), [("-1\n", None), ("250000\n", 3)])
def test_the_quota_of_cgroup_v1_counts_where_there_is_no_v2(
    tmp_path: Path, quota: str, cpus: int | None
) -> None:
    """cpu.cfs_quota_us over cpu.cfs_period_us, rounded up; -1 is no quota."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert read_quota(tmp_path) == cpus


def test_no_cgroup_is_no_quota(tmp_path: Path) -> None:
    """Where nothing can be read the affinity mask alone decides."""
    assert read_quota(tmp_path) is None
    assert usable_cpus(tmp_path) == len(os.sched_getaffinity(0))


def test_the_smaller_of_mask_and_quota_counts(tmp_path: Path) -> None:
    """A quota lowers the number to at least 1, and never raises it."""
    (tmp_path / "cpu.max").write_text("1000 100000\n")
    assert usable_cpus(tmp_path) == 1
    (tmp_path / "cpu.max").write_text("99900000 100000\n")
    assert usable_cpus(tmp_path) == len(os.sched_getaffinity(0))
