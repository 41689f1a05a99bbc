"""A small real engine in numpy, a gate that holds it, and versions on disk that it can open."""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

import msgspec
import numpy as np
import pytest
from flatdense_artifact import (
    Architecture,
    DenseLayer,
    Golden,
    Histogram,
    Layer,
    Manifest,
    Metrics,
    Training,
    Weights,
    digest_files,
    version_folder,
    write_manifest,
    write_weights,
)
from flatdense_server.batching.queue import QueueLimits
from flatdense_server.engine.engine import Engine, EngineSpec
from flatdense_server.engine.ladder import Ladder
from flatdense_server.engine.staging import Staging
from flatdense_server.models.gate import OpenEngine
from flatdense_server.models.loader import LoadedVersion
from flatdense_server.models.registry import Registry, Routes
from flatdense_server.models.servable import Servable
from flatdense_server.models.shadow import Shadow
from flatdense_server.models.statuses import Statuses
from flatdense_server.observe.health.observer import Observer
from flatdense_server.observe.metrics.boards import Boards
from flatdense_server.observe.metrics.exposition import Exposition
from flatdense_server.observe.metrics.metrics import Metrics as ServerMetrics
from flatdense_server.observe.traces.journey import Journey, Tracer
from flatdense_server.summary import ModelFacts
from flatdense_server.tensors import FLOAT32, PIXELS, UINT8, DType, Outputs, Rows

HIDDEN = 16
CLASSES = 10
LADDER = Ladder((1, 2, 4, 8))
MAX_REQUEST_ROWS = 32
ROOMY = QueueLimits(max_rows=1 << 20, max_tasks=1 << 20)

Submissions = SimpleQueue[Future[Outputs]]


def forward(weights: Weights, rows: Rows) -> Outputs:
    """The network in four lines of numpy: what every engine should say."""
    scale = np.float32(255 if rows.dtype == UINT8 else 1)
    hidden = np.maximum(
        (rows.astype(np.float32) / scale) @ weights.hidden.kernel + weights.hidden.bias, 0
    )
    logits = hidden @ weights.output.kernel + weights.output.bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    return Outputs(probabilities, probabilities.argmax(axis=1), hidden)


class NumpyEngine:
    """An Engine that notes every batch, waits at a gate, and fails when it is told to."""

    def __init__(
        self,
        weights: Weights,
        *,
        gate: threading.Event,
        running: threading.Semaphore,
        batches: list[Rows],
        faults: list[Exception],
    ) -> None:
        self.spec = EngineSpec(
            name="numpy",
            device="cpu",
            ladder=LADDER,
            class_count=len(weights.output.bias),
            hidden_count=HIDDEN,
        )
        self._weights = weights
        self._gate, self._running, self._batches, self._faults = gate, running, batches, faults
        self._staging = {dtype: Staging.allocate(LADDER, dtype) for dtype in (UINT8, FLOAT32)}

    def run(self, parts: Sequence[Rows], *, hidden: bool = False) -> Outputs:
        """See Engine.run."""
        self._batches.append(np.concatenate(parts))
        self._running.release()
        self._gate.wait()
        if self._faults:
            raise self._faults.pop()
        filled = self._staging[parts[0].dtype].fill(parts)
        pieces = [forward(self._weights, buffer).cut(0, rows) for buffer, rows in filled]
        outputs = Outputs.join(pieces)
        return outputs if hidden else Outputs(outputs.probabilities, outputs.classes)

    def close(self) -> None:
        """See Engine.close."""
        self._staging.clear()


class NotedServable(Servable):
    """A Servable that hands every future it gave out to `submissions` too."""

    submissions: Submissions

    def submit(
        self,
        rows: Rows,
        *,
        deadline_s: float | None,
        hidden: bool = False,
        journey: Journey | None = None,
    ) -> Future[Outputs]:
        """See Servable.submit."""
        future = super().submit(rows, deadline_s=deadline_s, hidden=hidden, journey=journey)
        self.submissions.put(future)
        return future


