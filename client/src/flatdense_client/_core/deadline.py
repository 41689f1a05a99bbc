"""One deadline for a whole call, however many messages it takes."""

import math
import time

from flatdense_client._core.status import late
from flatdense_client._errors import DeadlineExceeded


class Deadline:
    """A moment on the monotonic clock. Immutable; any thread may ask."""

    __slots__ = ("_address", "at_s", "timeout_s")

    def __init__(self, timeout_s: float, address: str) -> None:
        self.timeout_s = timeout_s
        self.at_s = time.monotonic() + timeout_s
        self._address = address

    def remaining_s(self) -> float | None:
        """What is left, as gRPC wants it: None for no limit.

        Raises DeadlineExceeded: nothing is left.
        """
        if math.isinf(self.at_s):
            return None
        remaining_s = self.at_s - time.monotonic()
        if remaining_s <= 0:
            raise self.exceeded()
        return remaining_s

    def exceeded(self) -> DeadlineExceeded:
        """The error of this deadline: a new one each time."""
        return DeadlineExceeded(late(self._address, self.timeout_s))


def check_timeout_s(timeout_s: float) -> float:
    """Gives a timeout back as it is.

    Raises ValueError: it is not positive. `math.inf` stands for no limit.
    """
    if not timeout_s > 0:
        msg = f"timeout_s is {timeout_s}; expected more than 0, or math.inf for no limit"
        raise ValueError(msg)
    return timeout_s
