"""The whole way of a compilation."""

import time
from dataclasses import dataclass
from pathlib import Path

from flatdense_artifact import NetworkShape, find_libraries

from flatdense_training.aot.runtime import SOURCES
from flatdense_training.aot.screen import CompileScreen
from flatdense_training.aot.target import TargetName, choose_targets
from flatdense_training.aot.toolchain import find_compiler
from flatdense_training.errors import CompileFailed
from flatdense_training.quiet import quiet_tensorflow

MAX_BATCH_ROWS = 1024
"""The ladder's top where the user names none; the server's is the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileOrder:
    """What the user asked for."""

    shape: NetworkShape
    max_batch_rows: int = MAX_BATCH_ROWS
    target_name: TargetName = "auto"
    cache_dir: Path
    force: bool = False
    """Compile even where the library is there."""


def follow(order: CompileOrder, screen: CompileScreen) -> None:
    """Compiles what is not in the cache yet.

    Raises CompileFailed.
    """
    targets = choose_targets(order.target_name)
    if not any(find_libraries(order.cache_dir)):
        find_compiler()  # it is wanted for certain, and TensorFlow takes seconds to load
    try:
        # Only now: it imports TensorFlow, which takes seconds.
        with quiet_tensorflow():
            from flatdense_training.aot.build import Commission, build, find_built  # noqa: PLC0415
            from flatdense_training.aot.graph import functions  # noqa: PLC0415
    except ImportError as error:
        raise CompileFailed(
            f"This TensorFlow does not compile ahead of time: {error}. Install the release that "
            "constraints.txt names, or serve with --engine jit."
        ) from error

    ladder_rows = powers_of_two(order.max_batch_rows)
    missing: list[Commission] = []
    for target in targets:
        commission = Commission(
            shape=order.shape, ladder_rows=ladder_rows, target=target, cache_dir=order.cache_dir
        )
        built = None if order.force else find_built(commission)
        if built:
            screen.line(f"{built} is up to date")
        else:
            missing.append(commission)
    if not missing:
        return
    compiler = find_compiler()
    screen.line(
        f"Compiling {order.shape.pixels}-{order.shape.hidden}-{order.shape.classes} for "
        f"{missing[0].target.machine} {' and '.join(each.target.cpu for each in missing)}: "
        f"{'about a minute' if len(missing) == 1 else 'a minute or two'}, once"
    )
    started_s = time.monotonic()
    steps = {"functions": len(functions(ladder_rows)), "runtime_files": len(SOURCES)}
    try:
        with screen.bars(libraries=len(missing), **steps) as bars:
            folders = build(missing, compiler, bars)
    except OSError as error:
        raise CompileFailed(
            f"The library could not be written to {order.cache_dir}: "
            f"{error.strerror or error}. Make room or allow writing there, or name another folder "
            "by --cache-dir."
        ) from error
    took_s = time.monotonic() - started_s
    for folder in folders:
        screen.line(f"{folder}, tried and right, in {took_s:.0f} s")


def powers_of_two(top: int) -> tuple[int, ...]:
    """1, 2, 4, ... and `top` itself, which need not be one."""
    return (*(1 << k for k in range((top - 1).bit_length())), top)
