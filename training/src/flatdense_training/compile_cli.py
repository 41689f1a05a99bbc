"""The command `flatdense-compile`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from flatdense_artifact import NetworkShape
from rich.console import Console

from flatdense_training.aot.job import CompileOrder, follow
from flatdense_training.aot.target import TargetName
from flatdense_training.ending import carry_out
from flatdense_training.pixels import SIDE

F = TypeVar("F", bound=Callable[..., Any])

MAX_ROWS = 1 << 14
MAX_UNITS = 1 << 16


def option(name: str, kind: Any, default: Any, text: str) -> Callable[[F], F]:  # noqa: ANN401 -- click's types
    """One option with its variable and default in the help."""
    return click.option(
        name, type=kind, default=default, help=text, show_default=True, show_envvar=True
    )


@click.command(
    context_settings={
        "auto_envvar_prefix": "FLATDENSE",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    }
)
@option("--hidden", click.IntRange(1, MAX_UNITS), 256, "Width of the hidden layer.")
@option("--classes", click.IntRange(1, 1000), 10, "Number of classes.")
@option(
    "--max-batch-rows",
    click.IntRange(1, MAX_ROWS),
    1024,
    "Biggest batch; the powers of two below it are compiled too.",
)
@option(
    "--target",
    click.Choice(["portable", "native"]),
    "portable",
    "portable: any x86-64 with AVX2 and FMA, any 64-bit ARM; native: this processor alone.",
)
@option(
    "--cache-dir",
    click.Path(path_type=Path),
    Path("~/.cache/flatdense"),
    "Where libraries are kept; the server looks there.",
)
@click.option("--force", is_flag=True, help="Compile even where the library is there.")
@click.version_option(package_name="flatdense-training")
def main(
    *,
    hidden: int,
    classes: int,
    max_batch_rows: int,
    target: TargetName,
    cache_dir: Path,
    force: bool,
) -> None:
    """Compiles the network ahead of time, for servers without TensorFlow.

    The library belongs to the architecture: it serves every version that was or will be trained
    with these widths. A C++ compiler is needed.
    """
    order = CompileOrder(
        shape=NetworkShape(pixels=SIDE * SIDE, hidden=hidden, classes=classes),
        max_batch_rows=max_batch_rows,
        target_name=target,
        cache_dir=cache_dir.expanduser(),
        force=force,
    )

    def work() -> None:
        follow(order, Console(highlight=False))

    undone, left = "Nothing was compiled.", f"No unfinished library is left in {cache_dir}."
    sys.exit(carry_out(work, undone=undone, left=left))


if __name__ == "__main__":
    main()
