"""`flatdense classify FILE...`: what the digits in the files are."""

import dataclasses
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import click
import numpy as np
from rich.console import Console

from flatdense_client._client import Client
from flatdense_client._errors import InvalidInput
from flatdense_client._images.pixels import check_array
from flatdense_client._images.prepared import PreparedImage
from flatdense_client.cli.files import STDIN, read_images
from flatdense_client.cli.folders import Folder, Source, find_sources
from flatdense_client.cli.meter import Meter
from flatdense_client.cli.options import Connection, connection_options
from flatdense_client.cli.people import PICTURED_IMAGES, PeopleTable
from flatdense_client.cli.reports import CommaSeparated, JsonLines, Part, Report
from flatdense_client.cli.screen import complain, note, stderr_console, stdout_console

_STEP_ROWS = 16_384
"""How many images one call classifies: many messages to overlap, and soon enough written."""

_NAMED_SKIPPED = 3
"""How many of the files that a folder's note skips it names."""


def _check_files(
    _context: click.Context, _argument: click.Parameter, files: tuple[str, ...]
) -> tuple[str, ...]:
    if files.count(STDIN) > 1:
        raise click.BadParameter("'-' is standard input, which can be read once.")
    return files


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(allow_dash=True),
    callback=_check_files,
    metavar="FILE...",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV with a header line.")
@click.option(
    "--picture/--no-picture",
    "is_pictured",
    default=None,
    help="Draw the images as the model sees them.  [default: draw up to "
    f"{PICTURED_IMAGES}, on a terminal]",
)
@connection_options
@click.pass_context
def classify(
    context: click.Context,
    *,
    files: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    is_pictured: bool | None,
    connection: Connection,
) -> None:
    """Classify the handwritten digits in files.

    A FILE is a PNG or JPEG of one digit, in any size, or many images: MNIST's own IDX (also
    gzipped), or a .npy array. What is in a file decides, not its name; `-` is standard input.

    A folder means the files beneath it, by name; those that hold no images are skipped and named.
    A file that cannot be read does not stop the others.

    \b
    Examples:
      flatdense classify seven.png
      flatdense classify --csv scans/ t10k-images-idx3-ubyte.gz > digits.csv
      curl -s https://example.org/seven.png | flatdense classify --json -
    """  # noqa: D301  # click's mark: these lines stay as they are
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other.")
    if is_pictured and (as_json or as_csv):
        raise click.UsageError("--picture goes with neither --json nor --csv.")
    sources, folders = find_sources(files)
    stderr = stderr_console()
    report = _choose_report(as_json=as_json, as_csv=as_csv, is_pictured=is_pictured)
    # A bar would tear lines that are written at the same time to the same terminal.
    is_metered = stderr.is_terminal and (not sys.stdout.isatty() or isinstance(report, PeopleTable))
    is_whole = True
    with ExitStack() as stack:
        stack.callback(report.finish)
        client = stack.enter_context(connection.open())
        meter = stack.enter_context(Meter(stderr, files=len(sources), is_wanted=is_metered))
        for source in sources:
            is_whole &= _classify_source(source, client, report, meter, stderr)
    is_whole &= _tell_of(folders, stderr)
    if not is_whole:
        context.exit(1)


def _choose_report(*, as_json: bool, as_csv: bool, is_pictured: bool | None) -> Report:
    if as_json:
        return JsonLines()
    if as_csv:
        return CommaSeparated()
    return PeopleTable(stdout_console(), is_pictured=is_pictured)


def _classify_source(
    source: Source, client: Client, report: Report, meter: Meter, stderr: Console
) -> bool:
    """Whether the file was classified, or skipped with reason; if not, it was said why."""
    shown = click.format_filename(source.name)  # the bytes of a name need not be text
    try:
        if source.folder is None or source.folder.takes(source.name):
            _classify_file(source.name, shown, client, report, meter)
    except (InvalidInput, ImportError) as error:
        complain(f"{shown}: {error}", stderr)
        return False
    finally:
        meter.end_file()
    return True


def _classify_file(name: str, shown: str, client: Client, report: Report, meter: Meter) -> None:
    images = read_images(name)
    rows = check_array(np.asarray(images))  # the whole file, before any of it is sent
    prepared = images if isinstance(images, PreparedImage) else None
    meter.start_file(len(rows))
    for first in range(0, len(rows), _STEP_ROWS):
        step = dataclasses.replace(rows, pixels=rows.pixels[first : first + _STEP_ROWS])
        predictions = client.classify(step.pixels, progress=partial(meter.reach, first))
        part = Part(file=shown, first=first, rows=step, predictions=predictions, prepared=prepared)
        report.add(part)


def _tell_of(folders: Sequence[Folder], stderr: Console) -> bool:
    """Whether every folder held images and could be read; what was skipped is told."""
    is_whole = True
    for folder in folders:
        name = click.format_filename(folder.name)
        for fault in folder.faults:
            complain(fault, stderr)
        if not folder.images:
            complain(f"{name}: there are no images in this folder", stderr)
        elif folder.skipped:
            note(f"{name}: {_skipped(folder.skipped)}", stderr)
        is_whole &= folder.images > 0 and not folder.faults
    return is_whole


def _skipped(files: Sequence[str]) -> str:
    named = ", ".join(click.format_filename(file) for file in files[:_NAMED_SKIPPED])
    rest = f" and {len(files) - _NAMED_SKIPPED:,} more" if len(files) > _NAMED_SKIPPED else ""
    what = "1 file that holds" if len(files) == 1 else f"{len(files):,} files that hold"
    return f"skipped {what} no images: {named}{rest}"
