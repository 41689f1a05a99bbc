"""A job from its plan to the last part."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flatdense_server.engine.choice import EngineName

from flatdense_cluster.errors import ClusterError
from flatdense_cluster.score.array import Array
from flatdense_cluster.score.folder import Folder
from flatdense_cluster.score.model import Model, find_model
from flatdense_cluster.score.output import Output, Summary
from flatdense_cluster.score.plan import Plan, read_plan, write_plan
from flatdense_cluster.score.ray_session import joined
from flatdense_cluster.score.scorer import Receipt, Scorer, Task
from flatdense_cluster.score.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a user wants."""

    source: Path
    output: Path
    model_dir: Path
    version: int | None
    engine: EngineName
    cache_dir: Path
    part_rows: int | None
    concurrency: int | None
    address: str


class Watcher(Protocol):
    """Who is told how far a job is."""

    def planning(self) -> None:
        """The source is looked at."""

    def starting(self, plan: Plan, *, done_rows: int) -> None:
        """Ray is started; so many rows were scored before."""

    def scored(self, receipt: Receipt) -> None:
        """One part more."""


def run(order: Order, watcher: Watcher) -> Summary:
    """Scores what is not scored yet. Raises ClusterError where that cannot be done.

    Ended at any moment, it leaves whole parts behind, and the next call goes on from there.
    """
    source = find_source(order.source)
    model = find_model(order.model_dir, order.version)
    check_apart(source.path, order.output)
    output = Output(order.output)
    try:
        with output.held():
            watcher.planning()
            plan = find_plan(order, output, source, model)
            counts = output.count_parts(plan)
            missing = [part for part in range(plan.parts) if part not in counts]
            if missing:
                output.reopen()
                watcher.starting(plan, done_rows=sum(count.rows for count in counts.values()))
                task = Task(
                    source=source,
                    output=order.output,
                    model=model,
                    engine=order.engine,
                    cache_dir=order.cache_dir,
                )
                for receipt in score(task, missing, order):
                    if receipt["failure"]:
                        raise ClusterError(receipt["failure"])
                    watcher.scored(receipt)
            return output.finish(plan)
    except OSError as error:
        raise ClusterError(f"{error.filename or order.output}: {error.strerror}.") from error


def find_source(path: Path) -> Source:
    """A folder, or a file with an array. Raises ClusterError where there is nothing to read."""
    try:
        if path.is_dir():
            next(path.iterdir(), None)
            return Folder(path)
        with path.open("rb"):
            return Array(path)
    except OSError as error:
        raise ClusterError(f"{path} cannot be read: {error.strerror}.") from error


def check_apart(source: Path, output: Path) -> None:
    """Raises ClusterError where the job would read what it writes."""
    if output == source or source in output.parents or output in source.parents:
        raise ClusterError(f"{output} and {source} are one in the other. Name a folder elsewhere.")


def find_plan(order: Order, output: Output, source: Source, model: Model) -> Plan:
    """The plan of the job that was begun there, if it is this one; else a new one, written down."""
    if output.has_plan():
        plan = read_plan(output.plan_folder)
        now = Plan(
            source=str(source.path),
            kind=source.kind,
            fingerprint=source.fingerprint(),
            rows=plan.rows,
            part_rows=order.part_rows or plan.part_rows,
            version=model.version,
            sha256=model.sha256,
        )
        plan.check_same(now, order.output)
        return plan
    part_rows = order.part_rows or source.default_part_rows
    with output.new_plan() as folder:
        inventory = source.take_inventory(folder, part_rows)
        if inventory.rows == 0:
            raise ClusterError(f"there are no images in {source.path}.")
        plan = Plan(
            source=str(source.path),
            kind=source.kind,
            fingerprint=inventory.fingerprint,
            rows=inventory.rows,
            part_rows=part_rows,
            version=model.version,
            sha256=model.sha256,
        )
        write_plan(folder, plan)
    return plan


def score(task: Task, parts: list[int], order: Order) -> Iterator[Receipt]:
    """Has workers score the parts, and gives the receipt of each. Raises ClusterError."""
    with joined(order.address) as cpus:
        import ray.data  # noqa: PLC0415 -- after Ray was told to be quiet
        from ray.exceptions import RayError  # noqa: PLC0415

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        # A block for each part: it is what is handed out, tried again and told of.
        rows = [{"part": part} for part in parts]
        scored = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            Scorer,
            fn_constructor_args=[task],
            batch_size=1,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=max(1, min(order.concurrency or cpus, len(parts)))
            ),
        )
        try:
            with contextlib.closing(iter(scored.iter_rows())) as receipts:
                yield from receipts
        except RayError as error:
            raise ClusterError(tell_fault(error)) from error


def tell_fault(error: Exception) -> str:
    """What to tell of a cluster that went away."""
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return f"Ray gave up: {reason} What is scored is kept; the same command goes on with the rest."
