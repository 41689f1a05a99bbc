"""What counts and measures: counters, gauges and histograms that write to a board.

They have the names and the meaning of prometheus_client's, which writes what they say for scrapers
(exposition.py). Its own instruments keep their figures in one process, or write a file for each:
there a series of a version that is gone cannot be removed, and each value of a batch is written
alone. See docs/decisions/0005-one-set-of-metrics.md.

The cells of a series that is removed become those of another one. So an instrument finds its cells
under its lock, and one that is removed has others, which nobody reads: whoever still has it, and
writes late, writes there.
"""

import logging
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from flatdense_server.observe.metrics.board import CELL_BYTES, Board, BoardFull, Cells, Series
from flatdense_server.observe.metrics.exemplars import CELLS_EACH, encode_exemplar
from flatdense_server.observe.traces.traceparent import TraceContext

log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["counter", "gauge", "histogram", "exemplars"]
Merge: TypeAlias = Literal["sum", "max", "min", "latest"]

EXEMPLARS: Final = ":exemplars"
"""After a histogram's name, the family of its exemplars, which is not exposed by itself."""


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
    stays: bool = False
    """Whether Writer.forget() leaves its series alone."""

    @property
    def cells(self) -> int:
        """How many figures one series has: a histogram one for each bucket, and the sum."""
        match self.kind:
            case "histogram":
                return len(self.buckets) + 2
            case "exemplars":
                return (len(self.buckets) + 1) * CELLS_EACH
        return 1


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

    def detach(self, cells: Cells) -> None:
        """From now on it writes there."""
        with self._lock:
            self._cells, self._start = cells, 0


class Gauge:
    """A number that goes up and down."""

    __slots__ = ("_cells", "_lock", "_start")

    def __init__(self, cells: Cells, start: int) -> None:
        self._cells, self._start = cells, start
        self._lock = threading.Lock()

    def set(self, value: float) -> None:
        """It is this now."""
        with self._lock:
            self._cells[self._start] = value

    def inc(self, amount: float = 1) -> None:
        """It is more by this."""
        with self._lock:
            self._cells[self._start] += amount

    def dec(self, amount: float = 1) -> None:
        """It is less by this."""
        with self._lock:
            self._cells[self._start] -= amount

    def detach(self, cells: Cells) -> None:
        """From now on it writes there."""
        with self._lock:
            self._cells, self._start = cells, 0


class Histogram:
    """How values are distributed."""

    __slots__ = ("_buckets", "_cells", "_lock", "_start")

    def __init__(self, cells: Cells, start: int, buckets: tuple[float, ...]) -> None:
        self._cells, self._start, self._buckets = cells, start, buckets
        self._lock = threading.Lock()

    @property
    def buckets(self) -> tuple[float, ...]:
        """The upper bounds, ascending, without infinity."""
        return self._buckets

    def observe(self, *values: float) -> None:
        """These came. Many at once cost less than one by one."""
        if len(values) != 1:
            self.add(tally(self._buckets, values))
            return
        (value,) = values
        bucket = bisect_left(self._buckets, value)
        with self._lock:
            cells, start = self._cells, self._start
            cells[start + bucket] += 1
            cells[start + len(self._buckets) + 1] += value

    def add(self, came: "Tally") -> None:
        """The same, of values that were told apart for several histograms of these buckets."""
        counts, total = came
        with self._lock:
            cells, start = self._cells, self._start
            for bucket, count in counts:
                cells[start + bucket] += count
            cells[start + len(self._buckets) + 1] += total

    def detach(self, cells: Cells) -> None:
        """From now on it writes there."""
        with self._lock:
            self._cells, self._start = cells, 0


class Tally(NamedTuple):
    """Values, told apart by the buckets that they fall into."""

    counts: Sequence[tuple[int, int]]
    """Bucket and how many; of each bucket at most once."""
    total: float
    """Their sum."""


def tally(buckets: Sequence[float], values: Sequence[float]) -> Tally:
    """Each falls into the first bucket whose bound is not below it."""
    if len(values) == 1:
        return Tally(((bisect_left(buckets, values[0]), 1),), values[0])
    ordered, begin = sorted(values), 0
    counts = []
    while begin < len(ordered):
        bucket = bisect_left(buckets, ordered[begin])
        finite = bucket < len(buckets)
        end = bisect_right(ordered, buckets[bucket], begin) if finite else len(ordered)
        counts.append((bucket, end - begin))
        begin = end
    return Tally(counts, sum(ordered))


class Exemplars:
    """The latest call of each bucket of a histogram that has a trace."""

    __slots__ = ("_buckets", "_cells", "_lock", "_start")

    def __init__(self, cells: Cells, start: int, buckets: tuple[float, ...]) -> None:
        self._cells, self._start, self._buckets = cells, start, buckets
        self._lock = threading.Lock()

    def keep(self, value: float, trace: TraceContext) -> None:
        """A call came, which the histogram has observed."""
        said = encode_exemplar(value, trace)
        with self._lock:
            start = self._start + bisect_left(self._buckets, value) * CELLS_EACH
            self._cells[start : start + CELLS_EACH] = array("d", said)

    def detach(self, cells: Cells) -> None:
        """From now on it writes there."""
        with self._lock:
            self._cells, self._start = cells, 0


Instrument = TypeVar("Instrument", Counter, Gauge, Histogram, Exemplars)

