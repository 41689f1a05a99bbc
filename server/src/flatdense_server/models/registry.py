"""Which version a request means."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from flatdense_server.errors import Draining, NotFound, NotReady
from flatdense_server.models.policy import DEFAULT_LABEL
from flatdense_server.models.servable import Servable
from flatdense_server.models.statuses import Statuses
from flatdense_server.observe.traces.journey import Journey
from flatdense_server.selector import Selector
from flatdense_server.summary import ModelSummary, VersionStatus
from flatdense_server.tensors import Outputs, Rows

ANY: Final = Selector()


@dataclass(frozen=True)
class Routes:
    """Where requests go."""

    versions: Mapping[int, Servable] = field(default_factory=dict)
    """Those that answer, ascending."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """Label -> version that answers."""
    dangling: Mapping[str, int] = field(default_factory=dict)
    """Label -> version that does not: what the operator's file says and cannot be done."""

    @cached_property
    def default(self) -> Servable:
        """What answers a request that names no version. There is a version."""
        return self.versions[self.labels.get(DEFAULT_LABEL, max(self.versions))]


class Registry:
    """The served versions of one model. Thread-safe: a reader sees all of a change or nothing."""

    def __init__(
        self,
        model_name: str,
        *,
        statuses: Statuses,
        max_request_rows: int,
        batch_wait_us: int = 0,
    ) -> None:
        """`max_request_rows` and `batch_wait_us` are for summaries."""
        self.model_name = model_name
        self._max_request_rows = max_request_rows
        self._batch_wait_us = batch_wait_us
        self._statuses = statuses
        self._routes = Routes()
        self._draining = False
        self.unloaded = False
        """Whether nothing is served because somebody wants it so."""

    @property
    def ready(self) -> bool:
        """Whether a request would be taken now."""
        return bool(self._routes.versions) and not self._draining

    @property
    def idle(self) -> bool:
        """Whether no version has anything to do."""
        return all(servable.idle for servable in self._routes.versions.values())

    def rest(self) -> None:
        """Says that callers wait for nothing now."""
        for servable in self._routes.versions.values():
            servable.rest()

    @property
    def routes(self) -> Routes:
        """Where requests go now."""
        return self._routes

    def publish(self, routes: Routes) -> None:
        """From now on requests go there. What other versions accepted is still answered."""
        self._routes = routes

    def drain(self) -> None:
        """From now on every request is refused. What was taken before is still answered."""
        self._draining = True

    def close(self) -> None:
        """Answers what was accepted and lets go of every version."""
        for servable in self._routes.versions.values():
            servable.close()

    def check_model(self, name: str) -> None:
        """Raises NotFound where a request names another model; empty names this one."""
        if name and name != self.model_name:
            raise NotFound(
                "model", name, f"there is no model {name!r}: this server has {self.model_name!r}."
            )

    def resolve(self, selector: Selector = ANY) -> Servable:
        """The version that a selector means: `stable`, or the highest, where it names none.

        Raises NotFound, NotReady or Draining.
        """
        version, label = selector.version, selector.label
        self.check_model(selector.model)
        if self._draining:
            raise Draining("the server is stopping. Try another one, or try again later.")
        routes = self._routes
        if not routes.versions and self.unloaded:
            raise NotReady(f"the model {self.model_name!r} was unloaded. Load it, or wait.")
        if not routes.versions:
            raise NotReady(f"the model {self.model_name!r} is still loading. Try again later.")
        if label:
            return self._labelled(routes, label)
        if version is None:
            return routes.default
        if version not in routes.versions:
            raise self._no_version(version, routes.versions)
        return routes.versions[version]

    def submit(
        self,
        selector: Selector,
        rows: Rows,
        *,
        deadline_s: float | None,
        hidden: bool = False,
        journey: Journey | None = None,
    ) -> tuple[Servable, Future[Outputs]]:
        """Queues rows for what a selector means now: see Servable.submit.

        Raises NotFound, NotReady, Draining or QueueFull.
        """
        servable = self.resolve(selector)
        try:
            outputs = servable.submit(rows, deadline_s=deadline_s, hidden=hidden, journey=journey)
        except Draining:
            # Another version took over in this instant. Where it is the server that stops,
            # resolve() says so.
            servable = self.resolve(selector)
            outputs = servable.submit(rows, deadline_s=deadline_s, hidden=hidden, journey=journey)
        return servable, outputs

    def statuses(self) -> Sequence[VersionStatus]:
        """Every version that was loaded or tried, ascending."""
        return self._statuses.all(self._routes.labels)

    def find_statuses(self, selector: Selector) -> Sequence[VersionStatus]:
        """Every version's, or that of the version or label that is named. Raises NotFound."""
        self.check_model(selector.model)
        statuses = self.statuses()
        if selector.label:
            labels = {**self._routes.labels, **self._routes.dangling}
            if selector.label not in labels:
                raise self._no_label(self._routes, selector.label)
            wanted = labels[selector.label]
        elif selector.version is not None:
            wanted = selector.version
        else:
            return statuses
        found = [status for status in statuses if status.version == wanted]
        if not found:
            raise self._no_version(wanted, [status.version for status in statuses])
        return found

    def summarize(self, servable: Servable) -> ModelSummary:
        """Describes a version and how it is served."""
        spec, routes = servable.engine_spec, self._routes
        return ModelSummary(
            name=servable.name,
            version=servable.version,
            available_versions=tuple(routes.versions),
            versions=self.statuses(),
            facts=servable.facts,
            engine=spec.name,
            device=spec.device,
            ladder_rows=spec.ladder.sizes,
            hidden_count=spec.hidden_count,
            max_request_rows=self._max_request_rows,
            batch_wait_us=self._batch_wait_us,
        )

    def _labelled(self, routes: Routes, label: str) -> Servable:
        if label in routes.labels:
            return routes.versions[routes.labels[label]]
        raise self._no_label(routes, label)

    def _no_version(self, version: int, available: Iterable[int]) -> NotFound:
        return NotFound(
            "version",
            str(version),
            f"the model {self.model_name!r} has no version {version}: available: "
            f"{', '.join(map(str, available))}.",
        )

    def _no_label(self, routes: Routes, label: str) -> NotFound:
        if label in routes.dangling:
            why = f"it means version {routes.dangling[label]}, which is not served"
        else:
            why = (
                f"available: {', '.join(sorted(routes.labels))}" if routes.labels else "none is set"
            )
        return NotFound(
            "label", label, f"the model {self.model_name!r} has no label {label!r}: {why}."
        )
