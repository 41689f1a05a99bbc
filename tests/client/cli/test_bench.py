"""`flatdense bench` from outside: a process of its own against real servers."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import trustme
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import (
    ClassifierServicer,
    add_ClassifierServicer_to_server,
)
from server_process import ServerProcess

Serve = Callable[[ClassifierServicer], str]

PROGRAM = [sys.executable, "-c", "from flatdense_client.cli import main; main()", "bench"]
SHORT = ["--duration", "0.5", "--warmup", "0.1"]

GOOD = pb.ClassifyResponse(
    probabilities=np.full(10, 0.1, "<f4").tobytes(), classes=[3], model_version=1
)


class Servicer(ClassifierServicer):
    """Answers the calls by which connections are tried well, and others by a function."""

    def __init__(self, tries: int, answer: Callable[[grpc.ServicerContext], None]) -> None:
        self._tries = iter(range(tries))
        self._lock = threading.Lock()
        self._answer = answer

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """One unary call."""
        del request
        with self._lock:
            is_try = next(self._tries, None) is not None
        if not is_try:
            self._answer(context)
        return GOOD


def _environment(address: str) -> dict[str, str]:
    return {"FLATDENSE_SERVER": address, "PYTHONUTF8": "1", "COLUMNS": "80"}


def _bench(address: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        env=_environment(address),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[str]:
    """A server that wants TLS and the token `good`: its address. `ca.pem` is its authority."""

    def ask_for_token(context: grpc.ServicerContext) -> None:
        """Refuses who has none."""
        if ("authorization", "Bearer good") not in tuple(context.invocation_metadata()):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")

    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
    pair = (certificate.private_key_pem.bytes(), chain)
    server = grpc.server(ThreadPoolExecutor(4))
    add_ClassifierServicer_to_server(Servicer(tries=0, answer=ask_for_token), server)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def _found(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize("processes", [1, 2])
def test_an_open_loop_for_programs(address: str, seen_rows: list[int], processes: int) -> None:
    """--json tells of an open loop all that was done and found, and on what machine."""
    load = ["--rate", 100, "--arrivals", "constant", "--rows", 3, "--processes", processes]
    done = _bench(address, *load, *SHORT, "--json")
    assert done.returncode == 0, done.stdout
    found = _found(done)
    assert found["loop"] == {"kind": "open", "rate": 100.0, "arrivals": "constant"}
    assert found["calls"] == found["answered"] == 50
    assert found["processes"] == processes
    assert found["errors"] == []
    for times in ("latency_ms", "service_time_ms", "lateness_ms"):
        told = found[times]
        assert list(told) == ["p50", "p75", "p90", "p99", "p99.9", "p99.99", "max", "mean"]
        assert told["p50"] <= told["p99"] <= told["max"]
    assert found["latency_ms"]["p50"] >= found["service_time_ms"]["p50"] > 0
    assert 0 < found["rows_per_s"] == pytest.approx(3 * found["calls_per_s"], rel=1e-3)
    assert found["machine"]["cores"] >= 1
    assert {"grpcio", "numpy"} <= set(found["machine"]["libraries"])
    assert set(seen_rows) == {3}


def test_a_closed_loop_for_people(address: str) -> None:
    """In a pipe the findings are plain lines, with the percentiles beneath."""
    done = _bench(address, "--concurrency", 3, *SHORT)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    facts, times = done.stdout.split("\n\n")
    assert [line.split()[0] for line in facts.splitlines()] == [
        *("server", "load", "message", "calls", "rate", "generator"),
    ]
    assert "closed loop, 3 callers" in facts
    assert "none failed" in facts
    assert [line.split()[0] for line in times.splitlines()] == [
        *("ms", "p50", "p75", "p90", "p99", "p99.9", "p99.99", "max", "mean"),
    ]


@pytest.mark.parametrize(
    ("demand", "code", "missed"),
    [
        (["--max-p99", "60000", "--min-rate", "0.1"], 0, []),
        (["--max-p99", "0.0001"], 3, ["--max-p99 is 0.0001 ms"]),
        (["--min-rate", "1e9"], 3, ["--min-rate is 1e+09"]),
    ],
)
def test_thresholds_have_an_exit_code_of_their_own(
    address: str, demand: list[str], code: int, missed: list[str]
) -> None:
    """What was demanded and missed is told, and the exit code is 3."""
    done = _bench(address, *demand, *SHORT, "--json")
    assert done.returncode == code
    found = _found(done)
    assert len(found["missed"]) == len(missed)
    for sentence, told in zip(found["missed"], missed, strict=True):
        assert told in sentence


def test_failed_calls_are_told_and_exit_with_1(serve: Serve) -> None:
    """Where a call fails the findings say how, and the exit code is 1."""

    def refuse(context: grpc.ServicerContext) -> None:
        """As a full server does."""
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full")

    address = serve(Servicer(tries=1, answer=refuse))
    done = _bench(address, "--concurrency", 1, *SHORT)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("errors")]
    assert line.split(maxsplit=3)[1] == "RESOURCE_EXHAUSTED"
    assert line.endswith("the queue is full")
    assert "p50" not in done.stdout


def test_no_server_is_one_line() -> None:
    """Where nothing listens, one line says so, no load begins and the exit code is 1."""
    done = _bench("127.0.0.1:1", "--rate", 10)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: 127.0.0.1:1 cannot be reached")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rate", "5", "--concurrency", "5"], "exclude each other"),
        (["--rate", "nan"], "nan"),
        (["--rate", "0"], "range"),
        (["--duration", "inf"], "inf"),
        (["--rate", "1e6", "--duration", "3600"], "at most 10,000,000 calls"),
        (["--rows", "6000"], "at most 5,344 of uint8"),
        (["--rows", "1400", "--dtype", "float32"], "at most 1,336 of float32"),
        (["--processes", "2"], "--processes 2"),
        (["--rate", "5", "--processes", "5"], "--processes 5"),
        (["--timeout-s", "inf"], "--timeout-s"),
        (["--protocol", "smoke"], "smoke"),
    ],
)
def test_a_load_that_makes_no_sense_is_wrong_usage(arguments: list[str], told: str) -> None:
    """What cannot be done is exit code 2, and says why, before anything is sent."""
    done = _bench("127.0.0.1:1", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_a_files_rows_are_what_is_sent(address: str, tmp_path: Path) -> None:
    """A file's images travel; one that cannot be read is one line with its name."""
    np.save(tmp_path / "five.npy", np.zeros((5, 28, 28), np.uint8))
    load = ["--images", tmp_path / "five.npy", "--rows", 2, "--dtype", "float32", *SHORT]
    assert _found(_bench(address, *load, "--json"))["failed"] == 0
    done = _bench(address, "--images", tmp_path / "missing.npy")
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}/missing.npy: there is no such file\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another thing there")
def test_ctrl_c_shows_what_was_measured(serve: Serve) -> None:
    """Ctrl-C ends a load early: what was measured is written, marked, and the exit code is 130."""
    entered = threading.Event()
    address = serve(Servicer(tries=60, answer=lambda _context: entered.set()))
    with subprocess.Popen(
        [*PROGRAM, "--concurrency", "2", "--duration", "600", "--warmup", "0", "--json"],
        env=_environment(address),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert entered.wait(60)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the children too
        written, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told == "error: interrupted\n"
    found = json.loads(written)
    assert found["cut_short"] is True
    assert found["answered"] > 0
    assert found["took_s"] < 600
    assert found["failed"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the children are found in /proc")
def test_a_process_that_is_killed_is_said(serve: Serve) -> None:
    """Where the process that makes the load is ended, the command says so and leaves nothing."""
    entered = threading.Event()
    address = serve(Servicer(tries=1, answer=lambda _context: entered.set()))
    with subprocess.Popen(
        [*PROGRAM, "--duration", "600"],
        env=_environment(address),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert entered.wait(60)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "nobody here ended it" in told
    assert "Traceback" not in told


def test_a_secured_server_is_asked_as_by_the_other_commands(secured: str, tmp_path: Path) -> None:
    """TLS and a token reach the processes that make the load; without them no load begins."""
    ca, token = ["--ca", tmp_path / "ca.pem"], ["--token-file", tmp_path / "token"]
    (tmp_path / "token").write_text("good\n")
    done = _bench(secured, *ca, *token, *SHORT, "--json")
    assert done.returncode == 0, done.stderr
    found = _found(done)
    assert found["answered"] > 0
    assert "good" not in done.stdout
    assert "who are you?" in _bench(secured, *ca, *SHORT).stderr
    in_clear = _bench("192.0.2.1:8500", *token)
    assert in_clear.returncode == 2
    assert "in the clear" in in_clear.stderr


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("protocol", ["native", "oip", "tfs"])
def test_each_protocol_of_a_real_server(server: ServerProcess, protocol: str) -> None:
    """A real server answers the load of each protocol without a fault."""
    load = ["--rate", 50, "--protocol", protocol, "--rows", 2, "--model-version", 1]
    done = _bench(server.address, *load, *SHORT, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert _found(done)["answered"] > 0


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("protocol", ["native", "oip", "tfs"])
def test_a_model_that_is_not_there_is_one_line(server: ServerProcess, protocol: str) -> None:
    """The server's words about a wrong name reach the user by each protocol."""
    done = _bench(server.address, "--protocol", protocol, "--model-name", "nope")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nope" in done.stderr
    assert len(done.stderr.splitlines()) == 1
