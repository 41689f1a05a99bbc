"""`make bench`: flatdense against bare grpcio with no model, in turn, several times.

Writes bench/results/serving.json, with the machine's description, and the README's table.
"""

import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flatdense_proto.v1 import classifier_pb2 as pb
from load import Request, calls_per_second, check_tool, sequential_p50_s
from machine import describe_machine
from report import SERVING, SERVING_PAGE, publish, render_serving

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

ROUNDS = 7

Measure = Callable[[str], float]


@dataclass(frozen=True)
class Case:
    """One question, asked of both servers in turn."""

    name: str
    unit: str
    measure: Measure


def rate(rows: int, data_type: pb.DataType, in_flight: int, calls: int) -> Measure:
    """Measures rows a second."""
    request = Request(rows, data_type)

    def measure(address: str) -> float:
        return rows * calls_per_second(address, request, in_flight=in_flight, calls=calls)

    return measure


def latency(calls: int) -> Measure:
    """Measures the median of one call at a time, in microseconds."""
    request = Request(1, pb.DATA_TYPE_UINT8)
    return lambda address: 1e6 * sequential_p50_s(address, request, calls=calls)


UINT8, FP32 = pb.DATA_TYPE_UINT8, pb.DATA_TYPE_FP32

CASES = (
    Case("1 row, 1 in flight, p50", "us", latency(2000)),
    Case("1 row, 64 in flight", "rows/s", rate(1, UINT8, 64, 20_000)),
    Case("64 rows uint8, 8 in flight", "rows/s", rate(64, UINT8, 8, 4000)),
    Case("64 rows float32, 8 in flight", "rows/s", rate(64, FP32, 8, 2000)),
    Case("256 rows uint8, 8 in flight", "rows/s", rate(256, UINT8, 8, 1500)),
)


def main() -> None:
    """Measures, writes, prints."""
    check_tool()
    figures: dict[str, dict[str, list[float]]] = {
        case.name: {"flatdense": [], "bare grpcio": []} for case in CASES
    }
    with (
        ServerProcess(
            *("--model-dir", str(HERE.parent / "exported_model"), "--workers", "1")
        ) as server,
        bare() as limit,
    ):
        server.ready()
        for case in CASES:  # once uncounted
            case.measure(server.address)
            case.measure(limit)
        for _ in range(ROUNDS):
            for case in CASES:
                figures[case.name]["flatdense"].append(case.measure(server.address))
                figures[case.name]["bare grpcio"].append(case.measure(limit))
        check_answers(server)
    cases = [{"name": case.name, "unit": case.unit, **figures[case.name]} for case in CASES]
    results = {"machine": describe_machine(), "cases": cases}
    section = render_serving(results)
    publish(results, SERVING, SERVING_PAGE, section)
    print(section)


@contextmanager
def bare() -> Iterator[str]:
    """The address of a bare server in a process of its own."""
    with subprocess.Popen(  # noqa: S603 -- our own script
        [sys.executable, HERE / "bare_server.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout  # noqa: S101 -- it was asked for
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
        process.communicate()


def check_answers(server: ServerProcess) -> None:
    """HTTP's 200 says nothing: every call must have ended with gRPC's OK."""
    with urllib.request.urlopen(server.page + "metrics") as answer:  # noqa: S310 -- our own server
        lines = answer.read().decode().splitlines()
    wrong = [
        line
        for line in lines
        if line.startswith("flatdense_requests_total{") and 'code="OK"' not in line
    ]
    if wrong:
        raise SystemExit(f"not every call was answered: {wrong}")


if __name__ == "__main__":
    main()
