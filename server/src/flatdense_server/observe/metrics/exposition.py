"""What a scraper reads: the boards of all processes as one set of metrics."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as OpenMetricsExemplar
from prometheus_client.utils import floatToGoString

from flatdense_server.observe.metrics.boards import Boards
from flatdense_server.observe.metrics.exemplars import Exemplar, decode_exemplars
from flatdense_server.observe.metrics.grpc_server import Figures, complete
from flatdense_server.observe.metrics.instruments import EXEMPLARS, Family

Bucket: TypeAlias = tuple[str, float] | tuple[str, float, OpenMetricsExemplar]


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a scraper got."""

    number: int = 0
    content_type: str = ""
    body: bytes = b""


class Exposition(Collector):
    """Writes the metrics of some boards, and of their processes, for scrapers. Thread-safe."""

    def __init__(
        self,
        boards: Boards,
        families: Mapping[str, Family],
        processes: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """`processes()` gives the process ids that live now, by name."""
        self._boards = boards
        self._families = families
        self._processes = processes
        self.registry = CollectorRegistry()
        """For prometheus_client's own tools."""
        self.registry.register(self)
        self._rendering = threading.Lock()
        self._last = Rendering()
        self.begun = 0
        """How often they were written so far."""

    def expose(self, accept: str, since: int | None = None) -> tuple[bytes, str]:
        """All metrics in the format that an Accept header asks for: (body, content type).

        What was written for somebody else will do where it was begun after `begun` was `since`: of
        many who ask at a time, most wait for one.
        """
        try:
            encode, content_type = choose_encoder(accept)
        except TypeError:  # a version that is no number
            encode, content_type = choose_encoder("")
        since = self.begun if since is None else since
        with self._rendering:
            if self._last.number <= since or self._last.content_type != content_type:
                self.begun += 1
                number = self.begun
                self._last = Rendering(number, content_type, encode(self.registry))
            return self._last.body, content_type

    def describe(self) -> Iterable[Metric]:
        """See Collector.describe."""
        return []

    def collect(self) -> Iterable[Metric]:
        """See Collector.collect."""
        yield from self._collect_processes()
        figures = complete(self._boards.read())
        for name, family in self._families.items():
            if family.kind != "exemplars":
                exemplars = figures.get(f"{name}{EXEMPLARS}", {})
                yield write_family(family, figures[name], exemplars)

    def _collect_processes(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for process, pid in self._processes().items():
            # An own registry: the same names come from every process.
            collector = ProcessCollector(pid=partial(int, pid), registry=CollectorRegistry())
            for family in collector.collect():
                merged = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    merged.add_sample(sample.name, {"process": process}, sample.value)
        return families.values()


def write_family(family: Family, series: Figures, exemplars: Figures) -> Metric:
    """One family as prometheus_client has it."""
    if family.kind == "counter":
        counter = CounterMetricFamily(family.name, family.help, labels=family.labels)
        for labels, (value,) in series.items():
            counter.add_metric(labels, value)
        return counter
    if family.kind == "gauge":
        gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
        for labels, (value,) in series.items():
            gauge.add_metric(labels, value)
        return gauge
    histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    bounds = [*map(floatToGoString, family.buckets), "+Inf"]
    for labels, (*counts, total) in series.items():
        buckets: list[Bucket] = list(zip(bounds, accumulate(counts), strict=True))
        for number, exemplar in enumerate(decode_exemplars(exemplars.get(labels, ()))):
            if exemplar:
                buckets[number] = (*buckets[number][:2], write_exemplar(exemplar))
        histogram.add_metric(labels, buckets, sum_value=total)
    return histogram


def write_exemplar(exemplar: Exemplar) -> OpenMetricsExemplar:
    """One call as prometheus_client has it."""
    ids = {
        "trace_id": f"{exemplar.trace.trace_id:032x}",
        "span_id": f"{exemplar.trace.span_id:016x}",
    }
    return OpenMetricsExemplar(ids, exemplar.value, round(exemplar.time_s, 3))
