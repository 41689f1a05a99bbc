"""How fast a version is loaded beside those that serve."""

import time
from collections.abc import Callable
from typing import Final

REST: Final = 4.0
"""Rest for each second of work: a load takes a fifth of a core."""

LONGEST_REST_S: Final = 0.05
"""What took longer was waiting itself."""


class Pace:
    """Leaves the processor to callers while versions are loaded. For one thread."""

    def __init__(self, is_serving: Callable[[], bool]) -> None:
        """Nobody waits for `is_serving`: before the first version there is no need to rest."""
        self._is_serving = is_serving
        self._resumed_s = time.monotonic()

    def rest(self) -> None:
        """Sleeps, in proportion to the work since the last rest, where there are callers."""
        if self._is_serving():
            worked_s = time.monotonic() - self._resumed_s
            time.sleep(min(REST * worked_s, LONGEST_REST_S))
        self._resumed_s = time.monotonic()
