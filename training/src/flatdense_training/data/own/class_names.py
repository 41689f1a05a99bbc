"""The names of the classes: how many there may be, how they are called, and how they are sorted."""

import re
from collections.abc import Iterable, Sequence

from flatdense_training.errors import DataUnfit

FEWEST = 2
MOST = 10

LONGEST = 64
"""Characters of a name: it becomes a label of metrics, and a column of tables."""

DEFAULT = tuple("0123456789")
"""By the label, where nobody says how the classes are called."""


def check_class_names(names: Sequence[str], *, where: str) -> tuple[str, ...]:
    """The names themselves.

    Raises DataUnfit, naming `where` they came from, unless they are 2 to 10, all different,
    printable and not empty.
    """
    if len(names) < FEWEST:
        found = f"one class, {names[0]!r}" if names else "no class"
        raise DataUnfit(
            f"{where} has {found}, expected {FEWEST} to {MOST}: there is nothing to tell apart."
        )
    if len(names) > MOST:
        raise DataUnfit(
            f"{where} has {len(names)} classes, expected {FEWEST} to {MOST}. "
            "Leave some out, or join some."
        )
    for number, name in enumerate(names):
        fault = find_fault(name, earlier=names[:number])
        if fault:
            raise DataUnfit(
                f"{where}: class {number} is called {name!r}, {fault}. Expected a different name "
                f"for each class, of 1 to {LONGEST} printable characters."
            )
    return tuple(names)


def find_fault(name: str, *, earlier: Sequence[str]) -> str | None:
    """What is wrong with a name that comes after others, or None."""
    if not name.strip():
        return "which is empty"
    if len(name) > LONGEST:
        return f"which has {len(name)} characters"
    if not name.isprintable():
        return "which cannot be printed"
    if "," in name:
        return "whose comma would separate two names"
    if name in earlier:
        return f"as is class {earlier.index(name)}"
    return None


def sort_naturally(names: Iterable[str]) -> list[str]:
    """As people sort: 2 before 10, and small and capital letters together."""
    return sorted(names, key=lambda name: (natural_key(name), name))


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """What to compare: numbers by their value, and before letters; other parts without case."""
    parts = re.split("([0-9]+)", name)  # every second one is a number
    return [
        (0, int(part), "") if number % 2 else (1, 0, part.casefold())
        for number, part in enumerate(parts)
        if part
    ]


def name_folders(folders: Sequence[str], names: Sequence[str] | None, *, where: str) -> list[str]:
    """The folders in the order of the labels, where `names` are what the user calls the classes.

    - None: the folders as they are sorted, which also name the classes.
    - The folders' names in another order: that order.
    - Other names: the folders as they are sorted; the names are theirs, one by one.

    Raises DataUnfit where there is another number of names, or some are folders and some are not:
    one by one, they would go to the wrong folders.
    """
    if names is None or set(names) == set(folders):
        return list(names or folders)
    if len(names) != len(folders):
        raise DataUnfit(
            f"{where} has {len(folders)} classes, {', '.join(folders)}, and --class-names gives "
            f"{len(names)}: {', '.join(names)}. Expected a name for each class."
        )
    strangers = [name for name in names if name not in folders]
    if len(strangers) < len(names):
        raise DataUnfit(
            f"{where} has no folder {', '.join(strangers)}, which --class-names gives beside "
            f"folders that it has: {', '.join(folders)}. Name exactly these, in any order, or "
            "give new names for all of them, in this order."
        )
    return list(folders)
