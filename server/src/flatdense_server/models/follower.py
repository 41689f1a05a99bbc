"""Serves the newest version of a folder, as versions come and go."""

import logging
import threading
from pathlib import Path

from flatdense_artifact import NoVersions, list_versions, version_folder

from flatdense_server.models.loader import Loader, VersionRefused
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.observe.metrics import Metrics

log = logging.getLogger(__name__)

Fingerprint = tuple[tuple[str, int, int], ...]


class NoUsableVersion(Exception):
    """Every version of the model folder failed a check. The reasons are in the log."""


class Follower:
    """Keeps the registry on the highest version that passes the gate. For one thread.

    - A new version takes over when it is warm and checked; until then the old one answers.
    - The old version answers what it accepted, and lets go of its memory.
    - A version that fails is reported once, and tried again when its files change.
    - Where the served version's folder is gone, the highest one that is left takes over; where none
      is left that passes, the version in memory goes on serving.
    """

    def __init__(
        self, model_dir: Path, *, registry: Registry, loader: Loader, metrics: Metrics
    ) -> None:
        self._model_dir = model_dir
        self._registry = registry
        self._loader = loader
        self._metrics = metrics
        self._serving: Servable | None = None
        self._refused: dict[int, Fingerprint] = {}

    def begin(self) -> Servable:
        """Serves for the first time.

        Raises NoVersions where the folder has none, and NoUsableVersion where none passes.
        """
        versions = list_versions(self._model_dir)
        self._look_at(versions)
        if self._serving is None:
            raise NoUsableVersion(
                f"no version in {self._model_dir} can be served (tried {versions[::-1]}); "
                "the log above says why."
            )
        return self._serving

    def watch(self, stop: threading.Event, interval_s: float) -> None:
        """Looks again and again until `stop` is set."""
        while not stop.wait(interval_s):
            try:
                self.look()
            except Exception:
                # Whatever it was, the version that serves goes on serving.
                log.exception("looking for versions failed")

    def look(self) -> None:
        """Takes over what is new, and leaves what is gone."""
        try:
            versions = list_versions(self._model_dir)
        except NoVersions:
            return  # the version in memory is better than none
        self._look_at(versions)

    def _look_at(self, versions: list[int]) -> None:
        self._refused = {old: seen for old, seen in self._refused.items() if old in versions}
        for version in reversed(versions):
            if self._serving and version == self._serving.version:
                return
            seen = fingerprint(version_folder(self._model_dir, version))
            if self._refused.get(version) == seen:
                continue
            try:
                servable = self._loader.load(version)
            except VersionRefused:
                self._refused[version] = seen
            else:
                self._take_over(servable)
                return

    def _take_over(self, servable: Servable) -> None:
        old, self._serving = self._serving, servable
        self._registry.publish(servable)
        if old is None:
            return
        self._registry.retire(old.version)
        old.close()
        self._metrics.forget_model(old.name, old.version)
        log.info("swapped", extra={"version": servable.version, "was": old.version})


def fingerprint(folder: Path) -> Fingerprint:
    """Changes when a file of the folder comes, goes or changes."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            state = path.stat()
        except OSError:  # it went between the two looks
            continue
        found.append((path.relative_to(folder).as_posix(), state.st_size, state.st_mtime_ns))
    return tuple(found)
