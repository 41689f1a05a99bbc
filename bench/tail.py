"""The tail of single calls at half of what one server can do: `python bench/tail.py`.

Writes bench/results/tail.json, with the machine's description.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from flatdense_proto.v1 import classifier_pb2 as pb
from load import Request, calls_per_second, check_tool, open_loop_latencies_s
from machine import describe_machine

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

ROUNDS = 7
SECONDS = 4
REQUEST = Request(1, pb.DATA_TYPE_UINT8)


def main() -> None:
    """Measures, writes, prints."""
    check_tool()
    rounds = []
    options = ("--model-dir", str(HERE.parent / "exported_model"), "--workers", "1")
    with ServerProcess(*options) as server:
        server.ready()
        for number in range(ROUNDS + 1):  # the first is not counted
            most = calls_per_second(server.address, REQUEST, in_flight=64, calls=20_000)
            half = round(most / 2)
            times_s = sorted(
                open_loop_latencies_s(
                    server.address, REQUEST, calls_a_second=half, calls=half * SECONDS
                )
            )
            if number:
                rounds.append(
                    {
                        "capacity_calls_a_second": most,
                        "p50_ms": 1e3 * statistics.median(times_s),
                        "p99_ms": 1e3 * times_s[int(0.99 * len(times_s))],
                        "p99.9_ms": 1e3 * times_s[int(0.999 * len(times_s))],
                    }
                )
    ratios = [each["p99_ms"] / each["p50_ms"] for each in rounds]
    results = {
        "machine": describe_machine(),
        "p99_to_p50": {
            "least": min(ratios),
            "median": statistics.median(ratios),
            "most": max(ratios),
        },
        "rounds": rounds,
    }
    (HERE / "results" / "tail.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
