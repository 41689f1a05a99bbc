"""Triton's `perf_analyzer`, unchanged, against a running server.

The newest wheel of tritonclient that carries it is of 2024; see perf_analyzer.txt.
"""

import csv
import ctypes.util
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from platform import machine
from typing import TypeAlias

import pytest
from server_process import ServerProcess

pytestmark = [
    pytest.mark.xdist_group("stock"),
    pytest.mark.skipif(
        sys.platform != "linux" or machine() != "x86_64", reason="perf_analyzer is for x86-64 Linux"
    ),
    pytest.mark.skipif(
        ctypes.util.find_library("b64") is None, reason="no libb64: apt-get install libb64-0d"
    ),
]

Analyze: TypeAlias = Callable[..., list[dict[str, str]]]

MOST_S = 60


@pytest.fixture(scope="module")
def analyze(aside: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Analyze:
    """Runs perf_analyzer with these options; gives its table, a dictionary for each line."""
    folder = aside("perf_analyzer")
    variables = {"LD_LIBRARY_PATH": str(folder / "nvidia" / "cuda_runtime" / "lib")}

    def run(*options: str) -> list[dict[str, str]]:
        table = tmp_path_factory.mktemp("table") / "table.csv"
        done = subprocess.run(
            [folder / "bin" / "perf_analyzer", "-m", "mnist", *options, "-f", table],
            env={**os.environ, **variables},  # noqa: TID251 -- handed on, not read
            capture_output=True,
            text=True,
            timeout=MOST_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        with table.open() as lines:
            return list(csv.DictReader(lines))

    return run


@pytest.mark.parametrize("kind", ["grpc", "streaming", "http", "tfserving"])
@pytest.mark.timeout(2 * MOST_S + 30)
def test_it_measures_the_server(server: ServerProcess, analyze: Analyze, kind: str) -> None:
    """It finds the model, loads the server with four callers, and reports the server's own times.

    TensorFlow Serving has none to report: then the client's are all.
    """
    where = server.page.removeprefix("http://").rstrip("/") if kind == "http" else server.address
    calls = {
        "grpc": ("-i", "grpc"),
        "streaming": ("-i", "grpc", "--streaming", "--async"),
        "http": ("-i", "http"),
        "tfserving": (
            "-i",
            "grpc",
            "--service-kind",
            "tfserving",
            "-b",
            "4",
            "--shape",
            "images:784",
        ),
    }
    load = ("--concurrency-range", "4", "--request-count", "400", "--input-data", "zero")
    try:
        (line,) = analyze("-u", where, *calls[kind], *load)
    except subprocess.TimeoutExpired:
        # Now and then it does not end by itself: that is not ours where the server owes nothing.
        with urllib.request.urlopen(f"{server.page}metrics", timeout=10) as response:
            assert b"\nflatdense_inflight_requests 0.0\n" in response.read()
        (line,) = analyze("-u", where, *calls[kind], *load)
    assert line["Concurrency"] == "4"
    assert float(line["Inferences/Second"]) > 0
    if kind != "tfserving":
        for stage in ("Server Queue", "Server Compute Infer"):
            assert float(line[stage]) > 0, line
