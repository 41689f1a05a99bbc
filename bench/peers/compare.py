"""flatdense beside its peers, and beside the limits, in turn: `python bench/peers/compare.py`.

Each peer runs in an environment of its own, made in `--environments` from PyPI on first use, with
one worker and one compute thread. Its answers are compared with the golden ones before, and the
length of each later answer with that of a right one. A peer that this machine cannot run is named
with the reason. All run at once, one is measured at a time; what is busy while idle is left out.
Writes bench/results/peers.json, with the machine's description, and a decision record's table.
"""

import argparse
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from environment import Unavailable
from limits import grpcio_asyncio, grpcio_threads, http2
from peers import flatdense, flatdense_workers, keras, kserve, mlserver, mosec
from triton import triton_numpy, triton_xla

from server import ROOT, Server, Start

sys.path.append(str(ROOT / "bench"))

from load import Post, check_tool, posts_per_second, sequential_post_p50_s
from machine import describe_machine
from report import LIMIT, OURS, PEERS, PEERS_PAGE, Results, publish, render_peers

SERVERS: Final[dict[str, Start]] = {
    OURS: flatdense,
    "flatdense, default workers": flatdense_workers,
    "Triton, numpy": triton_numpy,
    "Triton, XLA": triton_xla,
    "mosec": mosec,
    "KServe": kserve,
    "MLServer": mlserver,
    "grpcio + Keras": keras,
    "bare grpcio, threads": grpcio_threads,
    "bare grpcio, asyncio": grpcio_asyncio,
    LIMIT: http2,
}

FIRST_CALLS: Final = 64
MOST_CALLS: Final = 50_000
IDLE_S: Final = 2.0
IDLE_CORES: Final = 0.05


@dataclass(frozen=True)
class Case:
    """What all of them are asked. One call in flight: its time; more: the rate."""

    rows: int
    dtype: str
    in_flight: int

    @property
    def name(self) -> str:
        """As the table has it."""
        row = "row" if self.rows == 1 else "rows"
        return f"{self.rows} {row} {self.dtype}, {self.in_flight} in flight"

    def pixels(self) -> np.ndarray:
        """Random ones."""
        values = np.random.default_rng(0).integers(0, 2, (self.rows, 784))
        return values.astype(self.dtype)

    def calls_per_second(self, post: Post, calls: int) -> float:
        """Of one call after the other: by the median time."""
        if self.in_flight == 1:
            return 1 / sequential_post_p50_s(post, calls=calls)
        return posts_per_second(post, in_flight=self.in_flight, calls=calls)


CASES: Final = (
    Case(1, "uint8", 1),
    Case(1, "uint8", 64),
    Case(64, "uint8", 8),
    Case(64, "float32", 8),
    Case(256, "uint8", 8),
    Case(256, "float32", 8),
)

Key = tuple[Case, str]
"""A case and a server's name: one cell of the table."""


def main(options: argparse.Namespace) -> None:
    """Measures, writes, prints."""
    check_tool()
    absent: dict[str, str] = {}
    with ExitStack() as stack:
        running = {}
        for name in [OURS, *(name for name in options.servers if name != OURS)]:
            try:
                running[name] = stack.enter_context(SERVERS[name](options.environments))
            except Unavailable as error:
                absent[name] = str(error)
            print(f"{name}: {absent.get(name, 'ready')}", file=sys.stderr)
        posts = {
            (case, name): server.endpoints[case.dtype].post(case.pixels())
            for case in CASES
            for name, server in running.items()
            if case.dtype in server.endpoints
        }
        calls = {key: enough_calls(key[0], post, options.seconds) for key, post in posts.items()}
        for name, cores in idle_cores(running).items():
            if cores > IDLE_CORES:
                absent[name] = f"it takes {cores:.2f} of a core while nobody calls it"
        posts = {key: post for key, post in posts.items() if key[1] not in absent}
        rates: dict[Key, list[float]] = {key: [] for key in posts}
        for _ in range(options.rounds):
            for key, post in posts.items():
                rates[key].append(key[0].calls_per_second(post, calls[key]))
        versions = {k: v for server in running.values() for k, v in server.versions.items()}
    results = describe(rates) | {"versions": versions, "absent": absent}
    section = render_peers(results)
    if options.publish:
        publish(results, PEERS, PEERS_PAGE, section)
    print(section)


def enough_calls(case: Case, post: Post, seconds: float) -> int:
    """So many that a measurement takes about so long; the server is warm afterwards."""
    calls = FIRST_CALLS
    for _ in range(2):
        rate = case.calls_per_second(post, calls)
        calls = max(FIRST_CALLS, min(MOST_CALLS, round(rate * seconds)))
    return calls


def idle_cores(running: dict[str, Server]) -> dict[str, float]:
    """What each takes of the processor when nobody calls: it would slow the others."""
    before = {name: server.cpu_s() for name, server in running.items()}
    time.sleep(IDLE_S)
    return {name: (server.cpu_s() - before[name]) / IDLE_S for name, server in running.items()}


def describe(rates: dict[Key, list[float]]) -> Results:
    """Rows a second, and microseconds where one call was in flight, by case and server."""
    figures: dict[str, dict[str, list[float]]] = {}
    p50_us: dict[str, dict[str, list[float]]] = {}
    for (case, name), values in rates.items():
        if case.in_flight == 1:
            p50_us.setdefault(case.name, {})[name] = [1e6 / rate for rate in values]
        else:
            figures.setdefault(case.name, {})[name] = [case.rows * rate for rate in values]
    return {"machine": describe_machine(), "figures": figures, "p50_us": p50_us}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--environments", type=Path, default=Path("~/.cache/flatdense/peers").expanduser()
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a measurement takes")
    parser.add_argument("--servers", nargs="+", default=list(SERVERS), choices=list(SERVERS))
    parser.add_argument(
        "--publish",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="write the results and the record's table, and not only print it",
    )
    main(parser.parse_args())
