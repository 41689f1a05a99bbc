"""What to learn from, as the command line says it."""

from pathlib import Path

import click

from flatdense_training.data.datasets import DATASETS, Dataset
from flatdense_training.data.own.class_names import check_class_names
from flatdense_training.errors import DataUnfit


def find_dataset(text: str) -> Dataset | Path:
    """The dataset of that name, or the path of a user's own. A name goes before a path."""
    if text in DATASETS:
        return DATASETS[text]
    try:
        path = Path(text).expanduser()
        if path.exists():
            return path
    except (OSError, RuntimeError) as error:
        message = f"{text!r} cannot be found: {error} Give the path in full."
        raise click.BadParameter(message) from error
    names = ", ".join(map(repr, DATASETS))
    raise click.BadParameter(
        f"{text!r} is not one of {names}, and there is no folder or file of that name."
    )


def each_once(
    _context: click.Context, parameter: click.Parameter, values: tuple[Dataset | Path, ...]
) -> tuple[Dataset | Path, ...]:
    """Refuses a dataset that is named twice: its images would count twice."""
    places = [value.resolve() if isinstance(value, Path) else value.name for value in values]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise click.BadParameter(f"{place} is named twice.", param=parameter)
    return values


def split_names(
    _context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    """The names between commas; spaces around them do not count."""
    if value is None:
        return None
    try:
        names = [name.strip() for name in value.split(",")]
        return check_class_names(names, where=repr(value))
    except DataUnfit as error:
        raise click.BadParameter(str(error), param=parameter) from error
