"""Strange images are noticed and usual ones are not: real servers, real images."""

import math
import os
import re
import shutil
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import Client
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from prometheus_client import parser
from prometheus_process import PrometheusProcess, scrape_config
from server_process import ServerProcess

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.xdist_group("prediction_health")]

Images = npt.NDArray[np.uint8]

WORKERS = 2
WINDOW_S = 3.0
BATCH_ROWS = 150
CONNECTIONS = 4
"""The kernel gives each to one of the workers."""

ORDER = np.random.default_rng(0)
"""Drawn on from test to test: images that come twice in a window make its index less sure."""

PATIENCE_S = 100.0

UNSURE = 0.04
"""The share of answers of low confidence that strange images have at least."""

FIRES = 0.25
QUIET = 0.1
SETTLED = 0.05
PIXEL_FEATURES = {"input_mean", "ink_share"}
FEATURES = PIXEL_FEATURES | {"confidence", "class"}

PREFIXES = tuple(
    f"flatdense_{kind}_"
    for kind in ("health", "low_confidence", "confidence", "entropy", "input_mean", "ink", "drift")
)
"""Of the names of prediction health."""


@dataclass(frozen=True)
class Scrape:
    """What a scraper reads of prediction health."""

    psi: dict[str, float]
    rows: float
    """That were looked at since the server began."""
    low_confidence_rows: float


def scrape(server: ServerProcess) -> Scrape:
    """Asks now."""
    psi, sums = {}, {"health": 0.0, "low_confidence": 0.0}
    for name, labels, value in read_samples(server):
        if name == "flatdense_drift_psi":
            psi[labels["feature"]] = value
        for kind in sums:
            if name == f"flatdense_{kind}_rows_total":
                sums[kind] += value
    return Scrape(psi, sums["health"], sums["low_confidence"])


def read_samples(server: ServerProcess) -> Iterator[tuple[str, dict[str, str], float]]:
    """Every sample: name, labels, value."""
    with urllib.request.urlopen(server.page + "metrics") as answer:
        families = parser.text_string_to_metric_families(answer.read().decode())
    for family in families:
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def classify_until(
    server: ServerProcess, images: npt.NDArray[np.generic], until: Callable[[Scrape], bool]
) -> Scrape:
    """Sends them over and over, in random order, until a scrape is as wanted; gives that one."""
    end_s = time.monotonic() + PATIENCE_S
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(CONNECTIONS)]
        while True:
            for client in clients:
                client.classify(images[ORDER.integers(0, len(images), BATCH_ROWS)])
            found = scrape(server)
            if until(found):
                return found
            assert time.monotonic() < end_s, found


def is_quiet(found: Scrape) -> bool:
    """Whether every feature is told, and far from a threshold: hardly anything strange is left."""
    return found.psi.keys() == FEATURES and max(found.psi.values()) < SETTLED


def invert(digits: Images) -> Images:
    """Black on white: what most people draw."""
    return 255 - digits


def shift(digits: Images) -> Images:
    """Four pixels down, as by a crop that is not centred."""
    return np.roll(digits, 4, axis=1)


@pytest.fixture(scope="module")
def server(exported_model: Path) -> Iterator[ServerProcess]:
    """Two workers and a short window."""
    options = ("--engine", "aot", "--workers", str(WORKERS), "--drift-window-s", str(WINDOW_S))
    with ServerProcess("--model-dir", str(exported_model), *options) as process:
        process.ready()
        yield process
        assert not any("Traceback" in str(event) for event in process.events)


@pytest.fixture(scope="module")
def prometheus(
    server: ServerProcess, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrometheusProcess]:
    """Scrapes the server, with the alert rules of the repository; none waits before it fires."""
    folder = tmp_path_factory.mktemp("prometheus")
    rules = (repository / "deploy" / "prometheus" / "alerts.yml").read_text()
    impatient = folder / "alerts.yml"
    impatient.write_text(re.sub(r"(?m)^( +for:) .*$", r"\1 0s", rules))
    with PrometheusProcess(scrape_config(server.page, rules=[impatient]), folder) as process:
        yield process


def drifting(prometheus: PrometheusProcess) -> set[str]:
    """The features for which the alert fires now."""
    return {
        alert.labels["feature"]
        for alert in prometheus.alerts()
        if (alert.name, alert.state) == ("FlatdenseDrift", "firing")
    }


@pytest.fixture(scope="module")
def digits(mnist_test: tuple[Images, Images]) -> Images:
    """The test images, which the model did not learn from."""
    return mnist_test[0]


def test_test_images_stay_quiet(
    server: ServerProcess, digits: Images, prometheus: PrometheusProcess
) -> None:
    """Once the window has nothing else, no feature comes near a threshold, and no alert fires."""
    begun = classify_until(server, digits, lambda now: is_quiet(now) and not drifting(prometheus))
    seen: list[Scrape] = []
    alerts: set[str] = set()

    def note(found: Scrape) -> bool:
        """Until some thousands were looked at."""
        seen.append(found)
        alerts.update(drifting(prometheus))
        return found.rows > begun.rows + 8000

    ended = classify_until(server, digits, note)
    assert not alerts
    assert max(max(found.psi.values(), default=0.0) for found in seen) < QUIET
    low = ended.low_confidence_rows - begun.low_confidence_rows
    assert low / (ended.rows - begun.rows) < 0.02


