"""The queues of replicas, simulated: when calls come, what a batch takes, and what that makes.

A replica does as the server does: one thread takes all calls that wait as one batch, and while it
runs the next one gathers. Nothing here is measured.
"""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]
"""Seconds."""

Turns = Literal["in turn", "at random"]
"""How calls meet replicas: one caller takes them in turn. Many callers, each of which does so for
itself, meet them as if by chance."""

_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a replica needs of a core for one batch."""

    batch_s: float
    """However many calls it has."""
    call_s: float
    """For each call more."""
    most_calls: int
    """In one batch."""

    def takes_s(self, calls: int) -> float:
        """For a batch of so many calls."""
        return self.batch_s + self.call_s * calls

    @property
    def most_calls_per_s(self) -> float:
        """Of a replica with a core of its own, which has full batches all the time."""
        return self.most_calls / self.takes_s(self.most_calls)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of the calls."""

    latency_s: Times
    """From when each call came to the end of its batch, in the order of their coming."""
    batches: int

    def percentile_s(self, percent: float) -> float:
        """The least time that so many of a hundred calls did not exceed."""
        return float(np.percentile(self.latency_s, percent, method="inverted_cdf"))


def simulate(
    due_s: Sequence[float] | Times,
    service: Service,
    *,
    replicas: int = 1,
    cores: float = np.inf,
    turns: Turns = "in turn",
) -> Outcome:
    """Calls that come at these times, ascending, to so many replicas.

    `cores` is how many cores the replicas share. As the system shares cores out, each replica that
    has a batch gets as much of them as every other, and at most one.
    """
    due_s = np.asarray(due_s, np.float64)
    replica_of = _deal(len(due_s), replicas, turns)
    latency_s = np.empty(len(due_s))
    waiting: list[deque[int]] = [deque() for _ in range(replicas)]
    running: list[Sequence[int]] = [()] * replicas
    # A clock on which every batch that runs is worked on with one second in each second: it goes
    # the slower, the more replicas there are for the cores. Batches end on it when they are due.
    now_s = worked_s = 0.0
    ends: list[tuple[float, int]] = []
    batches = 0

    def begin(replica: int) -> None:
        nonlocal batches
        queue = waiting[replica]
        calls = [queue.popleft() for _ in range(min(len(queue), service.most_calls))]
        running[replica] = calls
        if calls:
            batches += 1
            heapq.heappush(ends, (worked_s + service.takes_s(len(calls)), replica))

    for call, come_s in enumerate([*due_s.tolist(), np.inf]):
        while ends:
            speed = min(1.0, cores / len(ends))
            end_s = now_s + (ends[0][0] - worked_s) / speed
            if end_s > come_s:
                worked_s += (come_s - now_s) * speed
                break
            now_s, (worked_s, replica) = end_s, heapq.heappop(ends)
            latency_s[running[replica]] = now_s - due_s[running[replica]]
            begin(replica)
        now_s = come_s
        if call < len(due_s):
            replica = int(replica_of[call])
            waiting[replica].append(call)
            if not running[replica]:
                begin(replica)
    return Outcome(latency_s=latency_s, batches=batches)


def _deal(calls: int, replicas: int, turns: Turns) -> npt.NDArray[np.int64]:
    if turns == "in turn":
        return np.arange(calls) % replicas
    return np.random.default_rng(_SEED).integers(0, replicas, calls)
