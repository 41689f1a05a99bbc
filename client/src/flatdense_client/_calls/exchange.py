"""One bidirectional call: arrays out on one thread, answers in on another."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import grpc
from flatdense_proto.v1.classifier_pb2 import ClassifyRequest, ClassifyResponse, ModelSelector

from flatdense_client._core.classify import CLASSIFY, Answer
from flatdense_client._core.ledger import Ledger
from flatdense_client._core.messages import cut, message_rows
from flatdense_client._core.status import late
from flatdense_client._errors import DeadlineExceeded
from flatdense_client._images.inputs import check_images
from flatdense_client._images.kinds import ImagesLike

Open = Callable[[Iterator[ClassifyRequest]], Iterable[ClassifyResponse]]


@dataclass(frozen=True, kw_only=True)
class _End:
    error: Exception | None


class Exchange:
    """Sends arrays and gives one list of answers for each, in order.

    - At most `messages_in_flight` messages are sent or read ahead of what the caller has taken: a
      slow caller slows the arrays down, and so does a slow server.
    - gRPC's own thread reads the arrays. What they raise reaches the caller after the answers to
      all arrays before.
    - `timeout_s` bounds the wait for each answer while one is due, not the time the arrays take to
      come.
    """

    def __init__(
        self,
        *,
        address: str,
        model: ModelSelector,
        rows_per_message: int,
        messages_in_flight: int,
        timeout_s: float,
    ) -> None:
        self._address = address
        self._model = model
        self._rows_per_message = rows_per_message
        self._timeout_s = timeout_s
        self._room = threading.Semaphore(messages_in_flight)
        self._ledger = Ledger(address)
        self._came: queue.SimpleQueue[ClassifyResponse | _End] = queue.SimpleQueue()
        self._arrays_error: Exception | None = None
        self._stopped = False

    def run(self, arrays: Iterable[ImagesLike], open_call: Open) -> Iterator[list[Answer]]:
        """Opens the call and gives the answers. Ending the iteration early cancels the call."""
        call = open_call(self._requests(iter(arrays)))
        threading.Thread(target=self._read, args=(call,), daemon=True).start()
        try:
            yield from self._answers()
        finally:
            self._stopped = True
            self._room.release()
            if isinstance(call, grpc.RpcContext):
                call.cancel()

    def _requests(self, arrays: Iterator[ImagesLike]) -> Iterator[ClassifyRequest]:
        try:
            while self._wait_for_room():
                try:
                    rows = check_images(next(arrays))
                except StopIteration:
                    return
                counts = message_rows(CLASSIFY, rows, self._rows_per_message)
                for index, request in enumerate(cut(CLASSIFY, rows, counts, self._model)):
                    if index > 0 and not self._wait_for_room():
                        return
                    self._ledger.send(counts[index], is_last=index == len(counts) - 1)
                    yield request
        except Exception as error:  # noqa: BLE001  # the caller's arrays may raise anything
            self._arrays_error = error

    def _wait_for_room(self) -> bool:
        self._room.acquire()
        return not self._stopped

    def _read(self, call: Iterable[ClassifyResponse]) -> None:
        try:
            for response in call:
                self._came.put(response)
        except Exception as error:  # noqa: BLE001  # the caller's thread raises it
            self._came.put(_End(error=error))
        else:
            self._came.put(_End(error=None))

    def _answers(self) -> Iterator[list[Answer]]:
        while not isinstance(came := self._wait_for_answer(), _End):
            answers = self._ledger.take(came)
            self._room.release()
            if answers is not None:
                yield answers
        error = came.error or self._arrays_error
        if error is not None:
            raise error
        self._ledger.end()

    def _wait_for_answer(self) -> ClassifyResponse | _End:
        while True:
            since_s = self._ledger.oldest_s() or time.monotonic()
            wait_s = since_s + self._timeout_s - time.monotonic()
            try:
                return self._came.get(timeout=min(max(wait_s, 0), threading.TIMEOUT_MAX))
            except queue.Empty:
                oldest_s = self._ledger.oldest_s()
                if oldest_s is not None and oldest_s + self._timeout_s <= time.monotonic():
                    raise DeadlineExceeded(late(self._address, self._timeout_s)) from None
