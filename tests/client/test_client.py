"""The client against a real server."""

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import (
    Client,
    Closed,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    Overloaded,
    Predictions,
    ServerError,
    Unavailable,
)
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierServicer
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

Serve = Callable[[ClassifierServicer], str]
Probabilities = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
Answer = Callable[[pb.ClassifyRequest, grpc.ServicerContext], pb.ClassifyResponse]

IMAGE = np.arange(784, dtype=np.uint8).reshape(28, 28)

BOTH = pytest.mark.parametrize("coalesce", [False, True])


class Answers(ClassifierServicer):
    """Answers every Classify by a function."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """One unary call."""
        return self._answer(request, context)

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """A replica that has no such version."""
        del request
        context.abort(grpc.StatusCode.NOT_FOUND, "no such version")


def _one_row(version: int = 1) -> pb.ClassifyResponse:
    probabilities = np.eye(10, dtype="<f4")[7].tobytes()
    return pb.ClassifyResponse(probabilities=probabilities, classes=[7], model_version=version)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    """A client of the default server."""
    with Client(address) as client:
        yield client


@pytest.mark.parametrize("shape", [(28, 28), (784,), (1, 28, 28), (1, 784)])
@pytest.mark.parametrize("is_float", [False, True])
def test_one_image_in_every_form(
    client: Client,
    probabilities_of: Probabilities,
    class_names: tuple[str, ...],
    shape: tuple[int, ...],
    is_float: bool,
) -> None:
    """An image gets the same prediction in every shape and type."""
    scaled = (IMAGE / 255).astype(np.float32)
    predictions = client.classify((scaled if is_float else IMAGE).reshape(shape))
    expected = probabilities_of(scaled.reshape(1, 784))[0]
    assert len(predictions) == 1
    assert np.allclose(predictions[0].probabilities, expected, atol=1e-6)
    assert predictions[0].class_index == expected.argmax()
    assert predictions[0].label == class_names[expected.argmax()]
    assert predictions[0].model_version == 1


@pytest.mark.parametrize("rows", [1, 6, 7, 8, 100])
def test_big_arrays_are_cut_and_answered_in_order(
    address: str, probabilities_of: Probabilities, seen_rows: list[int], rows: int
) -> None:
    """However an array is cut, row i of the answer belongs to row i of the array."""
    images = np.random.default_rng(rows).random((rows, 784), np.float32)
    with Client(address, rows_per_message=7, messages_in_flight=3) as client:
        predictions = client.classify(images)
    assert np.allclose(predictions.probabilities, probabilities_of(images), atol=1e-6)
    assert np.array_equal(predictions.classes, predictions.probabilities.argmax(axis=1))
    assert sum(seen_rows) == rows
    assert max(seen_rows) <= 7


def test_an_array_above_the_message_limit_goes_through(
    client: Client, probabilities_of: Probabilities
) -> None:
    """Five megabytes of floats need nothing of the caller."""
    images = np.random.default_rng(0).random((1700, 28, 28), np.float32)
    predictions = client.classify(images)
    expected = probabilities_of(images.reshape(-1, 784))
    assert np.allclose(predictions.probabilities, expected, atol=1e-6)


def test_small_calls_share_messages(serve: Serve) -> None:
    """Single rows of many threads travel in few messages; without coalescing each alone."""
    entered, release = threading.Event(), threading.Event()
    rows: list[int] = []

    def answer(request: pb.ClassifyRequest, _: grpc.ServicerContext) -> pb.ClassifyResponse:
        rows.append(len(request.images) // 784)
        entered.set()
        release.wait(30)
        return pb.ClassifyResponse(
            probabilities=np.tile(np.eye(10, dtype="<f4")[7], rows[-1]).tobytes(),
            classes=[7] * rows[-1],
            model_version=1,
        )

    address = serve(Answers(answer))
    client = Client(address, coalesce=True, messages_in_flight=1)
    with client, ThreadPoolExecutor(20) as pool:
        first = pool.submit(client.classify, IMAGE)
        assert entered.wait(30)
        others = [pool.submit(client.classify, IMAGE) for _ in range(19)]
        (lane,) = client._connect().coalescer._lanes._lanes.values()
        while len(lane) < 19:
            threading.Event().wait(0.001)
        release.set()
        assert [call.result(30)[0].class_index for call in [first, *others]] == [7] * 20
    assert rows == [1, 19]
    rows.clear()
    with Client(address) as client, ThreadPoolExecutor(5) as pool:
        list(pool.map(client.classify, [IMAGE] * 20))
    assert rows == [1] * 20


def test_bad_images_never_leave(client: Client, seen_rows: list[int]) -> None:
    """One bad value in the last row keeps the first message from being sent."""
    images = np.zeros((2000, 784), np.float32)
    images[-1, -1] = np.nan
    with pytest.raises(InvalidInput, match=r"row 1999 has the value nan at pixel \(27, 27\)"):
        client.classify(images)
    assert seen_rows == []


def test_names_cost_one_call_for_each_version(serve: Serve) -> None:
    """The names of the classes are asked for once for each version, not for each call."""
    asked: list[int] = []

    class Named(ClassifierServicer):
        """A server that notes who asks for names."""

        version = 1

        def Classify(  # noqa: N802  # gRPC's name
            self, request: pb.ClassifyRequest, context: grpc.ServicerContext
        ) -> pb.ClassifyResponse:
            """One answer, of the version of the moment."""
            del request, context
            return _one_row(self.version)

        def GetModel(  # noqa: N802  # gRPC's name
            self, request: pb.GetModelRequest, context: grpc.ServicerContext
        ) -> pb.GetModelResponse:
            """The names of the version that was asked for."""
            del context
            version = request.model.version
            asked.append(version)
            return pb.GetModelResponse(
                version=version, class_names=[f"{version}.{index}" for index in range(10)]
            )

    named = Named()
    with Client(serve(named)) as client:
        labels = [client.classify(IMAGE)[0].label for _ in range(3)]
        named.version = 2
        labels += [client.classify(IMAGE)[0].label for _ in range(2)]
    assert labels == ["1.7", "1.7", "1.7", "2.7", "2.7"]
    assert asked == [1, 2]


def test_an_answer_stands_without_names(serve: Serve) -> None:
    """A version that left after it answered is labelled by index."""
    with Client(serve(Answers(lambda _request, _context: _one_row(9)))) as client:
        prediction = client.classify(IMAGE)[0]
    assert (prediction.label, prediction.class_index, prediction.model_version) == ("7", 7, 9)


def test_a_version_can_be_chosen(address: str) -> None:
    """The chosen version is sent, and one that is not there is NotFound in the server's words."""
    told = "there is no version 2; there is 1"
    with Client(address, model_version=2) as client, pytest.raises(NotFound, match=told):
        client.classify(IMAGE)


