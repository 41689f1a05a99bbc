"""The boards of all processes of a service, read as one."""

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from flatdense_server.observe.board import Board
from flatdense_server.observe.instruments import Family, Merge

Key: TypeAlias = tuple[str, tuple[str, ...]]
"""A family and its labels."""

MERGE: Final[Mapping[Merge, Callable[[Iterable[float]], float]]] = {
    "sum": sum,
    "max": max,
    "min": min,
}


class Boards:
    """The boards of the processes that live, and the counts of those that ended. Thread-safe."""

    def __init__(self, families: Mapping[str, Family]) -> None:
        self._families = families
        self._lock = threading.Lock()
        self._boards: list[Board] = []
        self._departed: dict[Key, list[float]] = {}

    def add(self, board: Board) -> None:
        """A process begins."""
        with self._lock:
            self._boards.append(board)

    def retire(self, board: Board) -> None:
        """A process has ended: what it counted stays, what it was does not."""
        with self._lock:
            self._boards.remove(board)
            for series, figures in board.read():
                if self._families[series.family].kind != "gauge":
                    key = (series.family, series.labels)
                    before = self._departed.get(key, [0.0] * len(figures))
                    self._departed[key] = add(before, figures)

    def read(self) -> dict[str, dict[tuple[str, ...], list[float]]]:
        """The figures of all together: family -> labels -> figures."""
        said: dict[Key, list[list[float]]] = {}
        with self._lock:
            for key, figures in self._departed.items():
                said[key] = [figures]
            for board in self._boards:
                for series, figures in board.read():
                    if is_said(figures):
                        said.setdefault((series.family, series.labels), []).append(figures)
        merged: dict[str, dict[tuple[str, ...], list[float]]] = {
            name: {} for name in self._families
        }
        for (name, labels), all_figures in said.items():
            merge = MERGE[self._families[name].merge]
            merged[name][labels] = [merge(figures) for figures in zip(*all_figures, strict=True)]
        return merged


def is_said(figures: list[float]) -> bool:
    """Whether a series is there: a gauge that was removed is not."""
    return not math.isnan(figures[0])


def add(one: Iterable[float], other: Iterable[float]) -> list[float]:
    """Figure by figure."""
    return [a + b for a, b in zip(one, other, strict=True)]
