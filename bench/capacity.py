"""What one core answers, and what memory a service takes: `python bench/capacity.py`.

The server has one worker and one core, the load the other cores. Memory is each process's share:
what two have in common counts half in each, so that shares add up to what a cgroup is charged.
Writes bench/results/capacity.json and a table of docs/operations.md.
"""

import argparse
import os
import sys
from pathlib import Path

from connections import ONE_ARENA, SPARE_DESCRIPTORS, allow_descriptors, crowd
from flatdense_proto.v1 import classifier_pb2 as pb
from footprint import descendants
from load import Request, calls_per_second, check_tool
from machine import describe_machine
from report import CAPACITY, CAPACITY_PAGE, CAPACITY_SECTION, publish, render_capacity

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

ROUNDS = {"aot": 5, "jit": 3}

CONNECTIONS = 4000

CASES = {
    "1 row uint8, 64 in flight": (Request(1, pb.DATA_TYPE_UINT8), 64, 60_000),
    "64 rows uint8, 8 in flight": (Request(64, pb.DATA_TYPE_UINT8), 8, 10_000),
    "256 rows uint8, 8 in flight": (Request(256, pb.DATA_TYPE_UINT8), 8, 3000),
    "256 rows float32, 8 in flight": (Request(256, pb.DATA_TYPE_FP32), 8, 1500),
}

SLOWER = 10
"""The jit engine gets so many times fewer calls: it is for machines without a compiler."""

Figures = dict[str, float]


def main() -> None:
    """Measures, writes, prints."""
    check_tool()
    allow_descriptors(CONNECTIONS + SPARE_DESCRIPTORS)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        raise SystemExit("bench/capacity.py needs a second core, for the load.")
    rounds = {
        engine: [measure(engine, cores) for _ in range(count)] for engine, count in ROUNDS.items()
    }
    results = {
        "machine": describe_machine(),
        "connections": CONNECTIONS,
        "rows_a_second": {
            engine: {case: [each[case] for each in measured] for case in CASES}
            for engine, measured in rounds.items()
        },
        "memory_mb": {
            engine: {
                name: [each[name] for each in measured] for name in measured[0] if name not in CASES
            }
            for engine, measured in rounds.items()
        },
    }
    section = render_capacity(results)
    publish(results, CAPACITY, CAPACITY_PAGE, section, CAPACITY_SECTION)
    print(section)


def measure(engine: str, cores: list[int]) -> Figures:
    """Of a server that is started for it."""
    options = ("--model-dir", str(HERE.parent / "exported_model"), "--engine", engine)
    # What is started inherits where it may run.
    os.sched_setaffinity(0, cores[:1])
    with ServerProcess(*options, "--workers", "1", variables=ONE_ARENA) as server:
        os.sched_setaffinity(0, cores[1:])
        server.ready()
        idle, figures = shares_mb(server), {}
        for case, (request, in_flight, calls) in CASES.items():
            rate = calls_per_second(
                server.address,
                request,
                in_flight=in_flight,
                calls=calls // (SLOWER if engine == "jit" else 1),
            )
            figures[case] = rate * request.rows
        loaded = shares_mb(server)
        (worker,) = server.worker_pids
        alone_mb = memory_mb(worker, "Pss_Anon")  # the system takes files out of memory as it likes
        with crowd(server.address, CONNECTIONS):
            crowded_mb = memory_mb(worker, "Pss_Anon")
        server.stop()
    os.sched_setaffinity(0, cores)
    return {
        **figures,
        "supervisor, idle": idle["supervisor"],
        "supervisor, after load": loaded["supervisor"],
        "worker, idle": idle["worker"],
        "worker, after load": loaded["worker"],
        "1,000 connections": 1000 * (crowded_mb - alone_mb) / CONNECTIONS,
    }


def shares_mb(server: ServerProcess) -> Figures:
    """The memory of the one worker; and of the supervisor, with all that is neither."""
    (worker,) = server.worker_pids
    others = {server.pid, *descendants(server.pid)} - {worker}
    return {
        "supervisor": sum(memory_mb(pid, "Pss") for pid in others),
        "worker": memory_mb(worker, "Pss"),
    }


def memory_mb(pid: int, kind: str) -> float:
    """A process's share of memory, by one of the kinds that Linux tells."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (found,) = [line.split()[1] for line in lines if line.startswith(f"{kind}:")]
    return int(found) * 1024 / 1e6


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
