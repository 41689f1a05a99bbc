"""Settings of gRPC's HTTP/2, one at a time against what the server has: `python bench/http2.py`.

Each variant is a worker of its own; all of them run, and are asked in turn, several times.
Writes bench/results/http2.json, with the machine's description, and a decision record's table.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from flatdense_proto.v1 import classifier_pb2 as pb
from load import Request, calls_per_second, check_tool, sequential_p50_s
from machine import describe_machine
from report import HTTP2, HTTP2_PAGE, publish, render_http2

ROOT = Path(__file__).parents[1]
ROUNDS = 5

VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "BDP probe": {"grpc.http2.bdp_probe": 1},
    "window 64 KiB": {"grpc.http2.lookahead_bytes": 1 << 16},
    "window 1 MiB": {"grpc.http2.lookahead_bytes": 1 << 20},
    "frames of 64 KiB": {"grpc.http2.max_frame_size": 1 << 16},
    "read chunks of 64 KiB": {
        "grpc.experimental.tcp_read_chunk_size": 1 << 16,
        "grpc.experimental.tcp_min_read_chunk_size": 1 << 14,
    },
    "for throughput": {"grpc.optimization_target": "throughput"},
}
"""Options of grpcio, set over the server's own."""

ENVIRONMENTS: dict[str, dict[str, str]] = {
    "event engine's listener": {"GRPC_EXPERIMENTS": ""},
}
"""Variants that the environment makes: gRPC's own choice, where the server makes another."""

CASES = {
    "1 row, 64 in flight": (Request(1, pb.DATA_TYPE_UINT8), 64, 20_000),
    "64 rows uint8, 8 in flight": (Request(64, pb.DATA_TYPE_UINT8), 8, 3000),
    "256 rows float32, 8 in flight": (Request(256, pb.DATA_TYPE_FP32), 8, 500),
}
ONE_CALL = "1 row, 1 in flight, p50 us"


def main() -> None:
    """Measures, writes, prints."""
    check_tool()
    figures: dict[str, dict[str, list[float]]] = {name: {} for name in (*CASES, ONE_CALL)}
    with ExitStack() as stack:
        addresses = {
            name: stack.enter_context(variant(name)) for name in (*VARIANTS, *ENVIRONMENTS)
        }
        for number in range(ROUNDS + 1):  # the first is not counted
            for case, (request, in_flight, calls) in CASES.items():
                for name, address in addresses.items():
                    rate = calls_per_second(address, request, in_flight=in_flight, calls=calls)
                    if number:
                        figures[case].setdefault(name, []).append(rate * request.rows)
            for name, address in addresses.items():
                p50_s = sequential_p50_s(address, CASES["1 row, 64 in flight"][0], calls=1000)
                if number:
                    figures[ONE_CALL].setdefault(name, []).append(1e6 * p50_s)
    results = {"machine": describe_machine(), "figures": figures}
    section = render_http2(results)
    publish(results, HTTP2, HTTP2_PAGE, section)
    print(section)


@contextmanager
def variant(name: str) -> Iterator[str]:
    """The address of a worker with these settings."""
    with subprocess.Popen(  # noqa: S603 -- ourselves
        [sys.executable, __file__, json.dumps(VARIANTS.get(name, {}))],
        env=os.environ | ENVIRONMENTS.get(name, {}),  # noqa: TID251 -- handed on, not read
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout  # noqa: S101 -- it was asked for
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


def serve(overrides: dict[str, Any]) -> None:
    """One worker, with options of grpcio in the place of the server's own; prints its port."""
    from flatdense_server.settings import choose_grpc_listener  # noqa: PLC0415 -- of the children

    choose_grpc_listener()
    from flatdense_server.edge import server as edge  # noqa: PLC0415
    from flatdense_server.listen import reserve  # noqa: PLC0415
    from flatdense_server.observe.metrics.board import Board  # noqa: PLC0415
    from flatdense_server.post import Post, Ready  # noqa: PLC0415
    from flatdense_server.settings import Settings, with_settings  # noqa: PLC0415
    from flatdense_server.worker import Worker  # noqa: PLC0415

    own = edge.channel_options
    edge.channel_options = lambda options: list((dict(own(options)) | overrides).items())
    made: list[Settings] = []
    arguments = ["--model-dir", str(ROOT / "exported_model"), "--workers", "1"]
    with_settings(made.append)(arguments, standalone_mode=False)
    reports, theirs = Pipe()
    with reserve("grpc", "127.0.0.1", 0) as holder:
        port = holder.getsockname()[1]
        post = Post(
            number=1, grpc_port=port, backend="", board=Board(), supervisor=theirs, relieves=True
        )
        worker = Worker(made[0], post)

        def announce() -> None:
            while not isinstance(reports.recv(), Ready):
                continue
            print(port, flush=True)

        threading.Thread(target=announce, daemon=True).start()
        worker.run()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(json.loads(sys.argv[1]))
    else:
        main()
