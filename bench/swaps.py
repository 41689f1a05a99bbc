"""Version swaps under a constant load: failed calls, tail latency, and how soon a version answers.

h2load calls at a fixed rate; each second with a swap has a second without one before it: what else
the machine did hits both. A caller of its own looks which version answers.

Writes bench/results/swaps.json, with the machine's description.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from load import Post, Request, check_tool, classify, frame, timings_s
from machine import describe_machine

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

SWAPS = 100
CONNECTIONS = 8
CALLS_A_SECOND = 1000
SECONDS = 2.4
"""Of load around each swap, which comes after half of them."""

LOOK_INTERVAL_S = 0.02
POLL_INTERVAL_S = 0.1

REQUEST = Request(1, pb.DATA_TYPE_UINT8)

Timings = list[tuple[float, float]]
"""When each call was due, and its latency from then on; in seconds."""


@dataclass
class Looker:
    """Calls every LOOK_INTERVAL_S, and notes when each version answered first."""

    address: str
    stop: threading.Event
    first_s: dict[int, float] = field(default_factory=dict)
    calls: int = 0

    def run(self) -> None:
        """Calls until it is stopped. A call that fails ends it with the error."""
        request = pb.ClassifyRequest.FromString(REQUEST.message())
        with grpc.insecure_channel(self.address) as channel:
            stub = ClassifierStub(channel)
            while not self.stop.wait(LOOK_INTERVAL_S):
                version = stub.Classify(request).model_version
                self.first_s.setdefault(version, time.time())  # noqa: TID251 -- h2load's clock
                self.calls += 1


@dataclass(frozen=True)
class Swap:
    """One swap and the load around it."""

    version: int
    renamed_s: float
    timings: Timings

    def second(self, start_s: float) -> list[float]:
        """The latencies of the calls of a second, which begins so long after the rename."""
        start_s += self.renamed_s
        return [took for due, took in self.timings if start_s <= due < start_s + 1]


def main() -> None:
    """Measures, writes, prints."""
    check_tool()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        models = Path(shutil.copytree(HERE.parent / "exported_model", Path(folder) / "models"))
        options = ("--model-dir", str(models), "--poll-interval-s", str(POLL_INTERVAL_S))
        with ServerProcess(*options, "--workers", "1") as server:
            engine = server.ready()["engine"]
            post = checked(server.address)
            looker = Looker(server.address, threading.Event())
            looking = pool.submit(looker.run)
            swaps = [swap(models, server, post, version) for version in range(2, SWAPS + 2)]
            looker.stop.set()
            looking.result()
    delays = [looker.first_s[each.version] - each.renamed_s for each in swaps]
    results = {
        "machine": describe_machine(),
        "engine": engine,
        "swaps": SWAPS,
        "calls_a_second": CALLS_A_SECOND,
        "calls": looker.calls + sum(len(each.timings) for each in swaps),
        "failed_calls": 0,  # one that fails ends the measurement
        **tails(swaps),
        "first_answer_median_s": statistics.median(delays),
        "first_answer_worst_s": max(delays),
    }
    (HERE / "results" / "swaps.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def checked(address: str) -> Post:
    """The load's call, which must be answered by as many bytes as now."""
    with grpc.insecure_channel(address) as channel:
        answer = ClassifierStub(channel).Classify(pb.ClassifyRequest.FromString(REQUEST.message()))
    return replace(classify(address, REQUEST), answer_bytes=len(frame(answer.SerializeToString())))


def swap(models: Path, server: ServerProcess, post: Post, version: int) -> Swap:
    """Publishes one more version in the middle of the load."""
    aside = shutil.copytree(models / "1", models / ".aside")
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(
            timings_s,
            post,
            round(SECONDS * CALLS_A_SECOND),
            f"--clients={CONNECTIONS}",
            "--max-concurrent-streams=100",
            f"--rps={CALLS_A_SECOND // CONNECTIONS}",
        )
        time.sleep(SECONDS / 2)
        renamed_s = time.time()  # noqa: TID251 -- h2load's clock
        aside.rename(models / str(version))
        server.wait_for("swapped", version=version)
        return Swap(version, renamed_s, load.result())


def tails(swaps: list[Swap]) -> dict[str, object]:
    """The p99 of all seconds before a swap, and of all with one; and of each, in milliseconds.

    And how many seconds of each kind were beyond twice the quiet p99: as many of both are the
    machine's.
    """
    before = [each.second(-1) for each in swaps]
    during = [each.second(0) for each in swaps]
    quiet, swapping = (
        p99([call for second in each for call in second]) for each in (before, during)
    )
    return {
        "quiet_p99_ms": 1e3 * quiet,
        "swap_p99_ms": 1e3 * swapping,
        "swap_to_quiet": swapping / quiet,
        "quiet_seconds_p99_ms": spread(before),
        "swap_seconds_p99_ms": spread(during),
        "seconds_beyond_twice_quiet_p99": {
            "quiet": sum(p99(second) > 2 * quiet for second in before),
            "swap": sum(p99(second) > 2 * quiet for second in during),
        },
    }


def spread(seconds: list[list[float]]) -> dict[str, float]:
    """How the p99 of single seconds is spread, in milliseconds."""
    values = sorted(1e3 * p99(second) for second in seconds)
    places = {
        "least": 0,
        "median": len(values) // 2,
        "ninth_tenth": 9 * len(values) // 10,
        "most": -1,
    }
    return {name: values[place] for name, place in places.items()}


def p99(values: list[float]) -> float:
    """The value that one in a hundred is above."""
    return sorted(values)[int(0.99 * (len(values) - 1))]


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
