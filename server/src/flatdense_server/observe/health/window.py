"""A sliding window over counts that grow."""

from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

SLOTS: Final = 60
"""The window moves on in steps of this part of its length."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class Slot(Generic[Key]):
    """What came from one moment on."""

    started_s: float
    rows: dict[Key, float] = field(default_factory=dict)


class Window(Generic[Key]):
    """How much some counts grew within the last seconds, to a sixtieth. For one thread.

    Counts may begin anew, as those of a version that is unloaded and loaded again: what came since
    the last note is then let go, and nothing is ever negative.
    """

    def __init__(self, length_s: float) -> None:
        """Before the first note all counts were 0."""
        self._length_s = length_s
        self._step_s = length_s / SLOTS
        self._last: Mapping[Key, float] = {}
        self._slots: deque[Slot[Key]] = deque()

    def note(self, counts: Mapping[Key, float], now_s: float) -> None:
        """The counts are these now. `now_s` ascends from note to note."""
        slots, last = self._slots, self._last
        self._last = dict(counts)
        if not slots or now_s >= slots[-1].started_s + self._step_s:
            slots.append(Slot(now_s))
        while slots[0].started_s + self._step_s <= now_s - self._length_s:
            slots.popleft()
        if any(counts.get(key, 0) < before for key, before in last.items()):
            return
        rows = slots[-1].rows
        for key, count in counts.items():
            rows[key] = rows.get(key, 0) + count - last.get(key, 0)

    def growth(self) -> dict[Key, float]:
        """By how much each count grew, as far as it grew at all."""
        total: dict[Key, float] = {}
        for slot in self._slots:
            for key, rows in slot.rows.items():
                total[key] = total.get(key, 0) + rows
        return total
