"""Small files whose content is followed while the server runs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Generic, TypeAlias, TypeVar

from flatdense_server.security.errors import FileRefused

MAX_FILE_BYTES: Final = 1 << 20
"""Of certificates, keys and tokens: what is bigger is none."""

Look: TypeAlias = tuple[tuple[int, ...] | None, ...]
"""How files look from outside: it changes when they do. None for one that is not there."""

T = TypeVar("T")


class Followed(Generic[T]):
    """What some files say: read at the start, and again when they have changed.

    New content counts once it is good and stood still between two looks. Until then the old one
    does. For one thread.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[], T]) -> None:
        """`read()` raises FileRefused, and so does this."""
        self._paths = paths
        self._read = read
        self._seen = self._taken = self._look()
        self.content = read()
        """What counts now."""
        self.refusal = ""
        """Why the files as they are now do not count; empty where they do."""

    def follow(self) -> bool:
        """Looks again: whether `content` or `refusal` has changed."""
        seen, self._seen = self._seen, self._look()
        if self._seen != seen:
            return False
        before = self.content, self.refusal
        if self._seen == self._taken:
            self.refusal = ""
            return before[1] != ""
        try:
            content = self._read()
        except FileRefused as error:
            # The next look reads them again: they may become good as they are, such as a
            # certificate that is not valid yet.
            self.refusal = str(error)
        else:
            if self._look() != self._seen:
                return False
            self.content, self.refusal, self._taken = content, "", self._seen
        return before != (self.content, self.refusal)

    def _look(self) -> Look:
        return tuple(map(look_at, self._paths))


def look_at(path: Path) -> tuple[int, ...] | None:
    """What a file shows without being read."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def read_file(path: Path, option: str) -> bytes:
    """All of a file that an option names. Raises FileRefused."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise FileRefused(f"{option} {path}: {error.strerror or error}.") from error
    if len(data) > MAX_FILE_BYTES:
        raise FileRefused(f"{option} {path}: expected at most {MAX_FILE_BYTES} bytes, got more.")
    return data
