"""What the options of the commands have in common."""

import math
from functools import partial
from pathlib import Path

import click

CONTEXT_SETTINGS = {
    "auto_envvar_prefix": "FLATDENSE",
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
}

option = partial(click.option, show_envvar=True, show_default=True)
"""A setting: its variable and its default are in the help."""


def finite(
    _context: click.Context, parameter: click.Parameter, value: float | None
) -> float | None:
    """Refuses NaN and infinity, which float ranges let through."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.", param=parameter)
    return value


def at_home(_context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Expands `~`, which a shell does not do in the value of a variable."""
    try:
        return value and value.expanduser()
    except RuntimeError as error:
        message = f"{value} cannot be found: {error} Give the folder in full."
        raise click.BadParameter(message, param=parameter) from error


folder_option = partial(option, type=click.Path(path_type=Path), callback=at_home)
"""A setting that is a folder, or a file."""
