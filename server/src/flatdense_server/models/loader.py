"""From a model folder to a served version."""

import logging
import time
from pathlib import Path

from flatdense_artifact import ArtifactError, list_versions, version_folder

from flatdense_server.batching.queue import QueueLimits
from flatdense_server.engine.engine import EngineError
from flatdense_server.models.gate import OpenEngine, open_version
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.observe.metrics import Metrics

log = logging.getLogger(__name__)


class NoUsableVersion(Exception):
    """Every version of the model folder failed a check. The reasons are in the log."""


class Loader:
    """Takes versions through the gate and publishes what passes. For one thread."""

    def __init__(
        self,
        model_dir: Path,
        *,
        registry: Registry,
        open_engine: OpenEngine,
        limits: QueueLimits,
        metrics: Metrics,
    ) -> None:
        self._model_dir = model_dir
        self._registry = registry
        self._open_engine = open_engine
        self._limits = limits
        self._metrics = metrics

    def load_latest(self) -> Servable:
        """Serves the highest version that passes; one that fails is reported and the next tried.

        Raises NoVersions where the folder has none, and NoUsableVersion where none passes.
        """
        versions = list_versions(self._model_dir)
        for version in reversed(versions):
            try:
                return self._load(version)
            except (ArtifactError, EngineError) as error:
                self._metrics.set_model_state(self._registry.model_name, version, "failed")
                log.error(  # noqa: TRY400 -- the message says it all; a traceback would hide it
                    "version refused", extra={"version": version, "reason": str(error)}
                )
        raise NoUsableVersion(
            f"no version in {self._model_dir} can be served (tried {versions[::-1]}); "
            "the log above says why. Export the model again with flatdense-train."
        )

    def _load(self, version: int) -> Servable:
        name, metrics = self._registry.model_name, self._metrics
        started_s = time.monotonic()
        metrics.set_model_state(name, version, "loading")
        log.info("loading", extra={"model": name, "version": version})
        folder = version_folder(self._model_dir, version)
        manifest, engine = open_version(folder, self._open_engine)
        servable = Servable(
            name, version, manifest=manifest, engine=engine, limits=self._limits, metrics=metrics
        )
        self._registry.publish(servable)
        metrics.set_model_state(name, version, "ready")
        metrics.model_load_duration_s.labels(name, version).set(time.monotonic() - started_s)
        metrics.model_info.labels(
            name,
            version,
            manifest.training.dataset,
            manifest.architecture.parameters,
            manifest.metrics.test_accuracy,
            engine.spec.name,
            engine.spec.device,
        ).set(1)
        return servable
