"""The boards of all processes of a service, read as one."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from flatdense_server.observe.metrics.board import Board
from flatdense_server.observe.metrics.exemplars import latest
from flatdense_server.observe.metrics.instruments import Family, Merge

Key: TypeAlias = tuple[str, tuple[str, ...]]
"""A family and its labels."""

Subject: TypeAlias = tuple[str, str]
"""A model and one of its versions."""

VERSIONS: Final = ("version", "shadow")
"""Labels that name a version of a model."""

COUNTS: Final = ("counter", "histogram")
"""What outlives its process."""


def by_figure(merge: Callable[[Iterable[float]], float]) -> Callable[..., list[float]]:
    """Merges series whose figures have nothing to do with each other."""
    return lambda several: [merge(figures) for figures in zip(*several, strict=True)]


MERGE: Final[Mapping[Merge, Callable[[Sequence[Sequence[float]]], list[float]]]] = {
    "sum": by_figure(sum),
    "max": by_figure(max),
    "min": by_figure(min),
    "latest": latest,
}


class Boards:
    """The boards of the processes that live, and the counts of those that ended. Thread-safe.

    A version's counts go when it is not served any more, by whichever process they were.
    """

    def __init__(self, families: Mapping[str, Family]) -> None:
        self._families = families
        self._lock = threading.Lock()
        self._boards: list[Board] = []
        self._settled: list[Board] = []
        self._departed: dict[Key, list[float]] = {}

    def add(self, board: Board) -> None:
        """A process begins."""
        with self._lock:
            self._boards.append(board)

    def settle(self, board: Board) -> None:
        """It serves all that it is to serve. Before, nothing follows from what it does not have."""
        with self._lock:
            self._settled.append(board)

    def retire(self, board: Board) -> None:
        """A process has ended: what it counted stays, what it was does not."""
        with self._lock:
            self._boards.remove(board)
            if board in self._settled:
                self._settled.remove(board)
            for series, figures in board.read():
                if self._families[series.family].kind in COUNTS:
                    key = (series.family, series.labels)
                    before = self._departed.get(key, [0.0] * len(figures))
                    self._departed[key] = MERGE["sum"]([before, figures])

    def read(self) -> dict[str, dict[tuple[str, ...], list[float]]]:
        """The figures of all together: family -> labels -> figures."""
        said: dict[Key, list[list[float]]] = {}
        with self._lock:
            for board in self._boards:
                for series, figures in board.read():
                    said.setdefault((series.family, series.labels), []).append(figures)
            if self._settled:
                self._let_go({each for key in said for each in self._subjects(key)})
            for key, figures in self._departed.items():
                said.setdefault(key, []).append(figures)
        merged: dict[str, dict[tuple[str, ...], list[float]]] = {
            name: {} for name in self._families
        }
        for (name, labels), several in said.items():
            merged[name][labels] = MERGE[self._families[name].merge](several)
        return merged

    def _let_go(self, served: set[Subject]) -> None:
        for key in list(self._departed):
            if not served.issuperset(self._subjects(key)):
                del self._departed[key]

    def _subjects(self, key: Key) -> Iterator[Subject]:
        """The versions that a series is about. A state is about none: one that is gone has it."""
        name, values = key
        family = self._families[name]
        labels = dict(zip(family.labels, values, strict=True))
        if "model" in labels and not family.stays:
            for label in VERSIONS:
                if labels.get(label):
                    yield labels["model"], labels[label]
