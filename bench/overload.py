"""Three times as many calls as one worker can answer, for a minute: `python bench/overload.py`.

First what it answers at best, in a closed loop. Then an open loop offers three times that: h2load
begins calls at a fixed rate on many connections, until 6,400 of them are in flight. How calls ended
is what the server counted by gRPC's status, since HTTP says 200 to a refusal too; what callers see
is measured by a light caller beside. The load takes its share of the same cores: what it leaves is
measured by a C server that takes the calls that are too many, while ours is asked in a closed loop.
Ends with an error where less than 80 % of the best are answered, or memory grows. Writes
bench/results/overload.json, with the machine's description, and a table of docs/operations.md.
"""

import argparse
import re
import resource
import statistics
import sys
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from flatdense_proto.v1 import classifier_pb2 as pb
from footprint import FootprintLog
from load import Post, Request, calls_per_second, check_tool, classify, run_h2load
from machine import describe_machine
from probe import Probe
from prometheus_client.parser import text_string_to_metric_families
from report import OVERLOAD, OVERLOAD_PAGE, Results, publish, render_overload

HERE = Path(__file__).parent
sys.path += [str(HERE / "peers"), str(HERE.parent / "examples")]

from limits import http2  # noqa: E402 -- after the path that it is on
from server_process import ServerProcess  # noqa: E402

OPTIONS = ("--model-dir", str(HERE.parent / "exported_model"), "--workers", "1")

TIMES = 3
ROUNDS = 3
WARM_UP_S = 5.0
"""Under the same load, uncounted: the buffers of that many calls are there before the count."""

CONNECTIONS = 64
STREAMS = 100
PROBES_A_SECOND = 25

QUIET_S = 0.5
"""Without another call that ended for so long, all of them have."""

FLOOD_S = 9.0
"""As long as the rounds of the closed loop take, at least."""

LEAST_GOODPUT = 0.8
MOST_GROWTH_MB = 50.0


@dataclass(frozen=True)
class Case:
    """What is asked, and how much of it makes the server busy."""

    name: str
    request: Request
    in_flight: int
    """With so many at a time the closed loop is at its best."""
    calls: int


CASES = (
    Case("1 row uint8", Request(1, pb.DATA_TYPE_UINT8), 64, 40_000),
    Case("64 rows uint8", Request(64, pb.DATA_TYPE_UINT8), 8, 6000),
    Case("256 rows float32", Request(256, pb.DATA_TYPE_FP32), 8, 1200),
)


def main(seconds: float) -> None:
    """Measures, writes, prints, judges."""
    check_tool()
    cases = [measure(case, seconds) for case in CASES]
    results = {"machine": describe_machine(), "seconds": seconds, "cases": cases}
    section = render_overload(results)
    publish(results, OVERLOAD, OVERLOAD_PAGE, section)
    print(section)
    if faults := [fault for case in cases for fault in judge(case)]:
        raise SystemExit("\n".join(faults))


def judge(case: Results) -> list[str]:
    """What was not as it must be, a sentence each."""
    faults = []
    if case["goodput"] < LEAST_GOODPUT:
        faults.append(
            f"{case['name']}: {case['goodput']:.0%} of the best were answered, "
            f"not {LEAST_GOODPUT:.0%}."
        )
    if case["growth_mb"] > MOST_GROWTH_MB:
        faults.append(f"{case['name']}: memory grew by {case['growth_mb']:.0f} MB.")
    return faults


def measure(case: Case, seconds: float) -> Results:
    """One case, on a server of its own."""
    with ServerProcess(*OPTIONS) as server:
        server.ready()
        best_before = best_calls_a_second(server, case)
        load(server, case, TIMES * best_before, WARM_UP_S)
        found = overload(server, case, TIMES * best_before, seconds)
        # The machine may have been slower before than it was since.
        best = max(best_before, best_calls_a_second(server, case))
        left = rate_beside_c_server(server, case, (TIMES - 1) * best) / best
    return {
        "name": case.name,
        "best_calls_a_second": best,
        "left_by_c_server": left,
        "goodput": found["codes_a_second"].get("OK", 0.0) / best,
        **found,
    }


