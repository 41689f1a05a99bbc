"""What is kept of a run, so that it can go on where it was stopped."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

from flatdense_training.errors import CheckpointsUnwritable, RunUnderWay

KEPT = 2
"""Of each stage: where the newest is damaged, the one before it will do."""

DIGEST_BYTES = 32

SUFFIX = ".checkpoint"

Tensors = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How far a stage of a run was."""

    number: int
    """Of the last pass that is in it."""
    tensors: Tensors
    notes: Mapping[str, Any]
    """What JSON can hold."""


class Checkpoints:
    """The checkpoints of one run, in a folder of its own.

    A file is the sha256 of the rest, and a safetensors file. It appears by a rename when it is
    whole and on the disk.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def held(self, *, resume: bool) -> Iterator[None]:
        """Keeps other runs away from the folder; without `resume` what is in it is removed.

        Raises RunUnderWay where another run has it, and CheckpointsUnwritable.
        """
        with self._open_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunUnderWay(
                    f"The same run is under way in another process: {self.folder} is taken. "
                    "Wait for it to end, or give this one another --seed or --cache-dir."
                ) from error
            if not resume:
                for path in self.folder.glob(f"*{SUFFIX}"):
                    path.unlink()
            yield

    def _open_lock(self) -> IO[str]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return (self.folder / "lock").open("a+")
        except OSError as error:
            raise CheckpointsUnwritable(
                f"What a stopped run goes on from cannot be kept in {self.folder}: "
                f"{error.strerror}. Give --cache-dir a folder that can be written."
            ) from error

    def save(self, stage: str, checkpoint: Checkpoint, *, kept: int | None = KEPT) -> None:
        """Writes one more, and removes those of the stage that are older than the last `kept`.

        Raises OSError; what was there before is there then.
        """
        content = pack(checkpoint)
        path = self._path(stage, checkpoint.number)
        unfinished = path.with_suffix(".unfinished")
        try:
            with unfinished.open("wb") as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            raise
        for old in self._paths(stage)[:-kept] if kept else []:
            old.unlink()

    def newest(self, stage: str) -> Checkpoint | None:
        """The newest that is whole; None where there is none."""
        for path in reversed(self._paths(stage)):
            if (found := self._read(path)) is not None:
                return found
        return None

    def find(self, stage: str, number: int) -> Checkpoint | None:
        """That of one number, if it is there and whole."""
        return self._read(self._path(stage, number))

    def discard(self) -> None:
        """Removes the folder: the run is over."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, stage: str, number: int) -> Path:
        return self.folder / f"{stage}-{number:06}{SUFFIX}"

    def _paths(self, stage: str) -> list[Path]:
        return sorted(self.folder.glob(f"{stage}-*{SUFFIX}"))

    def _read(self, path: Path) -> Checkpoint | None:
        try:
            whole = path.read_bytes()
        except OSError:
            return None
        content = whole[DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != whole[:DIGEST_BYTES]:
            return None
        try:
            return unpack(content, number=int(path.stem.rsplit("-")[-1]))
        except SafetensorError:
            return None


def pack(checkpoint: Checkpoint) -> bytes:
    """As a safetensors file, but for its number."""
    content: bytes = safetensors.numpy.save(
        {name: np.asarray(tensor, order="C") for name, tensor in checkpoint.tensors.items()},
        metadata={"notes": json.dumps(checkpoint.notes)},
    )
    return content


def unpack(content: bytes, *, number: int) -> Checkpoint:
    """What was packed. Raises SafetensorError."""
    tensors = safetensors.numpy.load(content)
    size = int.from_bytes(content[:8], "little")
    notes = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["notes"])
    return Checkpoint(number=number, tensors=tensors, notes=notes)


def key_of(facts: Mapping[str, Any]) -> str:
    """A name for a run: the same facts, the same name."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
