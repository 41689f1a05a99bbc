"""How many CPUs this process may use."""

import os
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")


def usable_cpus(cgroup: Path = CGROUP_ROOT) -> int:
    """The CPUs of the affinity mask, or the cgroup's quota rounded up where that is less.

    Reads cgroup v2's cpu.max, and v1's cpu.cfs_quota_us where there is no v2.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = read_quota(cgroup)
    return cpus if quota is None else max(1, min(cpus, quota))


def read_quota(cgroup: Path) -> int | None:
    """The quota in CPUs, rounded up; None where there is none."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    if quota.strip() in {"max", "-1"}:
        return None
    return -(-int(quota) // int(period))
