"""What a client is apart from its I/O: its settings, the names it learned, the words of errors."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import grpc
import grpc.aio
from flatdense_proto.v1.classifier_pb2 import GetModelResponse, ModelSelector

from flatdense_client._channel.channel import Connector
from flatdense_client._core.deadline import Deadline, check_timeout_s
from flatdense_client._core.messages import Method, Part, Result, Versioned
from flatdense_client._core.status import cut_off, error_of, read_refusal
from flatdense_client._errors import Closed, FlatdenseError
from flatdense_client._results.model import ModelInfo, read_model

_RAISED_BY_GRPC = (grpc.RpcError, grpc.FutureCancelledError, grpc.aio.UsageError, ValueError)


class Errors:
    """See Session.errors. A class: contextlib's take a good part of the time of a lone call."""

    __slots__ = ("_session", "_timeout_s")

    def __init__(self, session: "Session", timeout_s: float) -> None:
        self._session = session
        self._timeout_s = timeout_s

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(exc_value, _RAISED_BY_GRPC):
            translated = self._session.translate(exc_value, self._timeout_s)
            if translated is not None:
                raise translated from exc_value


class Session:
    """The part that every client has: nothing here sends a byte or waits.

    Any number of threads may share one.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        model: ModelSelector,
        timeout_s: float,
        rows_per_message: int,
        messages_in_flight: int,
    ) -> None:
        if rows_per_message < 1 or messages_in_flight < 1:
            msg = "rows_per_message and messages_in_flight are at least 1"
            raise ValueError(msg)
        self.connector = connector
        self.address = connector.address
        self.model = model
        self.timeout_s = check_timeout_s(timeout_s)
        self.rows_per_message = rows_per_message
        self.messages_in_flight = messages_in_flight
        self.is_closed = False
        """Set before the connection is closed, so that what this ends is Closed."""
        self._class_names: dict[int, tuple[str, ...]] = {}
        self._names_of_one: dict[int, dict[int, tuple[str, ...]]] = {}

    def timeout_or(self, timeout_s: float | None) -> float:
        """The call's own timeout, else the client's. Raises ValueError: it is not positive."""
        return self.timeout_s if timeout_s is None else check_timeout_s(timeout_s)

    def deadline(self, timeout_s: float | None) -> Deadline:
        """The deadline of a call that begins now. Raises ValueError: it is not positive."""
        return Deadline(self.timeout_or(timeout_s), self.address)

    def unnamed(self, answers: Sequence[Versioned]) -> list[ModelSelector]:
        """What to ask GetModel for before `join`: the versions whose classes have no names yet.

        By their number: a label may mean another version by now.
        """
        versions = {answer.version for answer in answers if answer.version not in self._class_names}
        return [ModelSelector(name=self.model.name, version=version) for version in versions]

    def knows(self, version: int) -> bool:
        """Whether the names of a version's classes are known."""
        return version in self._class_names

    def knows_all(self, answers: Sequence[Versioned]) -> bool:
        """Whether the names of the classes of all answers are known."""
        for answer in answers:  # noqa: SIM110  # a generator costs more than most calls have to ask
            if answer.version not in self._class_names:
                return False
        return True

    def learn(self, response: GetModelResponse) -> ModelInfo:
        """The model as plain values; the names of its classes are kept."""
        model = read_model(response)
        self._class_names[model.version] = model.class_names
        self._names_of_one[model.version] = {model.version: model.class_names}
        return model

    def join(self, method: Method[Any, Any, Part, Result], answers: Sequence[Part]) -> Result:
        """The result of one call, with the names that are known by now.

        Raises ServerError: the answers do not fit each other.
        """
        # Never the whole: what is learned later must not change predictions that were given.
        if len(answers) == 1 and answers[0].version in self._names_of_one:
            return method.join(answers, self._names_of_one[answers[0].version], self.address)
        names = {answer.version: self._class_names.get(answer.version, ()) for answer in answers}
        return method.join(answers, names, self.address)

    def errors(self, timeout_s: float) -> "Errors":
        """Turns what gRPC raises into the SDK's errors, as a context manager."""
        return Errors(self, timeout_s)

    def translate(self, error: BaseException, timeout_s: float) -> FlatdenseError | None:
        """What gRPC raised, as an error of the SDK: a new one each time. None: it is not gRPC's.

        A call that was cancelled, but not by its caller, comes as FutureCancelledError.
        """
        if self.is_closed:
            return Closed(f"this client of {self.address} is closed")
        if isinstance(error, grpc.FutureCancelledError):
            return cut_off(self.address)
        if isinstance(error, grpc.Call | grpc.aio.AioRpcError):
            refusal = read_refusal(
                error.code(),
                error.details(),
                error.trailing_metadata(),
                address=self.address,
                timeout_s=timeout_s,
                security=self.connector.security,
            )
            return error_of(refusal)
        return None  # a ValueError of the caller's own arrays
