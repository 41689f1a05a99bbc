"""The folder that a job writes to: held by one job at a time, and left whole at any moment.

    part-000000.parquet ...   the table; each appears by one rename
    _SUCCESS                  that all of it is there, and how much it is
    _plan/                    what is to be done; appears by one rename
    _lock                     held while a job runs

Readers of Parquet leave out names that begin with `_` or `.`.
"""

import fcntl
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from flatdense_cluster.errors import ClusterError
from flatdense_cluster.score.plan import Plan
from flatdense_cluster.score.table import PART_PATTERN, Count, count_part, part_name

LOCK_NAME: Final = "_lock"
PLAN_FOLDER_NAME: Final = "_plan"
SUCCESS_NAME: Final = "_SUCCESS"


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What `_SUCCESS` says."""

    source: str
    rows: int
    scored: int
    rejected: int
    version: int
    sha256: str
    parts: int


class Output:
    """The folder of one table. Methods raise OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan_folder = folder / PLAN_FOLDER_NAME
        self._success = folder / SUCCESS_NAME

    @contextmanager
    def held(self) -> Iterator[None]:
        """Makes the folder, and keeps every other job out of it.

        Raises ClusterError where one is in it, or where it is somebody else's folder. The lock ends
        with the process, however that ends.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_ours()
        with (self.folder / LOCK_NAME).open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read().strip() or "another process"
                raise ClusterError(
                    f"another job writes to {self.folder} now: {holder}. Wait for it, or name "
                    "another folder."
                ) from None
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            lock.flush()
            self._sweep()
            yield

    @contextmanager
    def new_plan(self) -> Iterator[Path]:
        """A folder that becomes the plan's when the context ends well."""
        folder = self.folder / f".plan-{secrets.token_hex(4)}"
        folder.mkdir()
        try:
            yield folder
            folder.rename(self.plan_folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def has_plan(self) -> bool:
        """Whether a job was begun here."""
        return self.plan_folder.exists()

    def count_parts(self, plan: Plan) -> dict[int, Count]:
        """The parts that are there."""
        counts = ((part, count_part(self.folder, part, plan)) for part in range(plan.parts))
        return {part: count for part, count in counts if count is not None}

    def reopen(self) -> None:
        """Takes back that all is there."""
        self._success.unlink(missing_ok=True)

    def finish(self, plan: Plan) -> Summary:
        """Says that all is there, after looking. Raises ClusterError where it is not."""
        counts = self.count_parts(plan)
        names = {part_name(part) for part in counts}
        strangers = {file.name for file in self.folder.glob(PART_PATTERN)} - names
        if strangers or len(counts) != plan.parts:
            raise ClusterError(
                f"{self.folder} has {len(counts):,} of {plan.parts:,} parts"
                + (f", and {min(strangers)}, which is none of them" if strangers else "")
                + ". Somebody else changes it. The same command looks again."
            )
        rejected = sum(count.rejected for count in counts.values())
        summary = Summary(
            source=plan.source,
            rows=plan.rows,
            scored=plan.rows - rejected,
            rejected=rejected,
            version=plan.version,
            sha256=plan.sha256,
            parts=plan.parts,
        )
        unfinished = self.folder / f".{SUCCESS_NAME}"
        unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
        unfinished.rename(self._success)
        return summary

    def _check_ours(self) -> None:
        if (self.folder / LOCK_NAME).exists():
            return
        found = sorted(file.name for file in self.folder.iterdir())
        if found:
            raise ClusterError(
                f"{self.folder} is not empty ({found[0]!r}) and was not begun by flatdense-score. "
                "Name a new folder."
            )

    def _sweep(self) -> None:
        """Removes what a job that was killed left unfinished."""
        for folder in self.folder.glob(".plan-*"):
            shutil.rmtree(folder, ignore_errors=True)
        for file in self.folder.glob(".part-*"):
            file.unlink(missing_ok=True)
