"""The worker: scores parts, each read, classified and written by itself."""

import socket
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypedDict

import numpy.typing as npt
from flatdense_server.engine.choice import EngineName

from flatdense_cluster.errors import ClusterError
from flatdense_cluster.score.model import Model, OpenedModel, open_model
from flatdense_cluster.score.output import Output
from flatdense_cluster.score.plan import Plan, read_plan
from flatdense_cluster.score.source import Images, Source
from flatdense_cluster.score.table import count_part, count_try, make_table, write_part

MOST_EXAMPLES: Final = 5

MAX_TRIES: Final = 3
"""Of a part: Ray replaces a worker that dies for ever, also where an image kills each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What all workers of a job have in common. Pickled, it goes to each."""

    source: Source
    output: Path
    model: Model
    engine: EngineName
    cache_dir: Path


class Receipt(TypedDict):
    """What a worker says of a part."""

    rows: int
    rejected: int
    examples: list[str]
    """Some of the rejected ones, and why."""
    failure: str
    """Why the part was not written; empty where it was."""


class Scorer:
    """An actor of Ray Data. It opens the version when the first part comes, and keeps it."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._output = Output(task.output)

    def __call__(self, batch: dict[str, npt.NDArray[Any]]) -> dict[str, list[Any]]:
        """Scores the one part of the batch. What an operator can put right is in the receipt."""
        try:
            receipt = self._score(int(batch["part"][0]))
        except ClusterError as error:
            receipt = failed(str(error))
        except OSError as error:
            where = error.filename or self._task.output
            receipt = failed(f"{where} on {socket.gethostname()}: {error.strerror}.")
        return {name: [value] for name, value in receipt.items()}

    def _score(self, part: int) -> Receipt:
        task, plan = self._task, self._plan
        # A worker that died after the rename did all there was to do.
        done = count_part(task.output, part, plan)
        if done is not None:
            return Receipt(rows=done.rows, rejected=done.rejected, examples=[], failure="")
        if count_try(task.output, part) > MAX_TRIES:
            raise ClusterError(
                f"workers died {MAX_TRIES} times at part {part}, which begins with image "
                f"{part * plan.part_rows:,}. An image may need more memory than there is; move it "
                "away and name a new folder, or give the machine more."
            )
        images = task.source.read(self._output.plan_folder, part, plan.part_rows)
        outputs = self._model.engine.run([images.pixels])
        table = make_table(plan, part, images, outputs, self._model.class_names)
        write_part(task.output, part, table)
        errors = rejected(images)
        return Receipt(
            rows=len(images.sources),
            rejected=len(errors),
            examples=errors[:MOST_EXAMPLES],
            failure="",
        )

    @cached_property
    def _plan(self) -> Plan:
        return read_plan(self._output.plan_folder)

    @cached_property
    def _model(self) -> OpenedModel:
        return open_model(self._task.model, self._task.engine, self._task.cache_dir)


def rejected(images: Images) -> list[str]:
    """What is no image, and why."""
    pairs = zip(images.sources, images.errors, strict=True)
    return [f"{source}: {error}" for source, error in pairs if error is not None]


def failed(reason: str) -> Receipt:
    """For a part that was not written."""
    return Receipt(rows=0, rejected=0, examples=[], failure=reason)
