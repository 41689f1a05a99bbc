"""What was sent on a stream and is not answered yet. No I/O: one side writes, the other reads."""

import time
from collections import deque
from dataclasses import dataclass

from flatdense_proto.v1.classifier_pb2 import ClassifyResponse

from flatdense_client._core.classify import CLASSIFY, Answer
from flatdense_client._errors import ServerError


@dataclass(frozen=True, kw_only=True)
class _Sent:
    rows: int
    is_last: bool
    at_s: float


class Ledger:
    """Pairs the answers of a stream with its messages, and puts them together by arrays.

    One thread may send while another one takes.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._due: deque[_Sent] = deque()
        self._answers: list[Answer] = []

    def send(self, rows: int, *, is_last: bool) -> None:
        """Notes a message, before it is sent; `is_last` where it ends its array."""
        self._due.append(_Sent(rows=rows, is_last=is_last, at_s=time.monotonic()))

    def oldest_s(self) -> float | None:
        """When the message was sent whose answer comes next, by the monotonic clock; None: none."""
        return self._due[0].at_s if self._due else None

    def take(self, response: ClassifyResponse) -> list[Answer] | None:
        """Takes the next answer; gives those of the whole array where it is the array's last.

        Raises ServerError: it does not fit the message, or there was none.
        """
        if not self._due:
            msg = f"{self._address} answered a message that was never sent"
            raise ServerError(msg)
        sent = self._due.popleft()
        self._answers.append(CLASSIFY.read(response, sent.rows, self._address, timing=None))
        if not sent.is_last:
            return None
        answers, self._answers = self._answers, []
        return answers

    def end(self) -> None:
        """Ends the stream. Raises ServerError: not everything was answered."""
        if self._due:
            msg = f"{self._address} ended the stream and left {len(self._due)} messages unanswered"
            raise ServerError(msg)
