"""One file from the first mirror that has it whole."""

import contextlib
import http.client
import secrets
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from flatdense_training.errors import DataDamaged, DownloadFailed

TIMEOUT_S = 20.0
"""For connecting, and for each wait for more bytes."""

MAX_BYTES = 64 * 2**20
"""The largest of these files has 26 MB packed; whatever sends more is not a mirror of it."""

CHUNK_BYTES = 2**16


class Progress(Protocol):
    """Hears how far a download is."""

    def __call__(self, *, file: str, received_bytes: int, total_bytes: int | None) -> None:
        """`total_bytes` is None where the mirror does not say. A new mirror starts from 0."""


def download(
    file: str,
    *,
    mirrors: Sequence[str],
    folder: Path,
    verify: Callable[[bytes], None],
    progress: Progress,
    timeout_s: float = TIMEOUT_S,
) -> Path:
    """Puts `file` into `folder`, whole and verified or not at all, and gives its path.

    The mirrors are asked in turn, until one gives bytes for which `verify` does not raise
    DataDamaged. Raises DownloadFailed with what each of them said, or where the folder cannot be
    written.
    """
    failures = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{file}"
        try:
            data = fetch(url, file=file, progress=progress, timeout_s=timeout_s)
            verify(data)
        except (OSError, http.client.HTTPException, ValueError, DataDamaged) as error:
            failures.append(f"  {url}: {describe(error)}")
        else:
            return store(data, folder / file)
    raise DownloadFailed(f"No mirror gave {file}:\n" + "\n".join(failures))


def fetch(url: str, *, file: str, progress: Progress, timeout_s: float) -> bytes:
    """What `url` answers.

    Raises OSError, HTTPException or ValueError where it is not there or not whole.
    """
    data = bytearray()
    with urllib.request.urlopen(url, timeout=timeout_s) as response:  # noqa: S310  # ours: http(s)
        length = response.headers.get("Content-Length", "")
        total_bytes = int(length) if length.isdigit() else None
        progress(file=file, received_bytes=0, total_bytes=total_bytes)
        while chunk := response.read(CHUNK_BYTES):
            data += chunk
            if len(data) > MAX_BYTES:
                raise ValueError(f"it sends more than {MAX_BYTES:,} bytes")
            progress(file=file, received_bytes=len(data), total_bytes=total_bytes)
    if total_bytes is not None and len(data) < total_bytes:
        raise ValueError(f"it sent {len(data):,} of {total_bytes:,} bytes")
    return bytes(data)


def describe(error: Exception) -> str:
    """What went wrong with one mirror, in one line."""
    return str(getattr(error, "reason", None) or error) or type(error).__name__


def store(data: bytes, path: Path) -> Path:
    """Writes a file aside and renames it: of two jobs with one cache, none sees half of it."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        raise DownloadFailed(
            f"{path} cannot be written: {error.strerror}. Name another cache folder by --cache-dir."
        ) from error
    finally:
        with contextlib.suppress(OSError):  # it was renamed, or never written
            aside.unlink()
    return path
