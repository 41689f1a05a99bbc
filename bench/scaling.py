"""What a simulation of the queues foretells, beside what is measured: `python bench/scaling.py`.

First what a batch costs the server, from the processor time of its worker at several loads. From
that `queueing.py` foretells the latency at 1, 2 and 4 replicas, for the same calls that come at the
same times, and then at 10 and 100 replicas with a core each. All servers of a measurement share one
core, as here there are two, and the simulation does so too; the load has the other one. What a
batch costs is measured so, too: caches are shared as well. The load is an open loop of calls with
256 rows: with small ones, its own Python would be half of what is measured. Writes
bench/results/scaling.json, with the machine's description, and tables of docs/scaling.md.
"""

import argparse
import json
import os
import re
import statistics
import sys
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from bounds import IDLE, IOWAIT, read_load_s, read_threads_s, read_ticks
from flatdense_client._load.arrivals import due_times_s
from flatdense_client._load.crew import Crew
from flatdense_client._load.dialect import DIALECTS, Model
from flatdense_client._load.plan import Arrivals, ClosedLoop, OpenLoop, Plan
from flatdense_client._load.recording import Recording
from flatdense_client._load.strokes import draw_strokes
from machine import describe_machine
from queueing import Service, Times, Turns, simulate
from report import (
    CAPACITY,
    SCALING,
    SCALING_PAGE,
    SCALING_SECTION,
    Results,
    publish,
    render_scaling,
)
from scipy.optimize import nnls

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

QUEUED = ("--max-queued-rows", str(1 << 20))
"""As good as endless: the simulation's queues are."""
OPTIONS = ("--model-dir", str(HERE.parent / "exported_model"), "--workers", "1", *QUEUED)

MESSAGES = 16
MAX_BATCH_ROWS = 1024
"""The server's default."""

CALL_ROWS = 256
CLOSED_LOOPS = tuple(product((1, CALL_ROWS), (1, 4, 16)))
"""Rows of a call, and callers of a server: what the cost of a batch is found from."""

REPLICAS = (1, 2, 4)
LOADS: dict[Arrivals, tuple[float, ...]] = {"poisson": (0.2, 0.4, 0.6), "bursts": (0.1, 0.2)}
"""As shares of what the one core can do. Within a burst it is four times as much."""
ALONE_LOAD = 0.1
"""So little that calls hardly meet: what they take then beside the server's work they always do."""

FORETOLD_REPLICAS = (1, 10, 100)
FORETOLD_LOADS: dict[Arrivals, tuple[float, ...]] = {
    "poisson": (0.3, 0.5, 0.7, 0.9),
    "bursts": (0.1, 0.2, 0.3),
}
FORETOLD_CALLS = 200_000
FORETOLD_S: dict[Arrivals, float] = {"poisson": 0.0, "bursts": 20.0}
"""So many calls at least, and for so long at least: fifty bursts."""

WARMUP_S = 1.0
TIMEOUT_S = 10.0

_SEED = 0


@dataclass(frozen=True)
class Spent:
    """What a worker did, and the processor time of all its threads."""

    batches: float
    calls: float
    rows: float
    cpu_s: float


