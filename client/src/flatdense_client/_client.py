"""The synchronous client: it calls the server, and waits on the caller's thread."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType

import grpc
import numpy.typing as npt
from flatdense_proto.v1.classifier_pb2 import (
    ClassifyRequest,
    ClassifyResponse,
    GetModelRequest,
    ModelSelector,
)
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from flatdense_client._channel import channel_options
from flatdense_client._deadline import Deadline
from flatdense_client._errors import DeadlineExceeded, NotFound, Unavailable
from flatdense_client._exchange import Exchange
from flatdense_client._messages import Answer, cut, message_rows, read_answer
from flatdense_client._model import ModelInfo
from flatdense_client._pixels import check_images
from flatdense_client._predictions import Predictions
from flatdense_client._selector import select_model
from flatdense_client._session import HEALTH_METHOD, SERVICE, Session


class Client:
    """A connection to a flatdense server.

        with Client("localhost:8500") as client:
            for prediction in client.classify(images):
                print(prediction.label, prediction.confidence)

    - Any number of threads may share one client, and should: it holds one connection to each server
      behind the address, and deals its calls out to them in turn (`dns:///` addresses may name
      several).
    - Nothing connects before the first call. A server that is not there is an `Unavailable` at
      once, not a wait.
    - Every call ends within `timeout_s`, and raises only the errors of `FlatdenseError`'s tree.
    - A call that ends with UNAVAILABLE is tried up to three times in all, within its deadline.
    """

    def __init__(
        self,
        address: str,
        *,
        model_name: str = "",
        model_version: int | None = None,
        model_label: str | None = None,
        timeout_s: float = 10.0,
        rows_per_message: int = 512,
        messages_in_flight: int = 4,
    ) -> None:
        """Prepares a client for `host:port`, or any gRPC target such as `dns:///host:port`.

        - `model_name`, and `model_version` or `model_label`: which model answers, and which version
          of it; left out, the ones that the server serves by default. The server's operator sets
          labels, such as `stable`, and may move one to another version at any time, even between
          the messages of one call.
        - `timeout_s`: of each whole call unless the call brings its own; `math.inf` for no limit.
        - `rows_per_message`: into what pieces bigger arrays are cut; fewer where 4 MiB would not
          hold them.
        - `messages_in_flight`: how many pieces of one call travel at a time.

        Raises InvalidInput: the address is none. Raises ValueError: a number is out of its range, a
        version and a label are both given, or the label is no name.
        """
        self._session = Session(
            address,
            model=select_model(model_name, model_version, model_label),
            timeout_s=timeout_s,
            rows_per_message=rows_per_message,
            messages_in_flight=messages_in_flight,
        )
        self._channel = grpc.insecure_channel(address, options=channel_options(address))
        self._classifier = ClassifierStub(self._channel)
        self._check_health = self._channel.unary_unary(
            HEALTH_METHOD,
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._session.address

    def classify(self, images: npt.ArrayLike, *, timeout_s: float | None = None) -> Predictions:
        """Classifies one image or many, and gives one prediction for each, in their order.

        `images` has the shape (28, 28) or (784,) for one image, (N, 28, 28) or (N, 784) for many;
        one image gives `Predictions` of length 1. Integers are 0 (ground) to 255 (ink), floats the
        same scaled to 0..1, and a true boolean is ink. The array must not change during the call.

        An array of any size may be given: it is cut to messages, a few of which travel at a time.
        Either every row is answered or the call raises and the messages under way are cancelled.

        The first answer of each version costs one `GetModel` call more, for the names of the
        classes.

        Raises InvalidInput before a byte is sent: a shape, type or value is wrong. Raises any other
        FlatdenseError.
        """
        rows = check_images(images)
        deadline = self._session.deadline(timeout_s)
        counts = message_rows(rows, self._session.rows_per_message)
        with self._session.errors(deadline.timeout_s):
            answers = self._ask(cut(rows, counts, self._session.model), counts, deadline)
            return self._join(answers, deadline)

    def classify_stream(
        self, images: Iterable[npt.ArrayLike], *, timeout_s: float | None = None
    ) -> Iterator[Predictions]:
        """Classifies arrays as they come, over one call: one `Predictions` for each, in order.

        Each array is what `classify` takes. They are read on another thread, at most
        `messages_in_flight` messages ahead of the predictions that were taken. `timeout_s` bounds
        the wait for each answer, not the whole stream. Leaving the iterator, or closing it, cancels
        the call.

        Raises, at the array that it concerns, after the predictions of all before it: any
        FlatdenseError, and whatever `images` raises.
        """
        return self._stream(images, self._session.timeout_or(timeout_s))

    def model(self, *, timeout_s: float | None = None) -> ModelInfo:
        """Describes the model that answers this client's calls.

        Raises any FlatdenseError.
        """
        return self._get_model(self._session.model, self._session.deadline(timeout_s))

    def ready(self, *, timeout_s: float | None = None) -> bool:
        """Whether the server classifies now: false while it loads, drains, or cannot be reached.

        Raises any FlatdenseError but Unavailable and DeadlineExceeded.
        """
        deadline = self._session.deadline(timeout_s)
        request = HealthCheckRequest(service=SERVICE)
        try:
            with self._session.errors(deadline.timeout_s):
                response = self._check_health(request, timeout=deadline.remaining_s())
        except (Unavailable, DeadlineExceeded, NotFound):
            return False
        return bool(response.status == HealthCheckResponse.SERVING)

    def close(self) -> None:
        """Closes the connection: calls under way raise Closed. May be called again."""
        self._session.is_closed = True
        self._channel.close()

    def __enter__(self) -> "Client":  # noqa: PYI034  # typing.Self is newer than 3.10
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._session.address!r})"

    def _ask(
        self, requests: Iterable[ClassifyRequest], counts: Sequence[int], deadline: Deadline
    ) -> list[Answer]:
        answers: list[Answer] = []
        in_flight: deque[grpc.Future[ClassifyResponse]] = deque()

        def take() -> None:
            response = in_flight.popleft().result()
            answers.append(read_answer(response, counts[len(answers)], self._session.address))

        try:
            for request in requests:
                if len(in_flight) == self._session.messages_in_flight:
                    take()
                timeout_s = deadline.remaining_s()
                in_flight.append(self._classifier.Classify.future(request, timeout=timeout_s))
            while in_flight:
                take()
        finally:
            for call in in_flight:
                call.cancel()
        return answers

    def _stream(self, images: Iterable[npt.ArrayLike], timeout_s: float) -> Iterator[Predictions]:
        exchange = Exchange(
            address=self._session.address,
            model=self._session.model,
            rows_per_message=self._session.rows_per_message,
            messages_in_flight=self._session.messages_in_flight,
            timeout_s=timeout_s,
        )
        with self._session.errors(timeout_s):
            for answers in exchange.run(images, self._classifier.ClassifyStream):
                yield self._join(answers, self._session.deadline(timeout_s))

    def _join(self, answers: Sequence[Answer], deadline: Deadline) -> Predictions:
        for selector in self._session.unnamed(answers):
            # The version may have left after it answered, or be on another replica alone: the
            # answers stand without names.
            with suppress(NotFound):
                self._get_model(selector, deadline)
        return self._session.join(answers)

    def _get_model(self, selector: ModelSelector, deadline: Deadline) -> ModelInfo:
        request = GetModelRequest(model=selector)
        with self._session.errors(deadline.timeout_s):
            response = self._classifier.GetModel(request, timeout=deadline.remaining_s())
        return self._session.learn(response)
