"""What a scraper reads: the boards of all processes as one set of metrics."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from flatdense_server.observe.boards import Boards
from flatdense_server.observe.instruments import Family


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

    def expose(self, accept: str) -> tuple[bytes, str]:
        """All metrics in the format that an Accept header asks for: (body, content type)."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def describe(self) -> Iterable[Metric]:
        """See Collector.describe."""
        return []

    def collect(self) -> Iterable[Metric]:
        """See Collector.collect."""
        yield from self._collect_processes()
        for name, series in self._boards.read().items():
            yield write_family(self._families[name], series)

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


def write_family(family: Family, series: Mapping[tuple[str, ...], list[float]]) -> Metric:
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
        histogram.add_metric(
            labels, list(zip(bounds, accumulate(counts), strict=True)), sum_value=total
        )
    return histogram
