"""Metrics of all replicas in one place, as a scraper reads them."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

log = logging.getLogger("ray.serve")

GONE_S: Final = 15.0
"""A replica that has reported nothing for so long has ended."""

MIXED_S: Final = 30.0
"""So long replicas may serve different versions: each takes up a new one by itself."""

LABEL: Final = "replica"


@dataclass(frozen=True, slots=True)
class Report:
    """What one replica measured."""

    families: tuple[Metric, ...]
    at_s: float


class Meter:
    """Keeps the last report of each replica. One for a whole application, on one event loop."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._reports: dict[str, Report] = {}
        self._mixed_since_s: float | None = None

    def report(self, replica: str, exposition: str) -> None:
        """Takes what a replica's server exposes, in Prometheus' text format."""
        families = tuple(text_string_to_metric_families(exposition))
        self._reports[replica] = Report(families, self._now())
        self._forget()
        self._compare()

    def expose(self) -> bytes:
        """Every series of every replica that lives, with the label `replica`."""
        self._forget()
        registry = CollectorRegistry()
        registry.register(Labelled({name: each.families for name, each in self._reports.items()}))
        exposed: bytes = generate_latest(registry)
        return exposed

    def _forget(self) -> None:
        oldest_s = self._now() - GONE_S
        self._reports = {
            name: report for name, report in self._reports.items() if report.at_s > oldest_s
        }

    def _compare(self) -> None:
        """Says so, once, where replicas go on serving different versions."""
        versions = Counter(find_version(report.families) for report in self._reports.values())
        if len(versions) < 2:  # noqa: PLR2004
            self._mixed_since_s = None
            return
        now_s = self._now()
        if self._mixed_since_s is None:
            self._mixed_since_s = now_s
        elif self._mixed_since_s + MIXED_S <= now_s:
            counted = ", ".join(f"{name}: {count}" for name, count in sorted(versions.items()))
            log.error(
                "replicas serve different versions (version: replicas): %s. Their nodes do not see "
                "the same model folder: give every node the same one.",
                counted,
            )
            self._mixed_since_s = float("inf")


class Labelled(Collector):
    """Families of several replicas as one set."""

    def __init__(self, families: Mapping[str, Iterable[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """See Collector.collect."""
        merged: dict[str, Metric] = {}
        for replica, families in self._families.items():
            for family in families:
                into = merged.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {**sample.labels, LABEL: replica}
                    into.add_sample(sample.name, labels, sample.value)
        return merged.values()


def find_version(families: Iterable[Metric]) -> str:
    """The newest version that a replica serves; empty where it serves none."""
    served = [
        sample.labels["version"]
        for family in families
        if family.name == "flatdense_model_state"
        for sample in family.samples
        if sample.labels["state"] == "ready" and sample.value
    ]
    return max(served, key=int, default="")
