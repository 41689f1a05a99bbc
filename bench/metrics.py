"""What metrics cost on the express lane: `python bench/metrics.py`.

The server as it is, once with prediction health and once without, and one that counts nothing
(unmeasured_server.py), in turn: many short rounds, so that what else the machine does meets all of
them. Ends with an error where one of the first two answers less than
95 % of what the last one does, by the median. Writes bench/results/metrics.json, with the machine's
description, and a table of docs/metrics.md.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from flatdense_proto.v1 import classifier_pb2 as pb
from load import Request, calls_per_second, check_tool
from machine import describe_machine
from report import METRICS, METRICS_PAGE, UNMEASURED, publish, render_metrics

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

ROUNDS = 60
LEAST_SHARE = 0.95

OPTIONS = ("--model-dir", str(HERE.parent / "exported_model"), "--workers", "1")

SERVERS: dict[str, Callable[[], ServerProcess]] = {
    UNMEASURED: lambda: ServerProcess(
        *OPTIONS, command=(sys.executable, HERE / "unmeasured_server.py")
    ),
    "metrics": lambda: ServerProcess(*OPTIONS, "--no-prediction-health"),
    "metrics and prediction health": lambda: ServerProcess(*OPTIONS),
}


@dataclass(frozen=True)
class Case:
    """What is asked, and how much of it."""

    name: str
    request: Request
    in_flight: int
    calls: int


CASES = (
    Case("1 row, 64 in flight", Request(1, pb.DATA_TYPE_UINT8), 64, 3000),
    Case("1 row, 1 in flight", Request(1, pb.DATA_TYPE_UINT8), 1, 600),
    Case("64 rows, 8 in flight", Request(64, pb.DATA_TYPE_UINT8), 8, 500),
)


def main(rounds: int) -> None:
    """Measures, writes, prints, judges."""
    check_tool()
    figures = {case.name: {name: [] for name in SERVERS} for case in CASES}
    with ExitStack() as running:
        servers = {name: running.enter_context(start()) for name, start in SERVERS.items()}
        for server in servers.values():
            server.ready()
        for number in range(rounds + 1):  # the first is not counted
            for case in CASES:
                first = number % len(servers)  # each is first, by and by
                for name in [*servers, *servers][first : first + len(servers)]:
                    found = measure(servers[name], case)
                    if number:
                        figures[case.name][name].append(found)
    results = {"machine": describe_machine(), "figures": figures}
    section = render_metrics(results)
    publish(results, METRICS, METRICS_PAGE, section)
    print(section)
    if faults := [fault for name, servers in figures.items() for fault in judge(name, servers)]:
        raise SystemExit("\n".join(faults))


def measure(server: ServerProcess, case: Case) -> dict[str, float]:
    """Calls a second, and what one costs the worker, in microseconds of the processor."""
    (worker,) = server.worker_pids
    before_s = read_cpu_s(worker)
    rate = calls_per_second(
        server.address, case.request, in_flight=case.in_flight, calls=case.calls
    )
    took_s = read_cpu_s(worker) - before_s
    return {"calls_a_second": rate, "cpu_us": 1e6 * took_s / case.calls}


def read_cpu_s(pid: int) -> float:
    """The processor time of a process's threads so far."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(path.read_text().split()[0]) for path in threads) / 1e9


def judge(case: str, servers: dict[str, list[dict[str, float]]]) -> list[str]:
    """What costs more than it may, a sentence each."""
    faults = []
    for name, rounds in servers.items():
        shares = [
            one["calls_a_second"] / other["calls_a_second"]
            for one, other in zip(rounds, servers[UNMEASURED], strict=True)
        ]
        if statistics.median(shares) < LEAST_SHARE:
            faults.append(f"{case}: {name} leave {statistics.median(shares):.1%} of the calls.")
    return faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    main(parser.parse_args().rounds)
