"""How a folder appears: written aside under a hidden name, and renamed when it is finished.

Readers see all of it or nothing.
"""

import contextlib
import errno
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

TAKEN = frozenset({errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR})
"""What a rename says where its target exists."""


@contextlib.contextmanager
def staged(parent: Path) -> Iterator[Path]:
    """A new, hidden folder in `parent`, which is made where it is missing.

    The staged folder is gone when the context ends, however it ends, unless it was renamed. Raises
    OSError.
    """
    folder = parent / f".unfinished-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True)
        yield folder
    finally:
        discard(folder)


def discard(folder: Path) -> None:
    """Removes a folder. Ctrl-C cannot stop it half-way."""
    while folder.exists():
        try:
            shutil.rmtree(folder)
        except KeyboardInterrupt:
            continue  # pressed twice: the first one still stands
        except OSError:
            return  # hidden, and not finished: nobody reads it


def rename_if_free(folder: Path, name: Path) -> bool:
    """Renames a folder, unless something else has the name; tells whether it did.

    Raises OSError.
    """
    try:
        folder.rename(name)
    except OSError as error:
        if error.errno not in TAKEN:
            raise
        return False
    return True