def test_a_label_can_be_chosen(address: str) -> None:
    """The chosen label is sent, and one that nobody set is NotFound in the server's words."""
    with Client(address, model_label="stable") as client:
        assert client.classify(IMAGE).model_version == client.model().version == 1
        assert next(client.classify_stream([IMAGE])).model_version == 1
    told = "there is no label 'canary'; there is 'stable'"
    with Client(address, model_label="canary") as client:
        for call in (lambda: client.classify(IMAGE), client.model):
            with pytest.raises(NotFound, match=told):
                call()


class Moves(ClassifierServicer):
    """Answers the first message by version 1 and the others by version 2, as its label moves."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.described: list[pb.ModelSelector] = []
        self.is_named = True

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """One message."""
        del context
        self.labels.append(request.model.label)
        return _one_row(min(len(self.labels), 2))

    def ClassifyStream(  # noqa: N802  # gRPC's name
        self, request_iterator: Iterator[pb.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        """The same over one call."""
        for request in request_iterator:
            yield self.Classify(request, context)

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """Names that tell the version, if they are to be told."""
        self.described.append(request.model)
        if not self.is_named:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such version")
        version = request.model.version
        return pb.GetModelResponse(
            version=version, class_names=[f"{version}.{i}" for i in range(10)]
        )


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_label_may_move_within_a_call(serve: Serve, is_stream: bool) -> None:
    """Each image is named by the version that answered it, whatever the label means by then."""
    moves, images = Moves(), np.zeros((3, 784), np.uint8)
    address = serve(moves)
    with Client(address, model_label="stable", rows_per_message=1, messages_in_flight=1) as client:
        answers = client.classify_stream([images]) if is_stream else [client.classify(images)]
        (predictions,) = answers
    assert moves.labels == ["stable"] * 3
    assert predictions.model_versions.tolist() == [1, 2, 2]
    assert predictions.labels == ("1.7", "2.7", "2.7")
    assert sorted(selector.version for selector in moves.described) == [1, 2]
    assert not any(selector.label for selector in moves.described)


def test_predictions_do_not_change_their_names(serve: Serve) -> None:
    """Names that are learned later are those of later predictions alone."""
    moves = Moves()
    with Client(serve(moves)) as client:
        client.classify(IMAGE)
        moves.is_named = False
        before = client.classify(IMAGE)
        moves.is_named = True
        after = client.classify(IMAGE)
    assert before.labels == ("7",)
    assert after.labels == ("2.7",)


@BOTH
def test_rich_errors_arrive(serve: Serve, coalesce: bool) -> None:
    """An error with details keeps them on its way through a real connection."""

    def refuse(_request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        status = status_pb2.Status(
            code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], message="the queue is full"
        )
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(50)
        status.details.add().Pack(retry)
        context.abort_with_status(rpc_status.to_status(status))

    with Client(serve(Answers(refuse)), coalesce=coalesce) as client:  # noqa: SIM117
        with pytest.raises(Overloaded) as caught:
            client.classify(IMAGE)
    assert caught.value.retry_after_s == 0.05
    assert "the queue is full" in str(caught.value)


@BOTH
def test_unavailable_is_tried_again(serve: Serve, coalesce: bool) -> None:
    """A call that meets UNAVAILABLE twice is answered the third time, and the caller sees none."""
    attempts: list[None] = []

    def answer(_request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        attempts.append(None)
        if len(attempts) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return _one_row()

    with Client(serve(Answers(answer)), coalesce=coalesce) as client:
        assert client.classify(IMAGE)[0].class_index == 7
    assert len(attempts) == 3


def test_a_failed_part_fails_the_call_and_cancels_the_rest(serve: Serve) -> None:
    """When one message fails the call raises, and those still under way are cancelled."""
    entered, release, cancelled = threading.Event(), threading.Event(), threading.Event()

    def answer(request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        if request.images[0] == 0:
            entered.wait(30)
            context.abort(grpc.StatusCode.INTERNAL, "request id 4711")
        context.add_callback(cancelled.set)
        entered.set()
        release.wait(60)
        return _one_row()

    images = np.zeros((2, 784), np.uint8)
    images[1] = 1
    with Client(serve(Answers(answer)), rows_per_message=1) as client:
        with pytest.raises(ServerError, match="request id 4711"):
            client.classify(images, timeout_s=600)  # far from the deadline, which cancels too
        assert cancelled.wait(30)
    release.set()


@BOTH
@pytest.mark.parametrize("rows", [1, 5])
def test_the_deadline_spans_the_whole_call(serve: Serve, coalesce: bool, rows: int) -> None:
    """A server that does not answer is DeadlineExceeded, and the calls there are cancelled."""
    release, cancelled = threading.Event(), threading.Event()

    def answer(_request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        context.add_callback(cancelled.set)
        release.wait(30)
        return _one_row()

    options = {"rows_per_message": 1, "messages_in_flight": 2, "coalesce": coalesce}
    with Client(serve(Answers(answer)), **options) as client:
        with pytest.raises(DeadlineExceeded, match=r"within 0\.2 s"):
            client.classify(np.zeros((rows, 784)), timeout_s=0.2)
        assert cancelled.wait(30)
        release.set()


@BOTH
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_dead_port_is_unavailable(host: str, coalesce: bool) -> None:
    """Where nothing listens the error says so, and names the address."""
    address = f"{host}:{_free_port()}"
    with Client(address, coalesce=coalesce) as client:
        with pytest.raises(Unavailable, match=f"{address} cannot be reached: nothing listens"):
            client.classify(IMAGE)
        assert client.ready() is False


def test_an_unknown_host_is_unavailable() -> None:
    """A host name that does not exist is Unavailable and named."""
    told = r"no-such-host\.invalid:8500 cannot be reached"
    with Client("no-such-host.invalid:8500") as client, pytest.raises(Unavailable, match=told):
        client.classify(IMAGE)


def test_an_http1_server_is_no_flatdense_server() -> None:
    """A web server on the port is a clear error."""

    class Silent(http.server.BaseHTTPRequestHandler):
        """A web server without a log."""

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # its name
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            client = Client(f"127.0.0.1:{server.server_port}")
            with client, pytest.raises(Unavailable, match="does not speak gRPC"):
                client.classify(IMAGE)
        finally:
            server.shutdown()
            thread.join()


def test_a_server_without_the_service_is_no_flatdense_server() -> None:
    """A gRPC server that has no Classifier is a ServerError that says so."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with Client(f"127.0.0.1:{port}") as client:
            for call in (lambda: client.classify(IMAGE), client.model, client.ready):
                with pytest.raises(ServerError, match="not as a flatdense server"):
                    call()
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize(
    "response",
    [
        pb.ClassifyResponse(),
        pb.ClassifyResponse(probabilities=b"seven", classes=[7]),
        pb.ClassifyResponse(probabilities=bytes(80), classes=[1, 2]),
    ],
)
def test_an_answer_that_does_not_fit_is_the_servers_error(
    serve: Serve, response: pb.ClassifyResponse
) -> None:
    """An answer that does not fit the rows is never taken for a prediction."""
    client = Client(serve(Answers(lambda _request, _context: response)))
    with client, pytest.raises(ServerError, match=r"do not fit|outside"):
        client.classify(IMAGE)


