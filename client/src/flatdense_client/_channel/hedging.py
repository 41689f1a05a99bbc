"""When a call is sent a second time because the first copy is slow. No I/O."""

import threading
from dataclasses import dataclass

from grpc import StatusCode

Metadata = tuple[tuple[str, str | bytes], ...]
"""What a call carries, and so each of its copies."""

_MOST_TOKENS = 10.0
"""How many second copies may come at once, after any time in which none was needed."""

_PASSING = frozenset({StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED, StatusCode.CANCELLED})
"""What one server says of itself: another may still answer."""


@dataclass(frozen=True, kw_only=True)
class Hedging:
    """Against the slow replica: what is not answered in time is also sent to the next one.

        Client(["a:8500", "b:8500"], hedging=Hedging(after_s=0.02))

    - The first answer counts; the other copy is cancelled. An error counts as an answer but where
      the other copy may fare better: UNAVAILABLE and RESOURCE_EXHAUSTED wait for that, if it was
      sent.
    - Only `classify` and `explain` are hedged, each of their messages by itself, and each at most
      once: they change nothing, so that two copies do no harm.
    - At most `max_share` of a client's messages have a second copy, and ten at once, so that
      hedging cannot hold down servers that are all slow.
    - Both copies have the deadline of the call. Each is a call to interceptors.

    Raises ValueError: a number is out of its range.
    """

    after_s: float
    """How long the first copy is alone: about the 95th percentile of what calls take."""
    max_share: float = 0.05
    """Second copies to messages, over time: above 0, at most 1."""

    def __post_init__(self) -> None:
        if not self.after_s > 0:
            msg = f"after_s is {self.after_s}; expected more than 0"
            raise ValueError(msg)
        if not 0 < self.max_share <= 1:
            msg = f"max_share is {self.max_share}; expected more than 0 and at most 1"
            raise ValueError(msg)


class Budget:
    """How many second copies may be sent. Any number of threads may share one."""

    def __init__(self, max_share: float) -> None:
        self._max_share = max_share
        self._tokens = 1.0
        self._lock = threading.Lock()

    def earn(self) -> None:
        """A message is sent."""
        with self._lock:
            self._tokens = min(self._tokens + self._max_share, _MOST_TOKENS)

    def spend(self) -> bool:
        """Whether a second copy may be sent; if so, it counts as sent."""
        with self._lock:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


def is_final(code: StatusCode) -> bool:
    """Whether a copy that ended so decides the call, while the other is under way."""
    return code not in _PASSING
