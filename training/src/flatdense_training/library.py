"""The compiled library that serves an exported version without TensorFlow."""

from pathlib import Path

from flatdense_artifact import NetworkShape, read_manifest

from flatdense_training.aot import job
from flatdense_training.aot.screen import CompileScreen
from flatdense_training.aot.target import choose_targets
from flatdense_training.aot.toolchain import find_compiler
from flatdense_training.data.pixels import SIDE
from flatdense_training.errors import CompileFailed
from flatdense_training.order import Order
from flatdense_training.terminal.screen import Screen


def check_compilable() -> None:
    """Raises CompileFailed where there is no C++ compiler, or no target for this machine."""
    choose_targets("auto")
    find_compiler()


def compile_library(order: Order, version: Path, screen: Screen) -> None:
    """Sees to it that the cache holds the library for a version, which stays as it is.

    Raises CompileFailed where the order insists on it. Otherwise the failure is told, and that is
    all: the version can be served without.
    """
    classes = len(read_manifest(version).classes)
    shape = NetworkShape(pixels=SIDE * SIDE, hidden=order.hidden_units, classes=classes)
    screen.chapter("Library")
    try:
        job.follow(
            job.CompileOrder(shape=shape, cache_dir=order.cache_dir),
            CompileScreen(screen.console, indent="  "),
        )
    except CompileFailed as error:
        if order.compile == "yes":
            raise CompileFailed(
                f"{version} is exported; only its compiled library is missing. {error}"
            ) from error
        screen.line(
            f"Not compiled, so the jit engine will serve {version}, which is exported. {error}"
        )
