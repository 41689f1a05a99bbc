"""The engines side by side: aot and jit, in process and from process start, in turn.

Writes bench/results/engines.json, with the machine's description, and a decision record's table.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
from flatdense_artifact import find_shape, read_manifest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.engine.aot import open_library
from flatdense_server.engine.choice import EngineChoice, EngineOptions
from flatdense_server.engine.cpus import usable_cpus
from flatdense_server.engine.engine import Engine
from flatdense_server.engine.files import ModelFiles
from load import Request
from machine import describe_machine
from report import ENGINES, ENGINES_PAGE, publish, render_engines

HERE = Path(__file__).parent
MODELS = HERE.parent / "exported_model"
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

ROUNDS = 7
UNCOUNTED = 10
CALL_INTERVAL_S = 0.005
ROWS = (1, 64, 1024)
BETWEEN_ROWS = (20, 48, 96, 160, 320, 449, 640, 768)
"""None of the ladder's sizes."""
ROW_FLOP = 2 * (784 * 256 + 256 * 10)
LAYERS = read_manifest(MODELS / "1").architecture.layers

Figures = dict[str, dict[str, list[float]]]


def main(cache_dir: Path, *, dry_run: bool) -> None:
    """Measures, writes, prints."""
    figures: Figures = {}
    threads = usable_cpus()
    engines = {name: open_engine(name, cache_dir, threads) for name in ("aot", "jit")}
    for rows in ROWS:
        for _ in range(ROUNDS):
            for name, engine in engines.items():
                case = figures.setdefault(case_of(rows), {})
                case.setdefault(name, []).append(1e6 * run_p50_s(engine, rows))
    cuts = measure_cuts(open_engine("aot", cache_dir, threads=1))
    spreads = {name: neighbours_matter(engine) for name, engine in engines.items()}
    for _ in range(3):
        for name in ("aot", "jit"):
            first_s, memory_mb = start(name, cache_dir)
            figures.setdefault("start to first answer, s", {}).setdefault(name, []).append(first_s)
            figures.setdefault("resident memory, MB", {}).setdefault(name, []).append(memory_mb)
    results = {
        "machine": describe_machine(),
        "target": open_library(cache_dir, find_shape(LAYERS)).description.target.cpu,
        "peak_gflops": peak_gflops(),
        "aot_gflops": 64 * ROW_FLOP / statistics.median(figures[case_of(64)]["aot"]) / 1e3,
        "neighbours_matter": spreads,
        "repeatable": answers_digest(cache_dir) == answers_digest(cache_dir),
        "figures": figures,
        "cuts_us": cuts,
    }
    section = render_engines(results)
    if not dry_run:
        publish(results, ENGINES, ENGINES_PAGE, section)
    print(section)


def case_of(rows: int) -> str:
    """What a batch size is called in the results."""
    return f"{rows} rows uint8, us"


def open_engine(name: str, cache_dir: Path, threads: int) -> Engine:
    """The repository's model, with the whole ladder."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # noqa: TID251 -- TensorFlow's own
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # noqa: TID251 -- TensorFlow's own
    options = EngineOptions(
        engine=name,
        device="cpu",
        max_batch_rows=1024,
        threads=threads,
        cache_dir=cache_dir,
    )
    folder = MODELS / "1"
    files = ModelFiles(saved_model=folder, layers=LAYERS, weights=folder)
    return EngineChoice(options, lambda _phase: None).open(files)


def measure_cuts(engine: Engine) -> Figures:
    """What batches between two sizes take, and what the next size takes, in turn: microseconds."""
    cuts: Figures = {}
    for rows in BETWEEN_ROWS:
        for _ in range(ROUNDS):
            each = {"cut": rows, "padded": engine.spec.ladder.fit(rows)}
            for name, run_rows in each.items():
                times_us = cuts.setdefault(str(rows), {}).setdefault(name, [])
                times_us.append(1e6 * run_p50_s(engine, run_rows))
    return cuts


def run_p50_s(engine: Engine, rows: int) -> float:
    """The median time from numpy to numpy."""
    images = np.random.default_rng(0).integers(0, 256, (rows, 784), dtype=np.uint8)
    return p50_s(lambda: engine.run([images]), calls=max(20, 2000 // rows))


def p50_s(work: Callable[[], object], calls: int) -> float:
    """The median time of one of many calls, after some uncounted ones."""
    times_s = []
    for number in range(calls + UNCOUNTED):
        started_s = time.perf_counter()
        work()
        if number >= UNCOUNTED:
            times_s.append(time.perf_counter() - started_s)
    return statistics.median(times_s)


def neighbours_matter(engine: Engine) -> float:
    """The most that a row's probabilities differ between being alone and being in any batch."""
    random = np.random.default_rng(1)
    worst = 0.0
    for dtype in (np.uint8, np.float32):
        pixels = random.integers(0, 256, (64, 784), dtype=np.uint8)
        images = pixels if dtype is np.uint8 else pixels / np.float32(255)
        alone = np.concatenate([engine.run([image[None]]).probabilities for image in images])
        for rows in (2, 3, 5, 17, 64, 100, 300, 777, 1024):
            picked = random.integers(0, len(images), rows)
            together = engine.run([images[picked]]).probabilities
            worst = max(worst, float(np.abs(together - alone[picked]).max()))
    return worst