@pytest.mark.parametrize(
    ("change", "fires", "least_unsure"),
    # Shifted digits are often answered rightly, and no pixel tells.
    [(invert, FEATURES, UNSURE), (shift, {"confidence"}, UNSURE)],
    ids=["inverted", "shifted"],
)
def test_digits_that_were_prepared_otherwise_fire(
    server: ServerProcess,
    digits: Images,
    prometheus: PrometheusProcess,
    change: Callable[[Images], Images],
    fires: set[str],
    least_unsure: float,
) -> None:
    """Each feature that can tell does, the others do not, and with good images it ends."""
    classify_until(server, digits, is_quiet)
    assert_fires(server, prometheus, change(digits), fires, least_unsure)
    classify_until(server, digits, lambda now: is_quiet(now) and not drifting(prometheus))


def test_other_things_than_digits_fire(
    server: ServerProcess, digits: Images, prometheus: PrometheusProcess, fashion_test: Images
) -> None:
    """Clothes are told by every feature."""
    classify_until(server, digits, is_quiet)
    assert_fires(server, prometheus, fashion_test, FEATURES, UNSURE)


def assert_fires(
    server: ServerProcess,
    prometheus: PrometheusProcess,
    strange: Images,
    fires: set[str],
    least_unsure: float,
) -> None:
    """The alert fires for these features, and the share of low confidence rises so far."""
    before = scrape(server)

    def has_fired(found: Scrape) -> bool:
        """And some thousand rows came, so that shares say something."""
        fired = {feature for feature, index in found.psi.items() if index > FIRES}
        enough = fires <= fired and found.rows > before.rows + 2000
        return enough and fires <= drifting(prometheus)

    after = classify_until(server, strange, has_fired)
    for feature in FEATURES - fires:
        assert after.psi[feature] < FIRES, feature
    low = after.low_confidence_rows - before.low_confidence_rows
    assert low / (after.rows - before.rows) >= least_unsure


@pytest.mark.parametrize("scale", [1e6, -1e6, 1e-45, 255.0])
def test_unusual_numbers_hurt_nothing(server: ServerProcess, digits: Images, scale: float) -> None:
    """Huge, negative, denormal and unscaled floats are answered, and every sample stays finite."""
    begun, end_s = scrape(server), time.monotonic() + PATIENCE_S
    rows = digits[:200].reshape(-1, 784).astype(np.float32) / np.float32(255) * np.float32(scale)
    request = pb.ClassifyRequest(images=rows.tobytes(), data_type=pb.DATA_TYPE_FP32)
    with grpc.insecure_channel(server.address) as channel:
        stub = ClassifierStub(channel)  # the SDK would refuse most of them
        while scrape(server).rows < begun.rows + len(rows):
            stub.Classify(request, wait_for_ready=True)
            assert time.monotonic() < end_s
    for name, labels, value in read_samples(server):
        assert math.isfinite(value), (name, labels)


def test_a_killed_worker_takes_no_row_with_it(server: ServerProcess, digits: Images) -> None:
    """What it saw stays counted, once, and its end is no drift."""
    begun = classify_until(server, digits, is_quiet)
    replaced = sum(event.get("event") == "worker ready" for event in server.events)
    os.kill(server.worker_pids[0], signal.SIGKILL)
    server.wait_for_many("worker ready", replaced + 1)
    assert scrape(server).rows >= begun.rows
    classify_until(server, digits, lambda found: found.rows > begun.rows + 2000)
    assert is_quiet(classify_until(server, digits, is_quiet))


def test_what_is_said_of_a_version_goes_with_it(
    exported_model: Path, tmp_path: Path, digits: Images
) -> None:
    """When another one takes over, no health series of the old one is left."""
    model_dir = Path(shutil.copytree(exported_model, tmp_path / "model"))
    options = ("--engine", "aot", "--workers", "1", "--poll-interval-s", "0.05")
    with ServerProcess(
        "--model-dir", str(model_dir), *options, "--drift-window-s", str(WINDOW_S)
    ) as server:
        server.ready()
        classify_until(server, digits, is_quiet)
        shutil.copytree(model_dir / "1", tmp_path / "aside").rename(model_dir / "2")
        server.wait_for("swapped", version=2)

        def is_new(_: Scrape) -> bool:
            """Nothing but version 2 is spoken of."""
            versions = {
                labels["version"]
                for name, labels, _ in read_samples(server)
                if name.startswith(PREFIXES)
            }
            return versions == {"2"}

        classify_until(server, digits, lambda found: is_new(found) and is_quiet(found))
        assert server.stop() == 0


def test_it_can_be_turned_off(exported_model: Path, digits: Images) -> None:
    """Then nothing is looked at, and calls are answered and counted as before."""
    options = ("--engine", "aot", "--workers", "1", "--no-prediction-health")
    with ServerProcess("--model-dir", str(exported_model), *options) as server:
        server.ready()
        with Client(server.address) as client:
            client.classify(digits[:BATCH_ROWS])
        found = {name: value for name, _, value in read_samples(server)}
        assert found["flatdense_rows_total"] == BATCH_ROWS
        assert not [name for name in found if name.startswith(PREFIXES)]
        assert server.stop() == 0
