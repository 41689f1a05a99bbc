"""What became of each call: kept while the load runs, as arrays after it."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]
"""Seconds."""

OK = "OK"
WRONG_ANSWER = "WRONG_ANSWER"
NOT_SENT = "NOT_SENT"
DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
"""Codes: gRPC's names, and two of our own."""

_MAX_KINDS = 50
"""How many messages are told apart; a server may put what it likes into them."""

OTHER_MESSAGES = "(other messages)"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Calls that failed in the same way."""

    code: str
    message: str
    calls: int


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What became of the counted calls.

    The times hold every answered call, and every one that was given up without an answer, with the
    time that it was waited for: to leave these out would flatter the slowest. Calls that were
    refused or answered wrongly are in `failures` alone.
    """

    latency_s: Times
    """From when a call was due, or in a closed loop from when it was sent, to its end."""
    service_s: Times
    """From when a call was sent to its end; those that were never sent have none."""
    lateness_s: Times
    """How late the generator itself was: from when a call of an open loop was due and could be sent
    to when it was; in a closed loop, of timers that ran beside."""
    answered: int
    failures: tuple[Failure, ...]
    took_s: float
    """From the end of the warm-up to the end of the load, or to the last answer if it is later."""
    unfinished: int
    """Calls without an end when the load was cut short: they are in no figure."""
    longest_unfinished_s: float
    held_back: int
    """Calls of an open loop that waited because as many as may be were under way."""
    busy: float
    """The share of one core that the thread which sends and receives used."""
    generators: int = 1
    is_cut: bool = False
    """Whether somebody ended it before its time."""

    @property
    def failed(self) -> int:
        """How many calls failed."""
        return sum(failure.calls for failure in self.failures)

    @property
    def calls(self) -> int:
        """How many calls came to an end, or were due and never sent."""
        return self.answered + self.failed


def join(parts: Sequence[Recording]) -> Recording:
    """The recording of a load that several generators made together."""
    failures: Counter[tuple[str, str]] = Counter()
    for part in parts:
        failures.update({(each.code, each.message): each.calls for each in part.failures})
    return Recording(
        latency_s=np.concatenate([part.latency_s for part in parts]),
        service_s=np.concatenate([part.service_s for part in parts]),
        lateness_s=np.concatenate([part.lateness_s for part in parts]),
        answered=sum(part.answered for part in parts),
        failures=_in_order(failures),
        took_s=max(part.took_s for part in parts),
        unfinished=sum(part.unfinished for part in parts),
        longest_unfinished_s=max(part.longest_unfinished_s for part in parts),
        held_back=sum(part.held_back for part in parts),
        busy=max(part.busy for part in parts),
        generators=sum(part.generators for part in parts),
        is_cut=any(part.is_cut for part in parts),
    )


class Recorder:
    """Takes what became of each call. Not thread-safe.

    Times are of one clock, in seconds, counted from the end of the warm-up: a call that was due
    before is not counted.
    """

    def __init__(self) -> None:
        self._latency_s = array("d")
        self._service_s = array("d")
        self._lateness_s = array("d")
        self._failures: Counter[tuple[str, str]] = Counter()
        self._last_answer_s = 0.0
        self.answered = 0
        self.failed = 0

    @property
    def calls(self) -> int:
        """How many calls were counted so far."""
        return self.answered + self.failed

    def be_late(self, due_s: float, lateness_s: float) -> None:
        """What the generator had to do at `due_s` it did so much later."""
        if due_s >= 0:
            self._lateness_s.append(max(lateness_s, 0.0))

    def answer(self, due_s: float, sent_s: float, ended_s: float) -> None:
        """A call was answered well."""
        if due_s >= 0:
            self.answered += 1
            self._latency_s.append(ended_s - due_s)
            self._service_s.append(ended_s - sent_s)
            self._last_answer_s = max(self._last_answer_s, ended_s)

    def fail(
        self, due_s: float, sent_s: float | None, ended_s: float, code: str, message: str
    ) -> None:
        """A call failed, or (`sent_s` is None) was never sent."""
        if due_s < 0:
            return
        self.failed += 1
        kind = (code, " ".join(message.split()))
        if kind not in self._failures and len(self._failures) >= _MAX_KINDS:
            kind = (code, OTHER_MESSAGES)
        self._failures[kind] += 1
        if code in {DEADLINE_EXCEEDED, NOT_SENT}:
            self._latency_s.append(ended_s - due_s)
            if sent_s is not None:
                self._service_s.append(ended_s - sent_s)

    def finish(
        self,
        *,
        took_s: float,
        unfinished_s: Sequence[float],
        held_back: int,
        busy: float,
        is_cut: bool,
    ) -> Recording:
        """Closes the books. `unfinished_s`: for how long each unfinished call is under way."""
        return Recording(
            latency_s=np.array(self._latency_s),
            service_s=np.array(self._service_s),
            lateness_s=np.array(self._lateness_s),
            answered=self.answered,
            failures=_in_order(self._failures),
            took_s=max(took_s, self._last_answer_s),
            unfinished=len(unfinished_s),
            longest_unfinished_s=max(unfinished_s, default=0.0),
            held_back=held_back,
            busy=busy,
            is_cut=is_cut,
        )


def _in_order(failures: Counter[tuple[str, str]]) -> tuple[Failure, ...]:
    """By code, the most frequent first, then by message likewise."""
    of_code: Counter[str] = Counter()
    for (code, _), calls in failures.items():
        of_code[code] += calls
    kinds = sorted(failures.items(), key=lambda kind: (-of_code[kind[0][0]], kind[0][0], -kind[1]))
    return tuple(
        Failure(code=code, message=message, calls=calls) for (code, message), calls in kinds
    )