def answers_digest(cache_dir: Path) -> str:
    """The sha256 of many answers of aot, from a process of their own."""
    script = (
        "import hashlib, sys; from pathlib import Path; import numpy as np; import engines\n"
        "engine = engines.open_engine('aot', Path(sys.argv[1]), threads=2)\n"
        "images = np.random.default_rng(2).integers(0, 256, (1024, 784), dtype=np.uint8)\n"
        "parts = [images[:rows] for rows in (*engine.spec.ladder.sizes, *engines.BETWEEN_ROWS)]\n"
        "answers = [engine.run([part]).probabilities.tobytes() for part in parts]\n"
        "print(hashlib.sha256(b''.join(answers)).hexdigest())"
    )
    done = subprocess.run(  # noqa: S603 -- our own script
        [sys.executable, "-c", script, cache_dir],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def start(engine: str, cache_dir: Path) -> tuple[float, float]:
    """Seconds from process start to the first answer, and the memory resident then, in MB."""
    started_s = time.perf_counter()
    options = ("--model-dir", str(MODELS), "--engine", engine, "--cache-dir", str(cache_dir))
    with ServerProcess(*options, "--workers", "1") as server:
        await_answer(server.address)
        first_s = time.perf_counter() - started_s
        with urllib.request.urlopen(server.page + "metrics") as answer:  # noqa: S310 -- our own
            found = re.search(
                r'^process_resident_memory_bytes{process="worker-1"} (\S+)',
                answer.read().decode(),
                re.MULTILINE,
            )
        assert found  # noqa: S101 -- the server always exposes it
        server.stop()
    return first_s, float(found[1]) / 1e6


def await_answer(address: str) -> None:
    """Calls again and again until an answer comes, without the SDK's waits between its attempts."""
    request = pb.ClassifyRequest.FromString(Request(1, pb.DATA_TYPE_UINT8).message())
    with grpc.insecure_channel(address, [("grpc.enable_retries", 0)]) as channel:
        stub = ClassifierStub(channel)
        while True:
            try:
                stub.Classify(request)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                time.sleep(CALL_INTERVAL_S)
            else:
                return


def peak_gflops() -> float:
    """What one core does at most: numpy's own matrix product, on one thread."""
    script = (
        "import numpy as np, time; a = np.ones((1024, 1024), 'f'); t = []\n"
        "for _ in range(30):\n"
        "    s = time.perf_counter(); a @ a; t.append(time.perf_counter() - s)\n"
        "print(2 * 1024**3 / min(t) / 1e9)"
    )
    done = subprocess.run(  # noqa: S603 -- our own script
        [sys.executable, "-c", script],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # noqa: TID251 -- handed on
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache-dir", type=Path, default=Path("~/.cache/flatdense").expanduser())
    parser.add_argument("--dry-run", action="store_true", help="print, and write nothing")
    arguments = parser.parse_args()
    main(arguments.cache_dir, dry_run=arguments.dry_run)
