"""The command `flatdense-compile`."""

from pathlib import Path

import click
from flatdense_artifact import NetworkShape
from rich.console import Console

from flatdense_training.aot.job import MAX_BATCH_ROWS, CompileOrder, follow
from flatdense_training.aot.screen import CompileScreen
from flatdense_training.aot.target import TargetName
from flatdense_training.data.pixels import SIDE
from flatdense_training.terminal.ending import carry_out, end
from flatdense_training.terminal.options import CONTEXT_SETTINGS, folder_option, option

MAX_ROWS = 1 << 14
MAX_UNITS = 1 << 16


@click.command(context_settings=CONTEXT_SETTINGS)
@option(
    "--hidden", type=click.IntRange(1, MAX_UNITS), default=256, help="Width of the hidden layer."
)
@option("--classes", type=click.IntRange(1, 1000), default=10, help="Number of classes.")
@option(
    "--max-batch-rows",
    type=click.IntRange(1, MAX_ROWS),
    default=MAX_BATCH_ROWS,
    help="Biggest batch; the powers of two below it are compiled too.",
)
@option(
    "--target",
    type=click.Choice(["auto", "portable", "native"]),
    default="auto",
    help="portable: any x86-64 with AVX2 and FMA, any 64-bit ARM; auto: that, and another library "
    "for any x86-64 with AVX-512 where this one has it; native: this processor alone.",
)
@folder_option(
    "--cache-dir",
    default=Path("~/.cache/flatdense"),
    help="Where libraries are kept; the server looks there.",
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
        cache_dir=cache_dir,
        force=force,
    )

    def work() -> None:
        follow(order, CompileScreen(Console(highlight=False)))

    undone, left = "The compilation was given up.", f"No unfinished library is left in {cache_dir}."
    end(carry_out(work, undone=undone, left=left))


if __name__ == "__main__":
    main()
