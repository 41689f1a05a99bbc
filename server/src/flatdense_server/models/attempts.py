"""Loading versions that may fail: each is tried once, and again when its files change."""

from collections.abc import Collection, Iterable
from pathlib import Path

from flatdense_artifact import version_folder

from flatdense_server.models.description import is_foreign
from flatdense_server.models.loader import LoadedVersion, Loader, VersionRefused

Fingerprint = tuple[tuple[str, int, int], ...]


class Attempts:
    """What was tried, and how its files were then. For one thread.

    A version with a manifest shows by itself whether it is whole. One without is taken for whole
    when its files have not changed between two looks.
    """

    def __init__(self, model_dir: Path, loader: Loader) -> None:
        self._model_dir = model_dir
        self._loader = loader
        self._seen: dict[int, Fingerprint] = {}
        self._refused: dict[int, Fingerprint] = {}
        self._foreign: dict[int, Fingerprint] = {}

    def trust(self, versions: Iterable[int]) -> None:
        """Takes the files of these for whole as they lie there now."""
        for version in versions:
            self._seen[version] = self._look_at(version)

    def load(self, version: int) -> LoadedVersion | None:
        """The version, warm and checked.

        None where it is refused, which is reported once, and where its files are still changing.
        """
        files, before = self._look_at(version), self._seen.get(version)
        self._seen[version] = files
        if self._refused.get(version) == files:
            return None
        foreign = is_foreign(version_folder(self._model_dir, version))
        if foreign and files != before:
            return None
        try:
            loaded = self._loader.load(version)
        except VersionRefused:
            self._refused[version] = files
            return None
        if foreign:
            self._foreign[version] = files
        return loaded

    def retry(self) -> None:
        """Those that were refused may be tried again as they are."""
        self._refused.clear()

    def is_stale(self, version: int) -> bool:
        """Whether a version without a manifest is not what was loaded any more."""
        return version in self._foreign and self._foreign[version] != self._look_at(version)

    def keep(self, versions: Collection[int]) -> None:
        """Forgets every version but these."""
        for tried in (self._seen, self._refused, self._foreign):
            for version in tried.keys() - versions:
                del tried[version]

    def _look_at(self, version: int) -> Fingerprint:
        return fingerprint(version_folder(self._model_dir, version))


def fingerprint(folder: Path) -> Fingerprint:
    """Changes when a file of the folder comes, goes or changes; empty where there is no folder."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            state = path.stat()
        except OSError:  # it went between the two looks
            continue
        found.append((path.relative_to(folder).as_posix(), state.st_size, state.st_mtime_ns))
    return tuple(found)
