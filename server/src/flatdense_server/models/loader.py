"""From a version's folder to a version that can serve."""

import logging
import time
from pathlib import Path

from flatdense_artifact import ArtifactError, version_folder

from flatdense_server.batching.queue import QueueLimits
from flatdense_server.engine.engine import EngineError
from flatdense_server.models.gate import OpenEngine, open_version
from flatdense_server.models.servable import Servable
from flatdense_server.observe.metrics import Metrics

log = logging.getLogger(__name__)


class VersionRefused(Exception):
    """A version failed a check. The reason is in the log and in the metrics."""


class Loader:
    """Takes versions through the gate. For one thread."""

    def __init__(
        self,
        model_dir: Path,
        model_name: str,
        *,
        open_engine: OpenEngine,
        limits: QueueLimits,
        metrics: Metrics,
    ) -> None:
        self._model_dir = model_dir
        self._model_name = model_name
        self._open_engine = open_engine
        self._limits = limits
        self._metrics = metrics

    def load(self, version: int) -> Servable:
        """The version, warm and checked. Raises VersionRefused where it fails a check."""
        name, metrics = self._model_name, self._metrics
        metrics.set_model_state(name, version, "loading")
        log.info("loading", extra={"model": name, "version": version})
        try:
            servable = self._open(version)
        except (ArtifactError, EngineError) as error:
            metrics.set_model_state(name, version, "failed")
            log.error(  # noqa: TRY400 -- the message says it all; a traceback would hide it
                "version refused", extra={"version": version, "reason": str(error)}
            )
            raise VersionRefused(str(error)) from error
        metrics.set_model_state(name, version, "ready")
        return servable

    def _open(self, version: int) -> Servable:
        name, metrics = self._model_name, self._metrics
        started_s = time.monotonic()
        folder = version_folder(self._model_dir, version)
        manifest, engine = open_version(folder, self._open_engine)
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
        return Servable(
            name, version, manifest=manifest, engine=engine, limits=self._limits, metrics=metrics
        )