@BOTH
def test_threads_share_a_client(
    address: str, probabilities_of: Probabilities, coalesce: bool
) -> None:
    """Each of many threads gets the answers to its own images."""
    images = np.random.default_rng(1).random((24, 5, 784), np.float32)
    with Client(address, coalesce=coalesce) as client, ThreadPoolExecutor(12) as pool:
        answers: list[Predictions] = list(pool.map(client.classify, images))
    for mine, answer in zip(images, answers, strict=True):
        assert np.allclose(answer.probabilities, probabilities_of(mine), atol=1e-6)


def test_the_model_is_described(client: Client, class_names: tuple[str, ...]) -> None:
    """GetModel arrives as plain values."""
    model = client.model()
    assert (model.name, model.version, model.available_versions) == ("mnist", 1, (1, 2))
    assert model.class_names == class_names
    assert model.test_accuracy == 0.9812
    assert [layer.activation for layer in model.layers] == [None, "relu", "softmax"]
    assert model.inputs[0].shape == (-1, 784)
    assert model.training is not None
    assert model.training.created_at is not None
    assert model.training.created_at.isoformat() == "2025-06-15T15:06:40+00:00"
    assert model.serving.ladder_rows == (1, 2, 4, 8)


def test_ready(client: Client) -> None:
    """A server that says SERVING is ready."""
    assert client.ready() is True


