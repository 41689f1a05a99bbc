"""The whole way of a compilation, and what the user sees of it."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from flatdense_artifact import LibraryUnusable, NetworkShape
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from flatdense_training.aot.runtime import SOURCES
from flatdense_training.aot.target import TargetName, choose_target
from flatdense_training.aot.toolchain import find_compiler
from flatdense_training.errors import CompileFailed
from flatdense_training.quiet import quieten_tensorflow


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileOrder:
    """What the user asked for."""

    shape: NetworkShape
    max_batch_rows: int
    target_name: TargetName
    cache_dir: Path
    force: bool


def follow(order: CompileOrder, console: Console) -> Path:
    """Compiles what is not in the cache yet, and gives the library's folder.

    Raises CompileFailed.
    """
    compiler = find_compiler()
    target = choose_target(order.target_name, compiler)
    quieten_tensorflow()
    # Only now: it imports TensorFlow, which takes seconds and reads the settings above.
    from flatdense_training.aot.build import Commission, build, find_built  # noqa: PLC0415
    from flatdense_training.aot.graph import functions  # noqa: PLC0415

    commission = Commission(
        shape=order.shape,
        ladder_rows=powers_of_two(order.max_batch_rows),
        target=target,
        compiler=compiler,
        cache_dir=order.cache_dir,
    )
    try:
        built = None if order.force else find_built(commission)
        if built:
            console.print(f"{built} is up to date", soft_wrap=True)
            return built
        console.print(
            f"Compiling {order.shape.pixels}-{order.shape.hidden}-{order.shape.classes} for "
            f"{target.machine} {target.cpu}: about a minute, once"
        )
        started_s = time.monotonic()
        counts = {
            "functions": len(functions(commission.ladder_rows)),
            "runtime_files": len(SOURCES),
        }
        with Bars(console, **counts) as bars:
            folder = build(commission, bars)
    except (OSError, LibraryUnusable) as error:
        raise CompileFailed(
            f"The library could not be written to {order.cache_dir}: {error}. Make room, or name "
            "another folder by --cache-dir."
        ) from error
    took_s = time.monotonic() - started_s
    console.print(f"{folder}, tried and right, in {took_s:.0f} s", soft_wrap=True)
    return folder


def powers_of_two(top: int) -> tuple[int, ...]:
    """1, 2, 4, ... and `top` itself, which need not be one."""
    return (*(1 << k for k in range((top - 1).bit_length())), top)


class Bars:
    """The steps of a compilation on a terminal; nothing moves in a pipe."""

    def __init__(self, console: Console, *, functions: int, runtime_files: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._functions = self._progress.add_task("XLA, batch sizes", total=functions)
        self._runtime = self._progress.add_task("C++, runtime", total=runtime_files)
        self._library = self._progress.add_task("C++, library", total=2)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()

    def function_done(self) -> None:
        """See build.Progress."""
        self._progress.advance(self._functions)

    def runtime_done(self) -> None:
        """See build.Progress."""
        self._progress.advance(self._runtime)

    def library_done(self) -> None:
        """See build.Progress."""
        self._progress.advance(self._library)
