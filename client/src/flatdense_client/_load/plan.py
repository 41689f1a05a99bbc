"""What to send, how often and for how long."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from flatdense_client._channel.tls import Tls

Arrivals = Literal["poisson", "constant", "bursts"]
"""As independent callers come (a Poisson process); one after the other, evenly spaced; or as
independent callers who all fall silent now and then (an interrupted Poisson process).
"""

MAX_CALLS = 10_000_000
"""How many calls one run counts at most: the times of each are kept, 24 bytes a call."""

MAX_UNDER_WAY = 2_000
"""How many calls of an open loop one generator has under way at most: with more it chokes. Later
ones are held back, and are late."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenLoop:
    """Calls begin when they are due, whatever became of those before."""

    rate: float
    """Calls a second."""
    arrivals: Arrivals


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosedLoop:
    """So many callers, each of which calls again when it has its answer."""

    concurrency: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The work of one generator. Immutable; it can be pickled."""

    address: str
    tls: bool | Tls = False
    token: str | None = field(default=None, repr=False)
    protocol: str
    """A key of `dialect.DIALECTS`."""
    messages: Sequence[bytes]
    """Serialized requests, sent in turn."""
    rows: int
    """Of each message."""
    loop: OpenLoop | ClosedLoop
    duration_s: float
    warmup_s: float
    """Before it, under the same load, uncounted."""
    timeout_s: float
    """Of each call, counted from when it is sent."""
    connections: int
    max_calls: int = MAX_CALLS
    max_under_way: int = MAX_UNDER_WAY
    number: int = 0
    """Which of the generators that share one load this is, from 0."""
    generators: int = 1
    """How many there are."""

    def share(self, generators: int) -> "list[Plan]":
        """One plan for each of so many generators, which make up this one together.

        Raises ValueError: there is not a caller and a connection for each.
        """
        return [self._share(number, generators) for number in range(generators)]

    def _share(self, number: int, generators: int) -> "Plan":
        loop = self.loop
        if isinstance(loop, ClosedLoop):
            callers = _part(loop.concurrency, number, generators)
            loop = dataclasses.replace(loop, concurrency=callers)
        else:
            loop = dataclasses.replace(loop, rate=loop.rate / generators)
        return dataclasses.replace(
            self,
            loop=loop,
            connections=_part(self.connections, number, generators),
            max_calls=self.max_calls // generators,
            number=number,
            generators=generators,
        )


def _part(whole: int, number: int, parts: int) -> int:
    least, rest = divmod(whole, parts)
    if least == 0:
        msg = f"{whole} cannot be shared by {parts}"
        raise ValueError(msg)
    return least + (number < rest)
