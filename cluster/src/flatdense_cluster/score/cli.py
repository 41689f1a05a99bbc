"""The command `flatdense-score`."""

import signal
import sys
import tempfile
import traceback
from functools import partial
from pathlib import Path

import click
from flatdense_server.engine.choice import EngineName
from rich.console import Console
from rich.text import Text

from flatdense_cluster.errors import ClusterError
from flatdense_cluster.score.job import Order, run
from flatdense_cluster.score.ray_session import LOCAL
from flatdense_cluster.score.screen import Screen, tell

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130

option = partial(click.option, show_envvar=True, show_default=True)


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 all is scored; 1 it could not be, or --strict and some were rejected; "
    "2 wrong usage; 130 interrupted.",
)
@click.argument("source", type=click.Path(path_type=Path, resolve_path=True))
@click.argument("output", metavar="OUT", type=click.Path(path_type=Path, resolve_path=True))
@option(
    "--model-dir",
    type=click.Path(path_type=Path),
    default=Path("exported_model"),
    envvar="FLATDENSE_MODEL_DIR",
    help="Folder with one folder for each version.",
)
@option("--version", type=click.IntRange(1), show_default="the newest", help="Which one scores.")
@option(
    "--engine",
    type=click.Choice(["auto", "aot", "jit"]),
    default="auto",
    envvar="FLATDENSE_ENGINE",
    help="What runs the network, as in flatdense-server.",
)
@option(
    "--cache-dir",
    type=click.Path(path_type=Path),
    default=Path("~/.cache/flatdense"),
    envvar="FLATDENSE_CACHE_DIR",
    help="Where compiled libraries are.",
)
@option(
    "--address",
    default=LOCAL,
    metavar="local|auto|HOST:PORT",
    envvar="RAY_ADDRESS",
    help="The Ray cluster: local starts one on this machine for as long as the job takes, auto "
    "joins the one that runs here. All its nodes must see SOURCE, OUT and the model.",
)
@option(
    "--concurrency",
    type=click.IntRange(1),
    show_default="the CPUs of the cluster",
    help="How many workers score at a time, with one CPU each.",
)
@option(
    "--part-rows",
    type=click.IntRange(1),
    show_default="1024 pictures, 65536 rows of an array",
    help="Images in one file of OUT.",
)
@option("--strict", is_flag=True, help="Exit with 1 where some were rejected; the rest is scored.")
def main(  # noqa: PLR0913 -- one parameter for each option
    *,
    source: Path,
    output: Path,
    model_dir: Path,
    version: int | None,
    engine: EngineName,
    cache_dir: Path,
    address: str,
    concurrency: int | None,
    part_rows: int | None,
    strict: bool,
) -> None:
    """Classify all images of SOURCE, each exactly once, into a table of Parquet in OUT.

    SOURCE is a folder of PNG and JPEG, at any depth, or one file of images: IDX (as MNIST's), .npy,
    either also gzipped, or .npz. What is no image has its reason in the column `error`.

    Stopped at any moment, even by kill -9, the same command goes on where it was.

    \b
    Examples:
      flatdense-score scans/ scored/
      flatdense-score t10k-images-idx3-ubyte.gz scored/ --model-dir my_models --version 3
      flatdense-score /shared/scans /shared/scored --address auto --strict
    """  # noqa: D301 -- click's mark: these lines stay as they are
    order = Order(
        source=source,
        output=output,
        model_dir=model_dir,
        version=version,
        engine=engine,
        cache_dir=cache_dir.expanduser().absolute(),
        part_rows=part_rows,
        concurrency=concurrency,
        address=address,
    )
    sys.exit(carry_out(order, strict=strict))


def carry_out(order: Order, *, strict: bool) -> int:
    """Does the job, tells how it ended, and gives the exit code. SIGTERM is the same as Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    errors = Console(stderr=True, highlight=False)
    screen = Screen(errors)
    try:
        with screen:
            summary = run(order, screen)
    except KeyboardInterrupt:
        say(errors, f"Interrupted after {screen.progress}. The same command goes on from there.")
        return EXIT_INTERRUPTED
    except ClusterError as error:
        say(errors, f"Error: {error}")
        return EXIT_FAILURE
    except Exception as error:  # noqa: BLE001 -- the user gets a sentence, and a file the rest
        say(errors, f"Error: {describe_fault(error)}")
        return EXIT_FAILURE
    click.echo(tell(summary, order.output))
    return EXIT_FAILURE if strict and summary.rejected else EXIT_OK


def describe_fault(error: Exception) -> str:
    """What to tell a user of an error that nobody foresaw; its traceback goes to a file."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="flatdense-score-", suffix=".txt", delete=False
    ) as report:
        traceback.print_exception(error, file=report)
    return (
        f"Something went wrong that should not: {type(error).__name__}. What is scored is kept. "
        f"Please report it with the file {report.name}."
    )


def say(console: Console, message: str) -> None:
    """One line, not folded: paths are there to be copied."""
    console.print(Text(message), soft_wrap=True)
