"""What counts and measures: counters, gauges and histograms that write to a board.

They have the names and the meaning of prometheus_client's, which writes what they say for scrapers
(exposition.py). Its own instruments keep their figures in one process, or write a file for each:
there a series of a version that is gone cannot be removed, and each value of a batch is written
alone. See docs/decisions/0005-one-set-of-metrics.md.
"""

import ctypes
import logging
import math
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from flatdense_server.observe.board import Board, BoardFull, Cells

log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Merge: TypeAlias = Literal["sum", "max", "min"]

ABSENT = math.nan
"""In the cell of a gauge that says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What series of one name have in common."""

    kind: Kind
    name: str
    """Without the suffix of counters."""
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Of histograms: the upper bounds, ascending, without infinity."""
    merge: Merge = "sum"
    """What several processes say together."""

    @property
    def cells(self) -> int:
        """How many figures one series has: a histogram one for each bucket, and the sum."""
        return len(self.buckets) + 2 if self.kind == "histogram" else 1


class Counter:
    """A number of events. Thread-safe, like the others."""

    __slots__ = ("_cells", "_lock", "_start")

    def __init__(self, cells: Cells, start: int) -> None:
        self._cells, self._start = cells, start
        self._lock = threading.Lock()

    def inc(self, events: float = 1) -> None:
        """So many more have happened."""
        with self._lock:
            self._cells[self._start] += events


class Gauge:
    """A number that goes up and down."""

    __slots__ = ("_cells", "_lock", "_start")

    def __init__(self, cells: Cells, start: int) -> None:
        self._cells, self._start = cells, start
        self._lock = threading.Lock()

    def set(self, value: float) -> None:
        """It is this now."""
        self._cells[self._start] = value

    def inc(self, amount: float = 1) -> None:
        """It is more by this."""
        with self._lock:
            self._cells[self._start] += amount

    def dec(self, amount: float = 1) -> None:
        """It is less by this."""
        self.inc(-amount)


class Histogram:
    """How values are distributed."""

    __slots__ = ("_buckets", "_cells", "_lock", "_start")

    def __init__(self, cells: Cells, start: int, buckets: tuple[float, ...]) -> None:
        self._cells, self._start, self._buckets = cells, start, buckets
        self._lock = threading.Lock()

    def observe(self, *values: float) -> None:
        """These came. Many at once cost less than one by one."""
        cells, start, buckets = self._cells, self._start, self._buckets
        ordered, begin = sorted(values), 0
        with self._lock:
            while begin < len(ordered):
                bucket = bisect_left(buckets, ordered[begin])
                finite = bucket < len(buckets)
                end = bisect_right(ordered, buckets[bucket], begin) if finite else len(ordered)
                cells[start + bucket] += end - begin
                begin = end
            cells[start + len(buckets) + 1] += sum(ordered)


Instrument = TypeVar("Instrument", Counter, Gauge, Histogram)


class Labelled(Generic[Instrument]):
    """The series of one family, by their labels. Thread-safe."""

    def __init__(
        self, family: Family, board: Board, lock: threading.Lock, make: Callable[..., Instrument]
    ) -> None:
        """`lock` is one for all families of the board."""
        self._family = family
        self._board = board
        self._lock = lock
        self._make: Callable[..., Instrument] = make
        self._series: dict[tuple[str, ...], tuple[int, Instrument]] = {}

    def labels(self, *values: object) -> Instrument:
        """The series with these labels, in the order of the family's."""
        key = tuple(map(str, values))
        found = self._series.get(key)
        if found is None:
            with self._lock:
                found = self._series.get(key) or self._begin(key)
        return found[1]

    def remove(self, **labels: object) -> None:
        """Gauges with these labels say nothing any more, whatever their other labels are."""
        wanted = {name: str(value) for name, value in labels.items()}
        for key in list(self._series):
            if wanted.items() <= dict(zip(self._family.labels, key, strict=True)).items():
                self._board.cells[self._series[key][0]] = ABSENT

    def _begin(self, key: tuple[str, ...]) -> tuple[int, Instrument]:
        family, board = self._family, self._board
        if len(key) != len(family.labels):
            raise ValueError(f"{family.name} has the labels {family.labels}, not {key}")
        try:
            cells, start = board.cells, board.add(family.name, key, family.cells).start
        except BoardFull as error:
            log.warning("a metric is not kept", extra={"reason": str(error)})
            cells, start = (ctypes.c_double * family.cells)(), 0
        more = (family.buckets,) if family.kind == "histogram" else ()
        found = self._series[key] = (start, self._make(cells, start, *more))
        return found


class Writer:
    """Makes the instruments of one board."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lock = threading.Lock()
        self.families: dict[str, Family] = {}
        """What was made, by name."""

    def counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Labelled[Counter]:
        """Counters."""
        family = Family(kind="counter", name=name, help=text, labels=labels)
        return self._labelled(family, Counter)

    def gauge(
        self, name: str, text: str, labels: tuple[str, ...] = (), *, merge: Merge = "max"
    ) -> Labelled[Gauge]:
        """Gauges."""
        family = Family(kind="gauge", name=name, help=text, labels=labels, merge=merge)
        return self._labelled(family, Gauge)

    def histogram(
        self, name: str, text: str, labels: tuple[str, ...], *, buckets: Sequence[float]
    ) -> Labelled[Histogram]:
        """Histograms."""
        family = Family(
            kind="histogram", name=name, help=text, labels=labels, buckets=tuple(buckets)
        )
        return self._labelled(family, Histogram)

    def _labelled(self, family: Family, make: Callable[..., Instrument]) -> Labelled[Instrument]:
        self.families[family.name] = family
        return Labelled(family, self._board, self._lock, make)