Names: TypeAlias = tuple[str, ...]
Values: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ground:
    """What the families of one board share."""

    board: Board
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Of the board's writers."""
    closed: dict[Names, set[Values]] = field(default_factory=dict)
    """Names of labels, and the values that no series may have in them."""

    def is_open(self, family: Family, key: Values) -> bool:
        """Whether there may be a series with these labels."""
        labels = dict(zip(family.labels, key, strict=True))
        return family.stays or not any(
            labels.keys() >= set(names) and tuple(labels[name] for name in names) in values
            for names, values in self.closed.items()
        )


class Labelled(Generic[Instrument]):
    """The series of one family, by their labels. Thread-safe."""

    def __init__(self, family: Family, ground: Ground, make: Callable[..., Instrument]) -> None:
        self.family = family
        self._ground = ground
        self._make: Callable[..., Instrument] = make
        self._series: dict[Values, tuple[Series | None, Instrument]] = {}

    def labels(self, *values: object) -> Instrument:
        """The series with these labels, in the order of the family's.

        Of a subject that Writer.forget() was told of, an instrument that counts for nobody.
        """
        key = tuple(map(str, values))
        found = self._series.get(key)
        if found is None:
            with self._ground.lock:
                found = self._series.get(key) or self._begin(key)
        return found[1]

    def remove(self, **labels: object) -> None:
        """Series with these labels go, whatever their other labels are."""
        with self._ground.lock:
            self._ground.board.remove(self.detach(labels))

    def detach(self, labels: Mapping[str, object]) -> list[Series]:
        """Those of the board that must go for it; nobody writes there any more.

        For whoever has the lock of the ground.
        """
        wanted = {name: str(value) for name, value in labels.items()}
        gone = []
        for key in list(self._series):
            if wanted.items() <= dict(zip(self.family.labels, key, strict=True)).items():
                series, instrument = self._series.pop(key)
                instrument.detach(nowhere(self.family))
                if series:
                    gone.append(series)
        return gone

    def _begin(self, key: Values) -> tuple[Series | None, Instrument]:
        family, ground = self.family, self._ground
        if len(key) != len(family.labels):
            raise ValueError(f"{family.name} has the labels {family.labels}, not {key}")
        more = (family.buckets,) if family.buckets else ()
        if not ground.is_open(family, key):
            return None, self._make(nowhere(family), 0, *more)
        series, cells, start = None, nowhere(family), 0
        try:
            series = ground.board.add(family.name, key, family.cells)
            cells, start = ground.board.cells, series.start
        except BoardFull as error:
            log.warning("a metric is not kept", extra={"reason": str(error)})
        found = self._series[key] = (series, self._make(cells, start, *more))
        return found


def nowhere(family: Family) -> Cells:
    """Cells that nobody reads."""
    return memoryview(bytearray(family.cells * CELL_BYTES)).cast("d")


class Writer:
    """Makes the instruments of one board."""

    def __init__(self, board: Board) -> None:
        self._ground = Ground(board)
        self._made: list[Labelled[Any]] = []
        self.families: dict[str, Family] = {}
        """What was made, by name."""

    def counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Labelled[Counter]:
        """Counters."""
        family = Family(kind="counter", name=name, help=text, labels=labels)
        return self._labelled(family, Counter)

    def gauge(
        self,
        name: str,
        text: str,
        labels: tuple[str, ...] = (),
        *,
        merge: Merge = "max",
        stays: bool = False,
    ) -> Labelled[Gauge]:
        """Gauges."""
        family = Family(kind="gauge", name=name, help=text, labels=labels, merge=merge, stays=stays)
        return self._labelled(family, Gauge)

    def histogram(
        self, name: str, text: str, labels: tuple[str, ...], *, buckets: Sequence[float]
    ) -> Labelled[Histogram]:
        """Histograms."""
        family = Family(
            kind="histogram", name=name, help=text, labels=labels, buckets=tuple(buckets)
        )
        return self._labelled(family, Histogram)

    def exemplars(self, histograms: Labelled[Histogram]) -> Labelled[Exemplars]:
        """Those of histograms."""
        of = histograms.family
        family = Family(
            kind="exemplars",
            name=f"{of.name}{EXEMPLARS}",
            help="",
            labels=of.labels,
            buckets=of.buckets,
            merge="latest",
        )
        return self._labelled(family, Exemplars)

    def forget(self, **labels: object) -> None:
        """Every series with these labels goes; until remember(), what comes for them is let go."""
        ground, (names, values) = self._ground, subject(labels)
        with ground.lock:
            ground.closed.setdefault(names, set()).add(values)
            made = [one for one in self._made if labels.keys() <= set(one.family.labels)]
            ground.board.remove(
                [series for one in made if not one.family.stays for series in one.detach(labels)]
            )

    def remember(self, **labels: object) -> None:
        """There may be series with these labels again."""
        names, values = subject(labels)
        with self._ground.lock:
            self._ground.closed.get(names, set()).discard(values)

    def _labelled(self, family: Family, make: Callable[..., Instrument]) -> Labelled[Instrument]:
        self.families[family.name] = family
        labelled = Labelled(family, self._ground, make)
        self._made.append(labelled)
        return labelled


def subject(labels: Mapping[str, object]) -> tuple[Names, Values]:
    """What labels are about, as Ground.closed has it."""
    return tuple(labels), tuple(map(str, labels.values()))