@BOTH
@pytest.mark.parametrize("rows", [1, 100])
def test_closing_ends_calls_and_may_be_repeated(serve: Serve, coalesce: bool, rows: int) -> None:
    """Calls under way on other threads raise Closed, as does every later one."""
    entered, release = threading.Event(), threading.Event()

    def answer(_request: pb.ClassifyRequest, _context: grpc.ServicerContext) -> pb.ClassifyResponse:
        entered.set()
        release.wait(30)
        return _one_row()

    options = {"rows_per_message": 9, "messages_in_flight": 1, "coalesce": coalesce}
    client = Client(serve(Answers(answer)), **options)
    with ThreadPoolExecutor(3) as pool:
        images = np.zeros((rows, 784))
        calls = [pool.submit(client.classify, images, timeout_s=600) for _ in range(3)]
        assert entered.wait(30)
        client.close()
        assert [type(call.exception(30)) for call in calls] == [Closed] * 3
    client.close()
    release.set()
    for later in (lambda: client.classify(IMAGE), client.model, client.ready):
        with pytest.raises(Closed):
            later()


@pytest.mark.parametrize("option", ["rows_per_message", "messages_in_flight", "timeout_s"])
def test_options_are_checked_at_birth(option: str) -> None:
    """A number that makes no sense is refused before any call."""
    with pytest.raises(ValueError, match=option):
        Client("localhost:8500", **{option: 0})
