"""Which version a request means."""

import threading

from flatdense_server.errors import Draining, NotFound, NotReady
from flatdense_server.models.servable import Servable
from flatdense_server.summary import ModelSummary


class Registry:
    """The served versions of one model. Thread-safe: a reader sees all of a change or nothing."""

    def __init__(self, model_name: str, *, max_request_rows: int) -> None:
        self.model_name = model_name
        self._max_request_rows = max_request_rows
        self._lock = threading.Lock()
        self._versions: dict[int, Servable] = {}
        self._draining = False

    @property
    def ready(self) -> bool:
        """Whether a request would be taken now."""
        return bool(self._versions) and not self._draining

    def publish(self, servable: Servable) -> None:
        """From now on the version answers."""
        with self._lock:
            versions = {**self._versions, servable.version: servable}
            self._versions = dict(sorted(versions.items()))

    def retire(self, version: int) -> None:
        """From now on no new request reaches the version. What it accepted is still answered."""
        with self._lock:
            self._versions = {
                number: kept for number, kept in self._versions.items() if number != version
            }

    def drain(self) -> None:
        """From now on every request is refused. What was taken before is still answered."""
        self._draining = True

    def close(self) -> None:
        """Answers what was accepted and lets go of every version."""
        for servable in self._versions.values():
            servable.close()

    def resolve(self, name: str = "", version: int | None = None, label: str = "") -> Servable:
        """The version that a selector means: the highest one where it names none.

        Raises NotFound, NotReady or Draining.
        """
        if name and name != self.model_name:
            raise NotFound(
                "model", name, f"there is no model {name!r}: this server has {self.model_name!r}."
            )
        if self._draining:
            raise Draining("the server is stopping. Try another one, or try again later.")
        versions = self._versions
        if not versions:
            raise NotReady(f"the model {self.model_name!r} is still loading. Try again later.")
        if label:
            raise NotFound(
                "label",
                label,
                f"the model {self.model_name!r} has no label {label!r}: none is set.",
            )
        if version is None:
            return versions[max(versions)]
        if version not in versions:
            available = ", ".join(map(str, versions))
            raise NotFound(
                "version",
                str(version),
                f"the model {self.model_name!r} has no version {version}: available: {available}.",
            )
        return versions[version]

    def summarize(self, servable: Servable) -> ModelSummary:
        """Describes a version and how it is served."""
        spec = servable.engine_spec
        return ModelSummary(
            name=servable.name,
            version=servable.version,
            available_versions=tuple(self._versions),
            manifest=servable.manifest,
            engine=spec.name,
            device=spec.device,
            ladder_rows=spec.ladder.sizes,
            max_request_rows=self._max_request_rows,
        )
