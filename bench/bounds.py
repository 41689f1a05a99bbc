"""What bounds a call: where the time of each thread and of the load goes: `bench/bounds.py`.

Beside the server stands its own lane with a fixed answer, which shows what grpcio's bindings take.
Reads /proc. Writes bench/results/bounds.json, with the machine's description, and a decision
record's table.
"""

import argparse
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flatdense_proto.v1 import classifier_pb2 as pb
from load import Request, calls_per_second, check_tool
from machine import describe_machine
from report import BOUNDS, BOUNDS_PAGE, publish, render_bounds

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

ROUNDS = 5
IDLE, IOWAIT = 3, 4
"""Where /proc/stat has them."""


@dataclass(frozen=True)
class Case:
    """What is sent."""

    request: Request
    in_flight: int
    calls: int


CASES = {
    "1 row uint8, 64 in flight": Case(Request(1, pb.DATA_TYPE_UINT8), 64, 40_000),
    "64 rows uint8, 8 in flight": Case(Request(64, pb.DATA_TYPE_UINT8), 8, 6_000),
    "64 rows float32, 8 in flight": Case(Request(64, pb.DATA_TYPE_FP32), 8, 4_000),
}


@dataclass(frozen=True)
class Server:
    """Where it listens, and its processes."""

    address: str
    pids: Sequence[int]


def main() -> None:
    """Measures, writes, prints."""
    check_tool()
    figures: dict[str, dict[str, list[dict[str, float]]]] = {name: {} for name in CASES}
    with flatdense(1) as one, flatdense(2) as two, fixed() as limit:
        servers = {"flatdense": one, "two workers": two}
        for number in range(ROUNDS + 1):  # the first is not counted
            for case_name, case in CASES.items():
                limits = {"its lane, no model": limit} if case.request.rows == 1 else {}
                for name, server in (servers | limits).items():
                    found = measure(server, case)
                    if number:
                        figures[case_name].setdefault(name, []).append(found)
    results = {"machine": describe_machine(), "figures": figures}
    section = render_bounds(results)
    publish(results, BOUNDS, BOUNDS_PAGE, section)
    print(section)


@contextmanager
def flatdense(workers: int) -> Iterator[Server]:
    """The server with so many workers."""
    options = ("--model-dir", str(HERE.parent / "exported_model"), "--workers", str(workers))
    with ServerProcess(*options) as server:
        server.ready()
        yield Server(server.address, server.worker_pids)


@contextmanager
def fixed() -> Iterator[Server]:
    """The lane without a model, in a process of its own."""
    with subprocess.Popen(  # noqa: S603 -- our own script
        [sys.executable, HERE / "lane_server.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout  # noqa: S101 -- it was asked for
        yield Server(f"127.0.0.1:{process.stdout.readline().strip()}", [process.pid])
        process.communicate()


def measure(server: Server, case: Case) -> dict[str, float]:
    """Calls a second, and microseconds of processor time a call."""
    threads, load_s, ticks = read_threads_s(server.pids), read_load_s(), read_ticks()
    rate = calls_per_second(
        server.address, case.request, in_flight=case.in_flight, calls=case.calls
    )
    spent_ticks = [after - before for before, after in zip(ticks, read_ticks(), strict=True)]
    spent_s = sorted(
        after_s - threads.get(thread, 0.0)
        for thread, after_s in read_threads_s(server.pids).items()
    )
    to_us = 1e6 / case.calls
    return {
        "calls_a_second": rate,
        "busiest_thread_us": spent_s[-1] * to_us,
        "other_threads_us": sum(spent_s[:-1]) * to_us,
        "load_us": (read_load_s() - load_s) * to_us,
        "idle": (spent_ticks[IDLE] + spent_ticks[IOWAIT]) / sum(spent_ticks),
    }


def read_threads_s(pids: Sequence[int]) -> dict[str, float]:
    """The processor time of each thread so far."""
    return {
        str(task): int((task / "schedstat").read_text().split()[0]) / 1e9
        for pid in pids
        for task in Path(f"/proc/{pid}/task").iterdir()
    }


def read_load_s() -> float:
    """The processor time of the load generators so far, which have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def read_ticks() -> list[int]:
    """What all cores did so far, by kind."""
    return [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
