"""`flatdense classify FILE...`: what the digits in the files are."""

import sys
from pathlib import Path

import click
import numpy.typing as npt
from rich.console import Console

from flatdense_client._client import Client
from flatdense_client._errors import InvalidInput
from flatdense_client._pixels import check_images
from flatdense_client.cli.files import read_images
from flatdense_client.cli.meter import Meter
from flatdense_client.cli.options import connection_options
from flatdense_client.cli.reports import CommaSeparated, JsonLines, PeopleTable, Report
from flatdense_client.cli.screen import complain, stderr_console, stdout_console

_STEP_ROWS = 4096
"""How many images one call classifies: several messages to overlap, and progress to be seen."""


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV with a header line.")
@connection_options
@click.pass_context
def classify(
    context: click.Context,
    *,
    files: tuple[Path, ...],
    as_json: bool,
    as_csv: bool,
    server: str,
    timeout_s: float,
    model_version: int | None,
    model_label: str | None,
) -> None:
    """Classify the handwritten digits in files.

    A file is a PNG or JPEG of one digit, in any size, or many images: MNIST's own IDX (also
    gzipped), or a .npy array. A file that cannot be read does not stop the others.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other.")
    stderr = stderr_console()
    report = _choose_report(as_json=as_json, as_csv=as_csv)
    # A bar would tear lines that are written at the same time to the same terminal.
    is_metered = stderr.is_terminal and (not sys.stdout.isatty() or isinstance(report, PeopleTable))
    is_whole = True
    client = Client(
        server, model_version=model_version, model_label=model_label, timeout_s=timeout_s
    )
    try:
        with client, Meter(stderr, files=len(files), is_wanted=is_metered) as meter:
            for path in files:
                is_whole &= _classify_file(path, client, report, meter, stderr)
    finally:
        report.finish()
    if not is_whole:
        context.exit(1)


def _choose_report(*, as_json: bool, as_csv: bool) -> Report:
    if as_json:
        return JsonLines()
    return CommaSeparated() if as_csv else PeopleTable(stdout_console())


def _classify_file(
    path: Path, client: Client, report: Report, meter: Meter, stderr: Console
) -> bool:
    """Whether the file could be classified; if not, it was said why."""
    name = click.format_filename(path)  # the bytes of a name need not be text
    try:
        _classify_images(name, read_images(path), client, report, meter)
    except (InvalidInput, ImportError) as error:
        complain(f"{name}: {error}", stderr)
        return False
    finally:
        meter.end_file()
    return True


def _classify_images(
    name: str, images: npt.ArrayLike, client: Client, report: Report, meter: Meter
) -> None:
    rows = check_images(images)  # the whole file, before any of it is sent
    meter.start_file(len(rows))
    for first in range(0, len(rows), _STEP_ROWS):
        predictions = client.classify(rows.pixels[first : first + _STEP_ROWS])
        report.add(name, first, predictions)
        meter.advance(len(predictions))
