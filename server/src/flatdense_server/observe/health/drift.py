"""How far what was asked lately is from what a version was trained for."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from flatdense_server.observe.health.health_metrics import HealthMetrics
from flatdense_server.observe.health.stability import stability_index
from flatdense_server.observe.health.window import SLOTS, Window
from flatdense_server.observe.metrics.boards import Boards

log = logging.getLogger(__name__)

MIN_ROWS: Final = 500
"""Fewer in the window say nothing. Of so many, chance alone makes an index of 0.02 in ten bins, and
0.1 once in a million windows: docs/metrics.md has the formula."""

LONGEST_LOOK_S: Final = 1.0
SHORTEST_LOOK_S: Final = 0.1

JOIN_S: Final = 1.0

Version: TypeAlias = tuple[str, str]
"""Model and version."""

Bin: TypeAlias = tuple[str, str]
"""Feature and number."""

Rows: TypeAlias = Mapping[Bin, float]


class Drift:
    """Compares the rows of a sliding window, of all processes together, with the reference.

    It looks at the boards again and again, on a thread of its own, and says what it finds in the
    metrics of this process. It knows of a version what the boards have of it, and forgets it with
    them.
    """

    def __init__(self, boards: Boards, metrics: HealthMetrics, *, window_s: float) -> None:
        self._boards = boards
        self._metrics = metrics
        self._window_s = window_s
        self._windows: dict[Version, Window[Bin]] = {}
        self._references: dict[Version, Rows] = {}
        self._failed = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="drift", daemon=True)

    def start(self) -> None:
        """Begins. Once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, if it began."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def look(self, now_s: float) -> None:
        """Reads the boards, and says what the window has. `now_s` ascends from look to look."""
        figures = self._boards.read()
        counted = by_version(figures["flatdense_drift_rows"])
        # While the only worker of a version is replaced, nobody says what its reference is.
        references = by_version(figures["flatdense_drift_reference_rows"])
        self._references |= references
        for version in self._references.keys() - counted.keys() - references.keys():
            self._forget(version)
        for version, reference in self._references.items():
            window = self._windows.setdefault(version, Window(self._window_s))
            window.note(counted.get(version, {}), now_s)
            self._tell(version, window.growth(), reference)

    def _tell(self, version: Version, rows: Rows, reference: Rows) -> None:
        metrics = self._metrics
        features = sorted({feature for feature, _ in reference})
        window_rows = {feature: sum(select(feature, reference, rows)) for feature in features}
        metrics.drift_window_rows.labels(*version).set(max(window_rows.values()))
        for feature in features:
            if window_rows[feature] < MIN_ROWS:
                model, number = version
                metrics.drift_psi.remove(model=model, version=number, feature=feature)
                continue
            index = stability_index(
                select(feature, reference, rows), select(feature, reference, reference)
            )
            metrics.drift_psi.labels(*version, feature).set(index)

    def _forget(self, version: Version) -> None:
        model, number = version
        for gauge in (self._metrics.drift_psi, self._metrics.drift_window_rows):
            gauge.remove(model=model, version=number)
        del self._references[version]
        self._windows.pop(version, None)

    def _work(self) -> None:
        look_s = min(LONGEST_LOOK_S, max(SHORTEST_LOOK_S, self._window_s / SLOTS))
        while not self._closing.wait(look_s):
            try:
                self.look(time.monotonic())
            except Exception:
                if not self._failed:
                    log.exception("drift is not told; all else goes on")
                self._failed = True


def by_version(
    series: Mapping[tuple[str, ...], Sequence[float]],
) -> dict[Version, dict[Bin, float]]:
    """The rows in each bin of each version."""
    found: dict[Version, dict[Bin, float]] = {}
    for (model, version, feature, number), (rows,) in series.items():
        found.setdefault((model, version), {})[feature, number] = rows
    return found


def select(feature: str, bins: Rows, rows: Rows) -> list[float]:
    """The rows in the bins that a feature has, always in the same order."""
    return [rows.get(each, 0.0) for each in bins if each[0] == feature]
