"""Load on one server, by h2load (Debian's nghttp2-client), and sequential calls, by grpcio."""

import re
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
from flatdense_proto.v1 import classifier_pb2 as pb

METHOD = "/flatdense.v1.Classifier/Classify"

CONNECTIONS = 4


@dataclass(frozen=True)
class Request:
    """What is sent again and again."""

    rows: int
    data_type: pb.DataType

    def message(self) -> bytes:
        """The serialized ClassifyRequest."""
        dtype = np.uint8 if self.data_type == pb.DATA_TYPE_UINT8 else np.float32
        pixels = np.random.default_rng(0).integers(0, 2, (self.rows, 784)).astype(dtype)
        return pb.ClassifyRequest(
            images=pixels.tobytes(), data_type=self.data_type
        ).SerializeToString()


def check_tool() -> None:
    """Ends with a sentence where h2load is missing."""
    if shutil.which("h2load") is None:
        raise SystemExit("bench needs h2load: install Debian's package nghttp2-client.")


def calls_per_second(address: str, request: Request, *, in_flight: int, calls: int) -> float:
    """A closed loop of `calls` calls, `in_flight` at a time, over a few connections."""
    message = request.message()
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        body.write_bytes(struct.pack(">BI", 0, len(message)) + message)
        connections = min(CONNECTIONS, in_flight)
        done = subprocess.run(  # noqa: S603 -- our own arguments
            [  # noqa: S607 -- the tool that check_tool() found
                "h2load",
                f"--requests={calls}",
                f"--clients={connections}",
                f"--max-concurrent-streams={in_flight // connections}",
                f"--data={body}",
                "--header=content-type: application/grpc",
                "--header=te: trailers",
                f"http://{address}{METHOD}",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    if f"{calls} succeeded" not in done.stdout:
        raise SystemExit(f"h2load: not every call succeeded:\n{done.stdout}")
    found = re.search(r"finished in ([\d.]+)(s|ms|us)", done.stdout)
    if not found:
        raise SystemExit(f"h2load said nothing of the time:\n{done.stdout}")
    return calls / (float(found[1]) * {"s": 1, "ms": 1e-3, "us": 1e-6}[found[2]])


def sequential_p50_s(address: str, request: Request, *, calls: int) -> float:
    """The median time of one call at a time, seen by a grpcio client."""
    message = request.message()
    times_s = []
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD)
        for _ in range(calls):
            started_s = time.perf_counter()
            call(message)
            times_s.append(time.perf_counter() - started_s)
    return statistics.median(times_s)
