"""From a version's folder to a version that can serve."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from flatdense_artifact import ArtifactError, Weights, version_folder

from flatdense_server.engine.engine import Engine, EngineError
from flatdense_server.models.gate import OpenEngine, open_version
from flatdense_server.models.statuses import Statuses
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.summary import ModelFacts

log = logging.getLogger(__name__)


class VersionRefused(Exception):
    """A version failed a check. The reason is in the log, the status and the metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedVersion:
    """A version that passed every check: warm, and used by nobody yet."""

    number: int
    facts: ModelFacts
    engine: Engine
    weights: Weights | None = None
    """Of the two dense layers, where they are known."""


class Loader:
    """Takes versions through the gate. For one thread."""

    def __init__(
        self,
        model_dir: Path,
        model_name: str,
        *,
        cache_dir: Path,
        open_engine: OpenEngine,
        statuses: Statuses,
        metrics: Metrics,
    ) -> None:
        self._model_dir = model_dir
        self._model_name = model_name
        self._cache_dir = cache_dir
        self._open_engine = open_engine
        self._statuses = statuses
        self._metrics = metrics

    def load(self, version: int) -> LoadedVersion:
        """The version, warm and checked. Raises VersionRefused where it fails a check."""
        self._statuses.put(version, "loading")
        log.info("loading", extra={"model": self._model_name, "version": version})
        started_s = time.monotonic()
        try:
            loaded = self._open(version)
        except (ArtifactError, EngineError) as error:
            self._statuses.put(version, "failed", str(error))
            log.error(  # noqa: TRY400 -- the message says it all; a traceback would hide it
                "version refused",
                extra={"model": self._model_name, "version": version, "reason": str(error)},
            )
            raise VersionRefused(str(error)) from error
        self._describe(loaded, time.monotonic() - started_s)
        return loaded

    def _open(self, version: int) -> LoadedVersion:
        folder = version_folder(self._model_dir, version)
        opened = open_version(folder, self._cache_dir, self._open_engine)
        return LoadedVersion(
            number=version, facts=opened.facts, engine=opened.engine, weights=opened.weights
        )

    def _describe(self, loaded: LoadedVersion, took_s: float) -> None:
        metrics, facts, spec = self._metrics, loaded.facts, loaded.engine.spec
        labels = (self._model_name, loaded.number)
        metrics.serve(*labels)
        metrics.model_load_duration_s.labels(*labels).set(took_s)
        metrics.model_info.labels(
            *labels,
            facts.training.dataset if facts.training else "",
            facts.parameters,
            facts.metrics.test_accuracy if facts.metrics else "",
            spec.name,
            spec.device,
        ).set(1)
        for sentence in facts.unchecked:
            log.warning(
                "not checked",
                extra={"model": self._model_name, "version": loaded.number, "reason": sentence},
            )
