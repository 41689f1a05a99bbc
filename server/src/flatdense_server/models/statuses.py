"""Where each version is on its way to being served, for metrics and for people."""

import threading
from collections.abc import Container, Mapping, Sequence

from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.summary import State, VersionStatus


class Statuses:
    """The states of the versions of one model. Thread-safe."""

    def __init__(self, model_name: str, metrics: Metrics) -> None:
        self._model_name = model_name
        self._metrics = metrics
        self._lock = threading.Lock()
        self._statuses: dict[int, VersionStatus] = {}

    def put(self, version: int, state: State, reason: str = "") -> None:
        """Notes the state of a version; `reason` says why it failed."""
        with self._lock:
            self._statuses[version] = VersionStatus(version=version, state=state, reason=reason)
        self._metrics.set_model_state(self._model_name, version, state)

    def keep(self, versions: Container[int]) -> None:
        """Forgets every version but these, in the metrics too."""
        with self._lock:
            gone = [version for version in self._statuses if version not in versions]
            for version in gone:
                del self._statuses[version]
        for version in gone:
            self._metrics.forget_state(self._model_name, version)

    def all(self, labels: Mapping[str, int]) -> Sequence[VersionStatus]:
        """Every status, by version, each with those of the labels that mean it."""
        with self._lock:
            statuses = sorted(self._statuses.items())
        return [
            VersionStatus(
                version=version,
                state=status.state,
                reason=status.reason,
                labels=sorted(label for label, target in labels.items() if target == version),
            )
            for version, status in statuses
        ]