@pytest.fixture(scope="session")
def weights() -> Weights:
    """Seeded random weights, of a size that makes classes differ from row to row."""
    random = np.random.default_rng(7)

    def dense(name: str, inputs: int, units: int) -> DenseLayer:
        """One layer."""
        kernel = random.normal(0, inputs**-0.5 * 3, (inputs, units)).astype(np.float32)
        return DenseLayer(name=name, kernel=kernel, bias=np.linspace(-1, 1, units, dtype=FLOAT32))

    return Weights(dense("hidden", PIXELS, HIDDEN), dense("output", HIDDEN, CLASSES))


@pytest.fixture(scope="session")
def predict(weights: Weights) -> Callable[[Rows], Outputs]:
    """What the network says of rows: the reference."""
    return lambda rows: forward(weights, rows)


@pytest.fixture(scope="session")
def draw_rows() -> Callable[..., Rows]:
    """Gives seeded rows, by count, dtype and seed."""

    def draw(count: int, dtype: DType = UINT8, seed: int = 0) -> Rows:
        """The float32 rows are the uint8 rows, scaled."""
        pixels = np.random.default_rng(seed).integers(0, 256, (count, PIXELS), np.uint8)
        return pixels if dtype == UINT8 else pixels.astype(np.float32) / np.float32(255)

    return draw


@pytest.fixture(scope="session")
def manifest(predict: Callable[[Rows], Outputs], draw_rows: Callable[..., Rows]) -> Manifest:
    """A manifest that is true of the weights; it names no files."""
    images = draw_rows(5, seed=99)
    return Manifest(
        created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        architecture=Architecture(
            input_shape=[28, 28],
            layers=[
                Layer(name="flatten", kind="Flatten", output_shape=[PIXELS], parameters=0),
                Layer(
                    name="hidden",
                    kind="Dense",
                    activation="relu",
                    output_shape=[HIDDEN],
                    parameters=PIXELS * HIDDEN + HIDDEN,
                ),
                Layer(
                    name="output",
                    kind="Dense",
                    activation="softmax",
                    output_shape=[CLASSES],
                    parameters=HIDDEN * CLASSES + CLASSES,
                ),
            ],
        ),
        classes=[f"class {index}" for index in range(CLASSES)],
        files={},
        training=Training(
            dataset="seeded noise",
            sources={"noise": "0" * 64},
            train_rows=300,
            validation_rows=20,
            test_rows=10,
            seed=7,
            epochs=3,
            batch_rows=32,
            optimizer="none",
            learning_rate=0.001,
            duration_s=1.5,
        ),
        metrics=Metrics(
            test_accuracy=0.9, test_loss=0.3, validation_accuracy=0.8, validation_loss=0.4
        ),
        libraries={"numpy": np.__version__},
        golden=Golden(
            images=images.tobytes(),
            probabilities=predict(images).probabilities.astype(float).tolist(),
            tolerance=1e-5,
        ),
        reference={"mean": Histogram(edges=[0.0, 0.5, 1.0], fractions=[0.25, 0.75])},
    )


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Open: engines run. After gate.clear() each run waits until gate.set()."""
    event = threading.Event()
    event.set()
    yield event
    event.set()


@pytest.fixture
def running() -> threading.Semaphore:
    """One permit for each run that an engine began: acquire() waits for the next one."""
    return threading.Semaphore(0)


@pytest.fixture
def batches() -> list[Rows]:
    """The rows of every run, in order."""
    return []


@pytest.fixture
def faults() -> list[Exception]:
    """What the next runs raise, the last one first."""
    return []


@pytest.fixture
def make_engine(
    weights: Weights,
    gate: threading.Event,
    running: threading.Semaphore,
    batches: list[Rows],
    faults: list[Exception],
) -> Callable[..., Engine]:
    """Gives an engine with the seeded weights, or with others."""

    def make(own: Weights = weights) -> Engine:
        """On the one gate of the test."""
        return NumpyEngine(own, gate=gate, running=running, batches=batches, faults=faults)

    return make


@pytest.fixture
def open_engine(make_engine: Callable[..., Engine]) -> OpenEngine:
    """Opens a version's files as an engine with the weights that lie there."""
    return lambda files: make_engine(files.read_weights())


