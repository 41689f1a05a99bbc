"""Two workers against one, in turn, several times: `python bench/workers.py`.

The load is light: one thread of h2load, whose small share of a core is noted, on 16 connections, so
that the kernel spreads them over both workers. What two processes of plain Python reach here, with
nothing to share, stands beside. Writes bench/results/workers.json.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from flatdense_proto.v1 import classifier_pb2 as pb
from load import Request, calls_per_second, check_tool
from machine import describe_machine

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

ROUNDS = 7
CONNECTIONS = 16

CASES = {
    "1 row, 64 in flight": (Request(1, pb.DATA_TYPE_UINT8), 64, 30_000),
    "64 rows uint8, 16 in flight": (Request(64, pb.DATA_TYPE_UINT8), 16, 5000),
}


def main() -> None:
    """Measures, writes, prints."""
    check_tool()
    figures: dict[str, dict[str, list[float]]] = {
        name: {"one": [], "two": [], "generator_cores": []} for name in CASES
    }
    with ExitStack() as stack:
        servers = {}
        for name, workers in (("one", "1"), ("two", "2")):
            options = ("--model-dir", str(HERE.parent / "exported_model"), "--workers", workers)
            servers[name] = stack.enter_context(ServerProcess(*options))
            servers[name].ready()
        for number in range(ROUNDS + 1):  # the first is not counted
            for case, (request, in_flight, calls) in CASES.items():
                for name, server in servers.items():
                    before_s, started_s = generator_s(), time.monotonic()
                    rate = calls_per_second(
                        server.address,
                        request,
                        in_flight=in_flight,
                        calls=calls,
                        connections=CONNECTIONS,
                    )
                    cores = (generator_s() - before_s) / (time.monotonic() - started_s)
                    if number:
                        figures[case][name].append(rate * request.rows)
                        figures[case]["generator_cores"].append(cores)
    ratios = {
        case: [two / one for one, two in zip(each["one"], each["two"], strict=True)]
        for case, each in figures.items()
    }
    summary = {
        case: {"least": min(each), "median": statistics.median(each), "most": max(each)}
        for case, each in ratios.items()
    }
    results = {
        "machine": describe_machine(),
        "two_to_one": summary,
        "two_to_one_of_the_machine": [machine_ratio() for _ in range(ROUNDS)],
        "figures": figures,
    }
    (HERE / "results" / "workers.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps({**summary, "machine": results["two_to_one_of_the_machine"]}, indent=2))


def machine_ratio() -> float:
    """What two processes of plain Python reach together, over what one reaches alone."""
    count = (
        "import time; end = time.perf_counter() + 1.5; n = 0\n"
        "while time.perf_counter() < end: n += sum(range(200))\n"
        "print(n)"
    )

    def run(processes: int) -> int:
        running = [
            subprocess.Popen([sys.executable, "-c", count], stdout=subprocess.PIPE)  # noqa: S603
            for _ in range(processes)
        ]
        return sum(int(process.communicate()[0]) for process in running)

    return run(2) / run(1)


def generator_s() -> float:
    """The processor time of the h2loads that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