def best_calls_a_second(server: ServerProcess, case: Case) -> float:
    """The most that a closed loop reaches in a few rounds, after one that is not counted."""
    codes = settled_codes(server)
    rounds = [
        calls_per_second(server.address, case.request, in_flight=case.in_flight, calls=case.calls)
        for _ in range(ROUNDS + 1)
    ]
    if set(settled_codes(server) - codes) != {"OK"}:
        raise SystemExit(f"{case.name}: not every call of the closed loop was answered")
    return max(rounds[1:])


def rate_beside_c_server(server: ServerProcess, case: Case, rate: float) -> float:
    """What the closed loop reaches while a C server takes so many of the same calls a second."""
    with http2(Path()) as other:
        post = classify(other.endpoints["uint8"].address, case.request)
        flood = threading.Thread(target=offer, args=(post, rate, FLOOD_S))
        flood.start()
        time.sleep(1)  # until it is on its way
        rates = [
            calls_per_second(
                server.address, case.request, in_flight=case.in_flight, calls=case.calls // 2
            )
            for _ in range(ROUNDS)
        ]
        flood.join()
    return statistics.median(rates)


def overload(server: ServerProcess, case: Case, rate: float, seconds: float) -> Results:
    """Offers so many calls a second; gives what became of them, by the second, and at what cost."""
    codes, cpu_s, began_s = settled_codes(server), children_cpu_s(), time.monotonic()
    with (
        FootprintLog(server.pid) as footprints,
        Probe(server.address, case.request, calls_a_second=PROBES_A_SECOND) as probe,
    ):
        begun, ended = load(server, case, rate, seconds)
        took_s = time.monotonic() - began_s
    counted = settled_codes(server) - codes
    sizes_mb = [each.resident_mb for each in footprints.taken]
    descriptors = [each.descriptors for each in footprints.taken]
    third = max(1, len(sizes_mb) // 3)
    return {
        "asked_a_second": rate,
        "begun_a_second": begun / took_s,
        "ended_a_second": ended / took_s,
        "codes_a_second": {code: calls / took_s for code, calls in counted.items()},
        "caller": {
            "codes": probe.codes,
            "p50_ms": probe.quantile_ms(0.5),
            "p99_ms": probe.quantile_ms(0.99),
        },
        "generator_cpu": (children_cpu_s() - cpu_s) / took_s,
        "resident_mb": sizes_mb,
        "growth_mb": statistics.median(sizes_mb[-third:]) - statistics.median(sizes_mb[:third]),
        "descriptors": [min(descriptors), max(descriptors)],
    }


def load(server: ServerProcess, case: Case, rate: float, seconds: float) -> tuple[int, int]:
    """An open loop of so many calls a second; gives how many were begun, and how many ended."""
    return offer(classify(server.address, case.request), rate, seconds)


def offer(post: Post, rate: float, seconds: float) -> tuple[int, int]:
    """The same of any post."""
    said = run_h2load(
        post,
        f"--duration={seconds:g}",
        f"--clients={CONNECTIONS}",
        f"--max-concurrent-streams={STREAMS}",
        f"--rps={rate / CONNECTIONS:.4f}",
    )
    found = re.search(r"(\d+) started, (\d+) done", said)
    if not found:
        raise SystemExit(f"h2load said nothing of its requests:\n{said}")
    return int(found[1]), int(found[2])


def settled_codes(server: ServerProcess) -> Counter[str]:
    """The calls that have ended, by gRPC's status, when no more of them end."""
    before = None
    while (now := count_codes(server)) != before:
        before = now
        time.sleep(QUIET_S)
    return now


def count_codes(server: ServerProcess) -> Counter[str]:
    """The calls that have ended so far, by gRPC's status."""
    with urllib.request.urlopen(server.page + "metrics") as answer:  # noqa: S310 -- our own server
        families = text_string_to_metric_families(answer.read().decode())
    codes: Counter[str] = Counter()
    for family in families:
        for sample in family.samples:
            if sample.name == "flatdense_requests_total":
                codes[sample.labels["code"]] += int(sample.value)
    return codes


def children_cpu_s() -> float:
    """The processor time of the children that have ended: of h2load, while the server runs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    main(parser.parse_args().seconds)
