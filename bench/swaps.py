"""Version swaps under a constant load: failed calls, tail latency, and how soon a version answers.

Each second with a swap has a second without one before it: what else the machine did hits both.

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
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from flatdense_client import Client
from machine import describe_machine

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

SWAPS = 100
CALLERS = 4
CALLS_A_SECOND = 50
"""Of each caller, at fixed times: a slow answer does not make the next call later."""

POLL_INTERVAL_S = 0.1

Calls = list[tuple[float, float, int]]
"""When each was due, its latency from then on, and the version that answered; in seconds."""


@dataclass
class Caller:
    """One thread that calls at a fixed rate and notes when each call was due and answered."""

    address: str
    stop: threading.Event
    calls: Calls = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Calls until it is stopped."""
        image = np.zeros((28, 28), np.uint8)
        due_s = time.perf_counter()
        with Client(self.address) as client:
            client.classify(image)
            while not self.stop.wait(max(0.0, due_s - time.perf_counter())):
                try:
                    version = client.classify(image).model_version
                except Exception as error:  # noqa: BLE001 -- whatever it is, it is a failed call
                    self.failures.append(repr(error))
                else:
                    self.calls.append((due_s, time.perf_counter() - due_s, version))
                due_s += 1 / CALLS_A_SECOND


def main() -> None:
    """Measures, writes, prints."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(shutil.copytree(HERE.parent / "exported_model", Path(folder) / "models"))
        options = ("--model-dir", str(models), "--poll-interval-s", str(POLL_INTERVAL_S))
        with ServerProcess(*options, "--workers", "1") as server:
            engine = server.ready()["engine"]
            stop = threading.Event()
            callers = [Caller(server.address, stop) for _ in range(CALLERS)]
            threads = [threading.Thread(target=caller.run) for caller in callers]
            for thread in threads:
                thread.start()
            stop.wait(2)
            renamed = [swap(models, server, version) for version in range(2, SWAPS + 2)]
            stop.set()
            for thread in threads:
                thread.join()
    calls = sorted(call for caller in callers for call in caller.calls)
    results = {
        "machine": describe_machine(),
        "engine": engine,
        "swaps": SWAPS,
        "calls": len(calls),
        "failed_calls": sum(len(caller.failures) for caller in callers),
        **tails(calls, renamed),
        **first_answers(calls, renamed),
    }
    (HERE / "results" / "swaps.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def swap(models: Path, server: ServerProcess, version: int) -> float:
    """Publishes one more version; gives the time of its rename.

    The second before it and the one after it are left to the callers.
    """
    aside = shutil.copytree(models / "1", models / ".aside")
    time.sleep(1.1)
    renamed_s = time.perf_counter()
    aside.rename(models / str(version))
    server.wait_for("swapped", version=version)
    time.sleep(max(0.0, renamed_s + 1 - time.perf_counter()))
    return renamed_s


def tails(calls: Calls, renamed: list[float]) -> dict[str, object]:
    """The p99 of all seconds before a swap, and of all with one; and of each, in milliseconds."""
    before = [latencies(calls, start - 1) for start in renamed]
    during = [latencies(calls, start) for start in renamed]
    quiet, swapping = (
        p99([call for second in each for call in second]) for each in (before, during)
    )
    return {
        "quiet_p99_ms": 1e3 * quiet,
        "swap_p99_ms": 1e3 * swapping,
        "swap_to_quiet": swapping / quiet,
        "quiet_seconds_p99_ms": spread(before),
        "swap_seconds_p99_ms": spread(during),
    }


def latencies(calls: Calls, start_s: float) -> list[float]:
    """Of the calls that were due in the second from then on."""
    return [latency for due, latency, _ in calls if start_s <= due < start_s + 1]


def spread(seconds: list[list[float]]) -> dict[str, float]:
    """How the p99 of single seconds is spread, in milliseconds."""
    values = sorted(1e3 * p99(second) for second in seconds)
    places = {"least": 0, "median": len(values) // 2, "most": -1}
    return {name: values[place] for name, place in places.items()}


def first_answers(calls: Calls, renamed: list[float]) -> dict[str, float]:
    """Seconds from a version's rename to the first answer that it gave."""
    delays = []
    for version, renamed_s in enumerate(renamed, 2):
        answered = min(due + latency for due, latency, seen in calls if seen == version)
        delays.append(answered - renamed_s)
    return {"first_answer_median_s": statistics.median(delays), "first_answer_worst_s": max(delays)}


def p99(values: list[float]) -> float:
    """The value that one in a hundred is above."""
    return sorted(values)[int(0.99 * (len(values) - 1))]


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
