"""How far the downloads are: one bar for each file on a terminal, one line in a pipe."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from flatdense_training.data import download


@contextmanager
def download_bars(console: Console) -> Iterator[download.Progress]:
    """What a download reports to. The bars are gone when the context ends."""
    bars = Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def report(*, file: str, received_bytes: int, total_bytes: int | None) -> None:
        if file not in tasks:
            tasks[file] = bars.add_task(file)
            console.print(Text(f"  Downloading {file}"))
        bars.update(tasks[file], completed=received_bytes, total=total_bytes)

    with bars:
        yield report
