"""A small real server on a free port, whose answers depend on every pixel."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import (
    ClassifierServicer,
    add_ClassifierServicer_to_server,
)
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

Probabilities = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
Serve = Callable[[ClassifierServicer], str]

CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


_WEIGHTS = np.linspace(1, 2, 784, dtype=np.float32)


def _scores_of(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    # Each class has pixels of its own with weights of their own: another row or another order of
    # pixels gives other numbers.
    return np.stack([1 + (rows * _WEIGHTS)[:, c::10].sum(axis=1) for c in range(10)], axis=1)


def _probabilities_of(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    scores = _scores_of(rows)
    return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def _read_rows(request: pb.ClassifyRequest | pb.ExplainRequest) -> npt.NDArray[np.float32]:
    if request.data_type == pb.DATA_TYPE_UINT8:
        pixels = np.frombuffer(request.images, np.uint8).astype(np.float32) / np.float32(255)
    else:
        pixels = np.frombuffer(request.images, "<f4")
    return pixels.reshape(-1, 784)


def _check_selector(model: pb.ModelSelector, context: grpc.ServicerContext) -> None:
    if model.version > 1:
        context.abort(grpc.StatusCode.NOT_FOUND, "there is no version 2; there is 1")
    if model.label not in {"", "stable"}:
        told = f"there is no label {model.label!r}; there is 'stable'"
        context.abort(grpc.StatusCode.NOT_FOUND, told)


class PixelServicer(ClassifierServicer):
    """Answers from the pixels as version 1, labelled `stable`, and notes the rows of messages."""

    def __init__(self, seen_rows: list[int], described: pb.GetModelResponse) -> None:
        self._seen_rows = seen_rows
        self._described = described

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """One unary call."""
        _check_selector(request.model, context)
        probabilities = _probabilities_of(_read_rows(request))
        self._seen_rows.append(len(probabilities))
        return pb.ClassifyResponse(
            probabilities=probabilities.astype("<f4").tobytes(),
            classes=probabilities.argmax(axis=1).tolist(),
            model_name="mnist",
            model_version=1,
        )

    def Explain(  # noqa: N802  # gRPC's name
        self, request: pb.ExplainRequest, context: grpc.ServicerContext
    ) -> pb.ExplainResponse:
        """One unary call: each pixel speaks for the class that has it."""
        said = self.Classify(
            pb.ClassifyRequest(
                images=request.images, data_type=request.data_type, model=request.model
            ),
            context,
        )
        rows = _read_rows(request)
        shares = rows * _WEIGHTS
        classes = (
            np.full(len(rows), request.class_index)
            if request.HasField("class_index")
            else np.array(said.classes)
        )
        logits = _scores_of(rows)
        if classes.max() >= logits.shape[1]:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "class_index: expected 0 to 9")
        own = np.arange(784) % 10 == classes[:, None]
        return pb.ExplainResponse(
            probabilities=said.probabilities,
            classes=said.classes,
            model_name=said.model_name,
            model_version=said.model_version,
            logits=logits.astype("<f4").tobytes(),
            hidden=shares[:, :3].astype("<f4").tobytes(),
            explained_classes=classes.tolist(),
            contributions=(shares * own).astype("<f4").tobytes(),
            bias_contributions=np.ones(len(rows), "<f4").tobytes(),
        )

    def ClassifyStream(  # noqa: N802  # gRPC's name
        self, request_iterator: Iterator[pb.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        """One answer for each request."""
        for request in request_iterator:
            yield self.Classify(request, context)

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """What the test set."""
        _check_selector(request.model, context)
        return self._described


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves a servicer, healthy, on a free port; gives the address."""
    servers: list[grpc.Server] = []

    def start(servicer: ClassifierServicer) -> str:
        server = grpc.server(ThreadPoolExecutor(8))
        add_ClassifierServicer_to_server(servicer, server)
        health = HealthServicer()
        health.set("flatdense.v1.Classifier", HealthCheckResponse.SERVING)
        add_HealthServicer_to_server(health, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None).wait()


@pytest.fixture
def seen_rows() -> list[int]:
    """The rows of each message that the default server took, in the order of arrival."""
    return []


@pytest.fixture
def described() -> pb.GetModelResponse:
    """How the default server describes its model, of two layers; a test may change it."""
    response = pb.GetModelResponse(
        name="mnist",
        version=1,
        available_versions=[1, 2],
        parameters=203_530,
        class_names=CLASS_NAMES,
        layers=[
            pb.Layer(name="flatten", kind="Flatten", output_shape=[784]),
            pb.Layer(
                name="hidden",
                kind="Dense",
                activation="relu",
                output_shape=[256],
                parameters=200_960,
            ),
            pb.Layer(
                name="probabilities",
                kind="Dense",
                activation="softmax",
                output_shape=[10],
                parameters=2_570,
            ),
        ],
        inputs=[pb.Tensor(name="images", data_type="FP32", shape=[-1, 784])],
        outputs=[pb.Tensor(name="probabilities", data_type="FP32", shape=[-1, 10])],
        training=pb.Training(
            dataset="mnist",
            seed=7,
            epochs=5,
            train_rows=54_000,
            validation_rows=6_000,
            test_rows=10_000,
            metrics={"test_accuracy": 0.9812},
        ),
        serving=pb.Serving(
            engine="jit", device="cpu", ladder_rows=[1, 2, 4, 8], max_request_rows=4096
        ),
    )
    response.training.created_at.FromSeconds(1_750_000_000)
    return response


@pytest.fixture
def address(serve: Serve, seen_rows: list[int], described: pb.GetModelResponse) -> str:
    """The address of the default server."""
    return serve(PixelServicer(seen_rows, described))


@pytest.fixture
def probabilities_of() -> Probabilities:
    """What the default server answers for float rows."""
    return _probabilities_of


@pytest.fixture
def class_names() -> tuple[str, ...]:
    """The names that the default server gives its classes."""
    return CLASS_NAMES
