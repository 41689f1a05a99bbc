"""ClassifyStream beside as many calls of Classify: `python bench/streams.py`.

A stream is one HTTP/2 request with all its messages in its body, so that the generator stays small.
Writes bench/results/streams.json, with the machine's description, and a decision record's table.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from flatdense_proto.v1 import classifier_pb2 as pb
from load import Post, Request, calls_per_second, check_tool, frame, posts_per_second
from machine import describe_machine
from report import STREAMS, STREAMS_PAGE, UNARY, publish, render_streams

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

METHOD = "/flatdense.v1.Classifier/ClassifyStream"
ROUNDS = 3
IN_FLIGHT = 64


@dataclass(frozen=True)
class Case:
    """What is sent: so many messages in each stream, so many streams after each other."""

    request: Request
    messages: int
    streams: int

    @property
    def rows(self) -> int:
        """Of one stream."""
        return self.messages * self.request.rows

    def post(self, address: str) -> Post:
        """One stream."""
        return Post(
            url=f"http://{address}{METHOD}", body=frame(self.request.message()) * self.messages
        )


CASES = {
    "1 row uint8": Case(Request(1, pb.DATA_TYPE_UINT8), 1000, 64),
    "64 rows uint8": Case(Request(64, pb.DATA_TYPE_UINT8), 100, 64),
    "64 rows float32": Case(Request(64, pb.DATA_TYPE_FP32), 50, 64),
    "256 rows uint8": Case(Request(256, pb.DATA_TYPE_UINT8), 25, 64),
}


def main() -> None:
    """Measures, writes, prints."""
    check_tool()
    figures: dict[str, dict[str, list[float]]] = {name: {} for name in CASES}
    options = ("--model-dir", str(ROOT / "exported_model"), "--workers", "1")
    with (
        ServerProcess(*options) as express,
        ServerProcess(*options, "--lane", "standard") as standard,
    ):
        for server in (express, standard):
            server.ready()
        for number in range(ROUNDS + 1):  # the first is not counted
            for name, case in CASES.items():
                reached = {
                    UNARY: call(express.address, case),
                    "ClassifyStream, 8 streams": stream(express.address, case, streams=8),
                    "ClassifyStream, one stream": stream(express.address, case, streams=1),
                    "8 streams, `--lane standard`": stream(standard.address, case, streams=8),
                }
                if number:
                    for variant, rate in reached.items():
                        figures[name].setdefault(variant, []).append(rate)
    results = {"machine": describe_machine(), "figures": figures}
    section = render_streams(results)
    publish(results, STREAMS, STREAMS_PAGE, section)
    print(section)


def call(address: str, case: Case) -> float:
    """Rows a second of single calls."""
    calls = case.messages * case.streams
    request = case.request
    return request.rows * calls_per_second(address, request, in_flight=IN_FLIGHT, calls=calls)


def stream(address: str, case: Case, *, streams: int) -> float:
    """Rows a second of streams, so many at a time. One at a time, an eighth of them."""
    count = case.streams if streams > 1 else case.streams // 8
    return case.rows * posts_per_second(case.post(address), in_flight=streams, calls=count)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