def main(rounds: int, seconds: float) -> None:
    """Measures, foretells, writes, prints."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        raise SystemExit("bench/scaling.py needs a second core, for the load.")
    with ExitStack() as stack:
        os.sched_setaffinity(0, cores[:1])  # what is started inherits where it may run
        servers = [stack.enter_context(ServerProcess(*OPTIONS)) for _ in range(max(REPLICAS))]
        for server in servers:
            server.ready()
        os.sched_setaffinity(0, cores[1:])
        spent = {
            replicas: [
                measure_spent(servers[:replicas], rows, callers, seconds / 2)
                for _ in range(rounds)
                for rows, callers in CLOSED_LOOPS
            ]
            for replicas in REPLICAS
        }
        costs = {replicas: fit(each) for replicas, each in spent.items()}
        services = {replicas: service_of(each, CALL_ROWS) for replicas, each in costs.items()}
        service = services[1]
        alone = [
            run(servers[:1], open_loop(service, ALONE_LOAD, "poisson"), seconds).latency_s
            for _ in range(rounds)
        ]
        beside_s = np.maximum(np.concatenate(alone) - service.takes_s(1), 0)
        began_s, foreign_s = time.monotonic(), read_foreign_s(servers)
        compared = [
            compare(
                servers[:replicas],
                services[replicas],
                open_loop(service, load, arrivals),
                beside_s,
                rounds,
                seconds,
            )
            | {"load": load}
            for arrivals, loads in LOADS.items()
            for load in loads
            for replicas in REPLICAS
        ]
        others_cores = (read_foreign_s(servers) - foreign_s) / (time.monotonic() - began_s)
    os.sched_setaffinity(0, cores)
    capacity = json.loads(CAPACITY.read_text())["rows_a_second"]["aot"]
    results = {
        "machine": describe_machine(),
        "rounds": rounds,
        "seconds": seconds,
        "call_rows": CALL_ROWS,
        "costs_us": {str(replicas): each for replicas, each in costs.items()},
        "spent": {str(replicas): list(map(asdict, each)) for replicas, each in spent.items()},
        "call_us": {str(replicas): 1e6 * each.takes_s(1) for replicas, each in services.items()},
        "most_calls_per_s": service.most_calls_per_s,
        "beside_ms": {"p50": percentile_ms(beside_s, 50), "p99": percentile_ms(beside_s, 99)},
        "compared": compared,
        "others_cores": others_cores,
        "foretold": [
            foretell(service, replicas, arrivals, load)
            for arrivals, loads in FORETOLD_LOADS.items()
            for load in loads
            for replicas in FORETOLD_REPLICAS
        ],
        "rows_a_second": {case: statistics.median(rates) for case, rates in capacity.items()},
    }
    section = render_scaling(results)
    publish(results, SCALING, SCALING_PAGE, section, SCALING_SECTION)
    print(section)


def measure_spent(servers: list[ServerProcess], rows: int, callers: int, seconds: float) -> Spent:
    """In a closed loop, by so many callers of each."""
    before = read_spent(servers)
    run(servers, ClosedLoop(concurrency=callers * len(servers)), seconds, rows=rows)
    after = read_spent(servers)
    return Spent(
        *(b - a for a, b in zip(asdict(before).values(), asdict(after).values(), strict=True))
    )


def read_spent(servers: list[ServerProcess]) -> Spent:
    """So far, by all of them."""
    told = ""
    for server in servers:
        with urllib.request.urlopen(server.page + "metrics") as answer:  # noqa: S310 -- our own
            told += answer.read().decode()

    def read(name: str) -> float:
        return sum(map(float, re.findall(rf"^{name}(?:{{.*}})? (\S+)", told, re.MULTILINE)))

    pids = [pid for server in servers for pid in server.worker_pids]
    return Spent(
        batches=read("flatdense_batch_rows_count"),
        calls=read("flatdense_requests_total"),
        rows=read("flatdense_batch_rows_sum"),
        cpu_s=sum(read_threads_s(pids).values()),
    )


def fit(spent: list[Spent]) -> dict[str, float]:
    """What a batch, a call and a row cost, in microseconds: none is negative.

    Each measurement counts alike, by its relative error.
    """
    work = np.array([[each.batches, each.calls, each.rows] for each in spent])
    cpu_us = 1e6 * np.array([each.cpu_s for each in spent])
    costs, _ = nnls(work / cpu_us[:, None], np.ones(len(spent)))
    return dict(zip(("batch", "call", "row"), costs.tolist(), strict=True))


def service_of(costs: dict[str, float], rows: int) -> Service:
    """What a replica does for calls of so many rows."""
    return Service(
        batch_s=costs["batch"] / 1e6,
        call_s=(costs["call"] + rows * costs["row"]) / 1e6,
        most_calls=MAX_BATCH_ROWS // rows,
    )


def open_loop(service: Service, load: float, arrivals: Arrivals, replicas: int = 1) -> OpenLoop:
    """That asks for so much of what so many replicas can do."""
    return OpenLoop(rate=load * service.most_calls_per_s * replicas, arrivals=arrivals)


def run(
    servers: list[ServerProcess],
    loop: OpenLoop | ClosedLoop,
    seconds: float,
    rows: int = CALL_ROWS,
) -> Recording:
    """Makes a load, whose calls take the servers in turn. Ends where a call fails."""
    plan = make_plan([server.address for server in servers], loop, seconds, rows)
    with Crew(plan, 1) as crew:
        recording = crew.run(lambda _progress: None)
    if recording.failed:
        raise SystemExit(f"{recording.failed} calls failed: {recording.failures}")
    return recording


def make_plan(addresses: list[str], loop: OpenLoop | ClosedLoop, seconds: float, rows: int) -> Plan:
    """Over one connection to each server."""
    native, model = DIALECTS["native"], Model(name="mnist")
    pixels = draw_strokes(MESSAGES * rows, _SEED).reshape(MESSAGES, rows, -1)
    return Plan(
        address=",".join(addresses),
        protocol="native",
        messages=[native.write(each, model) for each in pixels],
        rows=rows,
        loop=loop,
        duration_s=seconds,
        warmup_s=WARMUP_S,
        timeout_s=TIMEOUT_S,
        connections=1,
    )


def compare(
    servers: list[ServerProcess],
    service: Service,
    loop: OpenLoop,
    beside_s: Times,
    rounds: int,
    seconds: float,
) -> Results:
    """One load, foretold and measured: the same calls at the same times."""
    foretold_s = foretell_s(service, loop, seconds, replicas=len(servers), cores=1)
    chance = np.random.default_rng(_SEED)
    foretold_s += chance.choice(beside_s, len(foretold_s))
    measured = [run(servers, loop, seconds) for _ in range(rounds)]
    return {
        "replicas": len(servers),
        "arrivals": loop.arrivals,
        "calls_a_second": loop.rate,
        "foretold_ms": {"p50": percentile_ms(foretold_s, 50), "p99": percentile_ms(foretold_s, 99)},
        "measured_ms": {
            name: [percentile_ms(each.latency_s, percent) for each in measured]
            for name, percent in (("p50", 50), ("p99", 99))
        },
        "generator_busy": statistics.median(each.busy for each in measured),
    }


def foretell(service: Service, replicas: int, arrivals: Arrivals, load: float) -> Results:
    """At replicas with a core each: what calls take in the servers alone."""
    loop = open_loop(service, load, arrivals, replicas)
    seconds = max(FORETOLD_CALLS / loop.rate, FORETOLD_S[arrivals])
    ways: tuple[Turns, ...] = ("in turn", "at random")
    p99_ms = {
        turns: percentile_ms(foretell_s(service, loop, seconds, replicas=replicas, turns=turns), 99)
        for turns in ways
    }
    return {
        "replicas": replicas,
        "arrivals": arrivals,
        "load": load,
        "calls_a_second": loop.rate,
        "p99_ms": p99_ms,
    }


def foretell_s(
    service: Service,
    loop: OpenLoop,
    seconds: float,
    *,
    replicas: int,
    cores: float = np.inf,
    turns: Turns = "in turn",
) -> Times:
    """What each counted call of a load takes in the servers: the calls before count for nothing."""
    due_s = np.fromiter(due_times_s(make_plan(["a:1"], loop, seconds, 1), loop), np.float64)
    outcome = simulate(due_s - due_s[0], service, replicas=replicas, cores=cores, turns=turns)
    return outcome.latency_s[due_s >= 0]


def read_foreign_s(servers: list[ServerProcess]) -> float:
    """The processor time of all that is neither a server nor the load, so far."""
    ticks = read_ticks()
    busy_s = (sum(ticks) - ticks[IDLE] - ticks[IOWAIT]) / os.sysconf("SC_CLK_TCK")
    pids = [pid for server in servers for pid in (server.pid, *server.worker_pids)]
    own_s = sum(read_threads_s(pids).values()) + read_load_s() + time.process_time()
    return busy_s - own_s


def percentile_ms(times_s: Times, percent: float) -> float:
    """Of so many of a hundred."""
    return 1e3 * float(np.percentile(times_s, percent, method="inverted_cdf"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    given = parser.parse_args()
    main(given.rounds, given.seconds)
