"""Which files an argument means: itself, or those beneath a folder."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from flatdense_client.cli.files import STDIN, may_hold_images


@dataclass(kw_only=True)
class Folder:
    """A folder that was named, and what became of its files."""

    name: str
    faults: list[str] = field(default_factory=list)
    """The folders beneath it that could not be read, and why."""
    images: int = 0
    """How many of its files hold images, of those that were looked at."""
    skipped: list[str] = field(default_factory=list)
    """The files that hold none."""

    def takes(self, name: str) -> bool:
        """Whether a file beneath it holds images; it is counted either way."""
        is_taken = may_hold_images(name)
        if is_taken:
            self.images += 1
        else:
            self.skipped.append(os.path.relpath(name, self.name))
        return is_taken


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file to classify."""

    name: str
    """As `read_images` takes it."""
    folder: Folder | None = None
    """The folder in which it was found; None where it was named itself."""


def find_sources(arguments: Iterable[str]) -> tuple[list[Source], list[Folder]]:
    """The files that the arguments mean, in order, and the folders among the arguments.

    A folder means every file beneath it: its own by name, then those of each folder in it. Hidden
    ones, and links to folders, are left out. Whether a file holds images is not looked at here.
    """
    sources, folders = [], []
    for argument in arguments:
        if argument != STDIN and os.path.isdir(argument):  # noqa: PTH112  # Path's raises
            folder = Folder(name=argument)
            folders.append(folder)
            sources += [Source(name=found, folder=folder) for found in _walk(folder)]
        else:
            sources.append(Source(name=argument))
    return sources, folders


def _walk(folder: Folder) -> Iterator[str]:
    def fail(error: OSError) -> None:
        folder.faults.append(f"{error.filename}: cannot be read: {error.strerror}")

    for parent, names, files in os.walk(folder.name, onerror=fail):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            path = os.path.join(parent, name)  # noqa: PTH118  # as os.walk writes it
            # A pipe or a device among the files would be waited for without end.
            if not name.startswith(".") and os.path.isfile(path):  # noqa: PTH113  # Path's raises
                yield path
