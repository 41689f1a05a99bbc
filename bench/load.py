"""Load on one server, by h2load (Debian's nghttp2-client)."""

import re
import shutil
import statistics
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flatdense_proto.v1 import classifier_pb2 as pb

METHOD = "/flatdense.v1.Classifier/Classify"

CONNECTIONS = 4
OPEN_LOOP_CONNECTIONS = 8


@dataclass(frozen=True)
class Request:
    """What is sent again and again."""

    rows: int
    data_type: pb.DataType

    def pixels(self) -> np.ndarray:
        """The images, [rows, 784]."""
        dtype = np.uint8 if self.data_type == pb.DATA_TYPE_UINT8 else np.float32
        return np.random.default_rng(0).integers(0, 2, (self.rows, 784)).astype(dtype)

    def message(self) -> bytes:
        """The serialized ClassifyRequest."""
        return pb.ClassifyRequest(
            images=self.pixels().tobytes(), data_type=self.data_type
        ).SerializeToString()


@dataclass(frozen=True, kw_only=True)
class Post:
    """A body that is sent again and again, and how long the answer must be, where that is known."""

    url: str
    body: bytes
    http1: bool = False
    answer_bytes: int | None = None


def check_tool() -> None:
    """Ends with a sentence where h2load is missing."""
    if shutil.which("h2load") is None:
        raise SystemExit("bench needs h2load: install Debian's package nghttp2-client.")


def calls_per_second(
    address: str, request: Request, *, in_flight: int, calls: int, connections: int = CONNECTIONS
) -> float:
    """A closed loop of `calls` gRPC calls, `in_flight` at a time, over a few connections."""
    post = classify(address, request)
    return posts_per_second(post, in_flight=in_flight, calls=calls, connections=connections)


def posts_per_second(
    post: Post, *, in_flight: int, calls: int, connections: int = CONNECTIONS
) -> float:
    """The same of any post; over HTTP/1, a connection for each call in flight."""
    connections = in_flight if post.http1 else min(connections, in_flight)
    said = run_h2load(
        post,
        f"--requests={calls}",
        f"--clients={connections}",
        f"--max-concurrent-streams={in_flight // connections}",
    )
    check_answers(said, post, calls)
    return read_rate(said, calls)


def check_answers(said: str, post: Post, calls: int) -> None:
    """Ends where not every call had an answer of the right length: gRPC's errors are 200, too."""
    if f"{calls} succeeded" not in said:
        raise SystemExit(f"h2load: not every call succeeded:\n{said}")
    found = re.search(r"\((\d+)\) data", said)
    if post.answer_bytes is None or (found and int(found[1]) == calls * post.answer_bytes):
        return
    raise SystemExit(f"h2load: not every answer had {post.answer_bytes} bytes:\n{said}")


def read_rate(said: str, calls: int) -> float:
    """Calls a second, from what h2load says."""
    found = re.search(r"finished in ([\d.]+)(s|ms|us)", said)
    if not found:
        raise SystemExit(f"h2load said nothing of the time:\n{said}")
    return calls / (float(found[1]) * {"s": 1, "ms": 1e-3, "us": 1e-6}[found[2]])


def sequential_p50_s(address: str, request: Request, *, calls: int) -> float:
    """The median time of one call at a time."""
    return sequential_post_p50_s(classify(address, request), calls=calls)


def sequential_post_p50_s(post: Post, *, calls: int) -> float:
    """The same of any post."""
    return statistics.median(latencies_s(post, calls, "--clients=1", "--max-concurrent-streams=1"))


def open_loop_latencies_s(
    address: str, request: Request, *, calls_a_second: int, calls: int
) -> list[float]:
    """The times of calls that begin at a fixed rate, however slow their answers are."""
    return latencies_s(
        classify(address, request),
        calls,
        f"--clients={OPEN_LOOP_CONNECTIONS}",
        "--max-concurrent-streams=100",
        f"--rps={calls_a_second // OPEN_LOOP_CONNECTIONS}",
    )


def latencies_s(post: Post, calls: int, *options: str) -> list[float]:
    """The time of each call; ends where not every call succeeded."""
    return [took_s for _start_s, took_s in timings_s(post, calls, *options)]


def timings_s(post: Post, calls: int, *options: str) -> list[tuple[float, float]]:
    """When each call began, on the clock of time.time(), and the time it took."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        said = run_h2load(post, f"--requests={calls}", f"--log-file={log}", *options)
        lines = [line.split("\t") for line in log.read_text().splitlines()]
    check_answers(said, post, calls)
    if len(lines) != calls or any(status != "200" for _start, status, _took in lines):
        raise SystemExit(f"h2load: not every one of {calls} calls succeeded")
    return [(int(start) / 1e6, int(took) / 1e6) for start, _status, took in lines]


def classify(address: str, request: Request) -> Post:
    """A request to a server of our protocol."""
    return Post(url=f"http://{address}{METHOD}", body=frame(request.message()))


def frame(message: bytes) -> bytes:
    """A message as gRPC puts it into an HTTP/2 body."""
    return struct.pack(">BI", 0, len(message)) + message


def run_h2load(post: Post, *options: str) -> str:
    """Posts a body again and again; gives what h2load says of it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "body"
        file.write_bytes(post.body)
        done = subprocess.run(  # noqa: S603 -- our own arguments
            [  # noqa: S607 -- the tool that check_tool() found
                "h2load",
                *(["--h1"] if post.http1 else []),
                *options,
                f"--data={file}",
                "--header=content-type: application/grpc",
                "--header=te: trailers",
                post.url,
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stdout
