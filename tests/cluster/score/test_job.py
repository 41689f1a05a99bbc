"""Whole jobs, as processes on a real Ray of two nodes: nothing double and nothing missing."""

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.xdist_group("ray")


class Nodes(Protocol):
    """A Ray cluster."""

    address: str
    process: int


Start: TypeAlias = Callable[..., Popen[str]]

PICTURES = 300
BAD = "0/000a.png"
LAST = "9/099.png"


@pytest.fixture
def scans(tmp_path: Path, draw: Callable[[Path, int], None]) -> Path:
    """Pictures in folders; the second file is none, so that the first part says something."""
    folder = tmp_path / "scans"
    draw(folder, PICTURES)
    (folder / BAD).write_text("no picture")
    return folder


def read(folder: Path) -> pa.Table:
    """The whole table, as any reader of Parquet has it."""
    return pq.read_table(folder).replace_schema_metadata(None)


def end(job: Popen[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    out, errors = job.communicate(timeout=90)
    assert "Traceback" not in errors
    return job.returncode, out, errors


@contextmanager
def held_back(job: Popen[str], scans: Path) -> Iterator[None]:
    """The job cannot end in this block: its last file, listed already, is a pipe that says nothing.

    Something was scored when the block begins. After it the file is what it was.
    """
    last, aside = scans / LAST, scans.parent / "aside.png"
    await_line(job, f"{PICTURES + 1} images")
    last.rename(aside)
    os.mkfifo(last)
    await_line(job, "rejected")
    yield
    aside.rename(last)


def await_line(job: Popen[str], beginning: str) -> None:
    """Until the job says this on its standard error."""
    assert job.stderr
    lines = []
    for line in job.stderr:
        lines.append(line)
        if line.startswith(beginning):
            return
    pytest.fail(f"it never said {beginning!r}: {''.join(lines)}")


def check_complete(folder: Path) -> pa.Table:
    """The table has each of the scans once, in order."""
    table = read(folder)
    assert table["index"].to_pylist() == list(range(PICTURES + 1))
    names = table["source"].to_pylist()
    assert len(set(names)) == PICTURES + 1
    errors = dict(zip(names, table["error"].to_pylist(), strict=True))
    assert [name for name in names if errors[name]] == [BAD]
    assert (folder / "_SUCCESS").exists()
    return table


def workers_of(cluster: Nodes) -> list[int]:
    """The processes that score."""
    return [
        process
        for process in descendants(cluster.process)
        if "MapBatches(Scorer)" in Path(f"/proc/{process}/cmdline").read_text()
    ]


def descendants(process: int) -> list[int]:
    """The children of a process, and theirs."""
    lists = Path(f"/proc/{process}/task").glob("*/children")
    children = [int(child) for each in lists for child in each.read_text().split()]
    return children + [each for child in children for each in descendants(child)]


def await_ends(processes: list[int]) -> None:
    """Until none of them runs."""
    for process in processes:
        try:
            handle = os.pidfd_open(process)
        except ProcessLookupError:
            continue
        assert select.select([handle], [], [], 60)[0], Path(f"/proc/{process}/cmdline").read_text()
        os.close(handle)


def test_each_image_exactly_once(start: Start, cluster: Nodes, scans: Path, tmp_path: Path) -> None:
    """And the end says how many; the same command again has nothing to do."""
    arguments = (scans, tmp_path / "out", "--address", cluster.address, "--part-rows", 64)
    code, out, errors = end(start(*arguments))
    assert code == 0, errors
    counts = "300 images scored by version 1, 1 rejected (see the column error)"
    assert out == f"{counts}: {tmp_path / 'out'}\n"
    assert f"rejected: {BAD}: this is not a PNG or JPEG" in errors
    check_complete(tmp_path / "out")
    # No Ray is there, and none is needed.
    code, again, errors = end(start(scans, tmp_path / "out", "--address", "127.0.0.1:9"))
    assert (code, again) == (0, out), errors
    code, again, _ = end(start(scans, tmp_path / "out", "--strict"))
    assert (code, again) == (1, out)


def test_killed_and_resumed(start: Start, cluster: Nodes, scans: Path, tmp_path: Path) -> None:
    """After kill -9 the same command makes the table that an unbroken job makes."""
    where = ("--address", cluster.address, "--part-rows", 4)
    broken = start(scans, tmp_path / "broken", *where)
    with held_back(broken, scans):
        broken.kill()
        broken.wait()
    assert not (tmp_path / "broken" / "_SUCCESS").exists()
    code, _, errors = end(start(scans, tmp_path / "broken", *where))
    assert code == 0, errors
    assert "goes on after" in errors
    code, _, errors = end(start(scans, tmp_path / "whole", *where))
    assert code == 0, errors
    assert check_complete(tmp_path / "broken").equals(check_complete(tmp_path / "whole"))


def test_a_worker_is_killed(start: Start, cluster: Nodes, scans: Path, tmp_path: Path) -> None:
    """Another one takes its place, and its part: the job ends well."""
    job = start(
        scans, tmp_path / "out", "--address", cluster.address, "--part-rows", 4, "--concurrency", 1
    )
    await_line(job, "rejected")
    (worker,) = workers_of(cluster)
    os.kill(worker, signal.SIGKILL)
    code, _, errors = end(job)
    assert code == 0, errors
    check_complete(tmp_path / "out")


def test_two_jobs_at_once(start: Start, cluster: Nodes, scans: Path, tmp_path: Path) -> None:
    """The second one to the same folder is refused, and the first goes on."""
    arguments = (scans, tmp_path / "out", "--address", cluster.address, "--part-rows", 4)
    first = start(*arguments)
    with held_back(first, scans):
        code, _, errors = end(start(*arguments))
        os.close(os.open(scans / LAST, os.O_WRONLY))  # the worker reads nothing, and goes on
    assert code == 1
    assert f"another job writes to {tmp_path / 'out'} now: process {first.pid} on" in errors
    code, _, errors = end(first)
    assert code == 0, errors
    assert read(tmp_path / "out")["index"].to_pylist() == list(range(PICTURES + 1))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_and_resumed(
    start: Start, cluster: Nodes, scans: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """On a Ray of its own: the user hears how to go on, and no process is left behind."""
    arguments = (scans, tmp_path / "out", "--part-rows", 4)
    job = start(*arguments)
    with held_back(job, scans):
        family = descendants(job.pid)
        job.send_signal(number)
        code, _, errors = end(job)
    assert code == 130
    assert "The same command goes on from there." in errors
    await_ends(family)
    code, _, errors = end(start(*arguments, "--address", cluster.address))
    assert code == 0, errors
    check_complete(tmp_path / "out")


def test_another_source_is_refused(
    start: Start, cluster: Nodes, scans: Path, tmp_path: Path
) -> None:
    """What was scored of it before would be mixed with what it is now."""
    arguments = (scans, tmp_path / "out", "--address", cluster.address, "--part-rows", 64)
    assert end(start(*arguments))[0] == 0
    (scans / "more.png").touch()
    code, _, errors = end(start(*arguments))
    assert code == 1
    assert "the source is not what it was then" in errors
    (scans / "more.png").unlink()
    assert end(start(*arguments))[0] == 0


def test_a_part_that_is_removed_is_scored_again(
    start: Start, cluster: Nodes, tmp_path: Path
) -> None:
    """That is how to have it scored anew; an array this time."""
    rows: npt.NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (50, 784), np.uint8)
    np.savez_compressed(tmp_path / "rows.npz", images=rows)
    out = tmp_path / "out"
    arguments = (tmp_path / "rows.npz", out, "--address", cluster.address, "--part-rows", 20)
    assert end(start(*arguments))[0] == 0
    table = read(out)
    assert table["index"].to_pylist() == list(range(50))
    (out / "part-000001.parquet").unlink()
    code, _, errors = end(start(*arguments))
    assert code == 0, errors
    assert "goes on after 30 of 50 images" in errors
    assert read(out).equals(table)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1:9", "no Ray cluster at 127.0.0.1:9: Connection refused."),
        ("ray://127.0.0.1:9", "Use --address auto on a node of the cluster"),
    ],
)
def test_no_cluster_there(
    start: Start, scans: Path, tmp_path: Path, address: str, reason: str
) -> None:
    """The message says what to do, at once."""
    code, _, errors = end(start(scans, tmp_path / "out", "--address", address))
    assert code == 1
    assert reason in errors