@pytest.fixture
def metrics() -> ServerMetrics:
    """Metrics on a board of their own."""
    return ServerMetrics()


@pytest.fixture
def service_boards(metrics: ServerMetrics) -> Boards:
    """Those of a service with this one process."""
    boards = Boards(metrics.families)
    boards.add(metrics.board)
    return boards


@pytest.fixture
def exposition(metrics: ServerMetrics, service_boards: Boards) -> Exposition:
    """What a scraper reads."""
    return Exposition(service_boards, metrics.families)


@pytest.fixture
def sample(exposition: Exposition) -> Callable[..., float | None]:
    """Gives the value of a sample, by name and labels; None where there is none."""
    return exposition.registry.get_sample_value


@pytest.fixture
def statuses(metrics: ServerMetrics) -> Statuses:
    """The states of no version yet."""
    return Statuses("mnist", metrics)


@pytest.fixture
def registry(statuses: Statuses) -> Registry:
    """A registry in which nothing is published yet."""
    return Registry("mnist", max_request_rows=MAX_REQUEST_ROWS, statuses=statuses)


@pytest.fixture
def publish(registry: Registry) -> Callable[..., None]:
    """Serves more versions, with these labels."""

    def add(*servables: Servable, **labels: int) -> None:
        """Beside those that are served."""
        versions = dict(registry.routes.versions)
        versions |= {servable.version: servable for servable in servables}
        registry.publish(Routes(dict(sorted(versions.items())), labels))

    return add


@pytest.fixture
def facts(manifest: Manifest) -> ModelFacts:
    """What the manifest says of the network."""
    return ModelFacts(
        class_names=manifest.classes,
        layers=manifest.architecture.layers,
        parameters=manifest.architecture.parameters,
        training=manifest.training,
        metrics=manifest.metrics,
        created_at=manifest.created_at,
    )


@pytest.fixture
def submissions() -> Submissions:
    """The future of each accepted submission: get() waits for the next one."""
    return SimpleQueue()


@pytest.fixture
def make_servable(
    facts: ModelFacts,
    make_engine: Callable[..., Engine],
    metrics: ServerMetrics,
    submissions: Submissions,
    gate: threading.Event,
    weights: Weights,
) -> Iterator[Callable[..., Servable]]:
    """Gives servables, by version and limits. All are closed in the end."""
    made: list[Servable] = []

    def make(
        version: int = 1,
        limits: QueueLimits = ROOMY,
        shadow: Shadow | None = None,
        observer: Observer | None = None,
        *,
        tracer: Tracer | None = None,
        known: bool = True,
    ) -> Servable:
        """With an engine of its own, and layers that are known or not."""
        loaded = LoadedVersion(
            number=version, facts=facts, engine=make_engine(), weights=weights if known else None
        )
        servable = NotedServable(
            "mnist",
            loaded,
            limits=limits,
            metrics=metrics,
            shadow=shadow,
            observer=observer,
            tracer=tracer,
        )
        servable.submissions = submissions
        made.append(servable)
        return servable

    yield make
    gate.set()
    for servable in made:
        servable.close()


@pytest.fixture
def write_version(tmp_path: Path, weights: Weights, manifest: Manifest) -> Callable[..., Path]:
    """Exports a version below tmp_path: with a bias of its own, and manifest fields by name."""

    def write(version: int, *, bias: float = 0.0, **changes: object) -> Path:
        """The files first, then the manifest with their digests."""
        folder = version_folder(tmp_path, version)
        (folder / "variables").mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"no graph: the numpy engine reads the weights")
        (folder / "variables" / "variables.index").write_bytes(b"index")
        output = dataclasses.replace(
            weights.output, bias=weights.output.bias + np.linspace(0, bias, CLASSES, dtype=FLOAT32)
        )
        write_weights(folder, Weights(weights.hidden, output))
        changes = {"files": digest_files(folder), **changes}
        write_manifest(folder, msgspec.structs.replace(manifest, **changes))
        return folder

    return write
