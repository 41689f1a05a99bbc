"""Serves the versions of a folder that the policy wants, as versions come and go."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from flatdense_artifact import NoVersions, list_versions

from flatdense_server.models.attempts import Attempts
from flatdense_server.models.loader import LoadedVersion
from flatdense_server.models.orders import Order, Orders
from flatdense_server.models.policy import Policy, PolicyInvalid, read_policy
from flatdense_server.models.registry import Registry, Routes
from flatdense_server.models.servable import Servable
from flatdense_server.models.shadow import Shadow
from flatdense_server.models.statuses import Statuses
from flatdense_server.observe.metrics.metrics import Metrics

log = logging.getLogger(__name__)


class NoUsableVersion(Exception):
    """Every version of the model folder failed a check. The reasons are in the log."""


class Follower:
    """Keeps the registry on what the policy wants and the gate lets in. For one thread.

    - A new version takes over when it is warm and checked; until then the old one answers.
    - The old version answers what it accepted, and lets go of its memory.
    - A version that fails is reported once, and tried again when its files change. A label that
      was moved to it stays where it was.
    - A version whose folder is gone is let go. Where none is left that passes, those in memory go
      on serving.
    """

    def __init__(
        self,
        model_dir: Path,
        *,
        registry: Registry,
        attempts: Attempts,
        make_servable: Callable[[LoadedVersion], Servable],
        statuses: Statuses,
        metrics: Metrics,
        shadow: Shadow | None = None,
    ) -> None:
        self._model_dir = model_dir
        self._registry = registry
        self._attempts = attempts
        self._make_servable = make_servable
        self._statuses = statuses
        self._metrics = metrics
        self._shadow = shadow
        self._policy = Policy()
        self._policy_fault = ""

    def begin(self) -> Servable:
        """Serves for the first time, and gives the version that answers by default.

        Raises PolicyInvalid, NoVersions where the folder has none, and NoUsableVersion where none
        passes.
        """
        self._policy = read_policy(self._model_dir)
        self._metrics.policy_valid.labels(self._registry.model_name).set(1)
        versions = list_versions(self._model_dir)
        self._attempts.trust(versions)
        self._follow(versions)
        routes = self._registry.routes
        if not routes.versions:
            raise NoUsableVersion(
                f"no version in {self._model_dir} can be served (there are {versions}); "
                "the log above says why."
            )
        return routes.default

    def watch(self, orders: Orders, interval_s: float) -> None:
        """Looks again and again, and does what is ordered, until there will be no more orders."""
        while True:
            order = orders.wait(interval_s)
            if orders.closed:
                return
            try:
                if order is None:
                    self.look()
                reason = self._obey(order) if order else ""
            except Exception:
                # Whatever it was, the version that serves goes on serving.
                log.exception("looking for versions failed")
                reason = "it failed; the server's log has the cause."
            if order:
                order.done(reason)

    def _obey(self, order: Order) -> str:
        return self.load() if order.action == "load" else self.unload()

    def load(self) -> str:
        """Looks now, and serves again what was unloaded. Gives why nothing is served then."""
        self._registry.unloaded = False
        self._attempts.retry()
        self.look()
        if served := self._registry.routes.versions:
            log.info(
                "loaded", extra={"model": self._registry.model_name, "versions": list_of(served)}
            )
            return ""
        reasons = [status.reason for status in self._registry.statuses() if status.reason]
        return " ".join(reasons) or f"there is no version in {self._model_dir}."

    def unload(self) -> str:
        """Serves nothing, until load(). What was accepted is answered."""
        before = self._registry.routes
        self._registry.unloaded = True
        self._registry.publish(Routes())
        self._metrics.set_labels(self._registry.model_name, {})
        for version, servable in before.versions.items():
            servable.close()
            self._statuses.put(version, "unloaded")
            self._metrics.forget(servable.name, version)
        log.info("unloaded", extra={"model": self._registry.model_name})
        return ""

    def look(self) -> None:
        """Takes over what is new, and leaves what is gone."""
        if self._registry.unloaded:
            return
        self._read_policy()
        try:
            versions = list_versions(self._model_dir)
        except NoVersions:
            return  # the versions in memory are better than none
        self._follow(versions)
        self._follow_shadow(versions)

    def _read_policy(self) -> None:
        try:
            self._policy, fault = read_policy(self._model_dir), ""
        except PolicyInvalid as error:
            fault = str(error)
        if fault and fault != self._policy_fault:
            log.error("versions.toml refused: it stays as it was", extra={"reason": fault})
        self._policy_fault = fault
        self._metrics.policy_valid.labels(self._registry.model_name).set(not fault)

    def _follow(self, available: Collection[int]) -> None:
        """Serves what the policy wants of the available versions."""
        before = self._registry.routes
        tried: set[int] = set()
        versions: dict[int, Servable] = {}
        for version in self._wanted(available, versions):
            if version in tried:
                continue
            tried.add(version)
            if servable := self._obtain(version, available):
                versions[version] = servable
        labels, dangling = self._point(available, versions)
        if not versions:
            versions, labels = dict(before.versions), dict(before.labels)
            dangling = {label: dangling[label] for label in dangling.keys() - labels.keys()}
        routes = Routes(dict(sorted(versions.items())), labels, dangling)
        if routes != before:
            self._take_over(before, routes)
        shadow = {self._shadow.version} if self._shadow else set()
        self._attempts.keep(tried | shadow)
        self._statuses.keep(tried | shadow | versions.keys())

    def _wanted(self, available: Collection[int], served: Collection[int]) -> Iterator[int]:
        """The versions to serve, while `served` fills with those of them that passed."""
        policy = self._policy
        if policy.versions is None:
            candidate = self._shadow.version if self._shadow else None
            for version in sorted(set(available) - {candidate}, reverse=True):
                if len(served) == (policy.latest or 1):
                    break
                yield version
        else:
            yield from policy.versions
        yield from policy.labels.values()

    def _obtain(self, version: int, available: Collection[int]) -> Servable | None:
        served = self._registry.routes.versions.get(version)
        if version not in available:
            served = None  # its folder is gone
        elif served and not self._attempts.is_stale(version):
            return served
        loaded = self._attempts.load(version)
        return self._make_servable(loaded) if loaded else served

    def _point(
        self, available: Collection[int], versions: dict[int, Servable]
    ) -> tuple[dict[str, int], dict[str, int]]:
        """Labels to what they mean; and those for which nothing answers.

        A label whose new version does not answer stays where it was.
        """
        before = self._registry.routes
        labels, dangling = {}, {}
        for label, wanted in self._policy.labels.items():
            version = wanted if wanted in versions else before.labels.get(label, wanted)
            if version in before.versions and version in available:
                versions.setdefault(version, before.versions[version])
            if version in versions:
                labels[label] = version
            else:
                dangling[label] = wanted
        return labels, dangling

    def _take_over(self, before: Routes, routes: Routes) -> None:
        self._registry.publish(routes)
        self._metrics.set_labels(self._registry.model_name, routes.labels)
        for version, servable in routes.versions.items():
            if before.versions.get(version) is not servable:
                self._statuses.put(version, "ready")
        for version, servable in before.versions.items():
            if routes.versions.get(version) is not servable:
                servable.close()
            if version not in routes.versions:
                self._metrics.forget(servable.name, version)
        if not before.versions:
            return
        extra: dict[str, object] = {
            "model": self._registry.model_name,
            "versions": list_of(routes.versions),
        }
        if routes.labels:
            extra["labels"] = list_of(
                f"{label}={version}" for label, version in routes.labels.items()
            )
        if routes.default is before.default:
            log.info("serving", extra=extra)
        else:
            swap = {"version": routes.default.version, "was": before.default.version}
            log.info("swapped", extra={**swap, **extra})

    def _follow_shadow(self, available: Collection[int]) -> None:
        shadow = self._shadow
        if shadow is None or (shadow.runs and shadow.version in available):
            return
        shadow.end()
        self._metrics.forget_shadow(self._registry.model_name, shadow.version)
        if shadow.version not in self._registry.routes.versions:
            self._metrics.forget(self._registry.model_name, shadow.version)
        if candidate := self._attempts.load(shadow.version):
            shadow.begin(candidate)
        if shadow.version in self._registry.routes.versions:
            self._statuses.put(shadow.version, "ready")  # the policy names it: it answers as well


def list_of(words: Iterable[object]) -> str:
    """As one word of a log line."""
    return ",".join(map(str, words))
