"""A line that moves while a load runs."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from flatdense_client._load import crew

_CONNECTING = "connecting"
_WARMING_UP = "warming up"
_MEASURING = "measuring"
_WAITING = "waiting for the last answers"


class Pulse:
    """Shows what a load does, and how many calls it made so far. Leaves nothing behind."""

    def __init__(
        self, console: Console, *, warmup_s: float, duration_s: float, is_wanted: bool
    ) -> None:
        self._warmup_s = warmup_s
        self._duration_s = duration_s
        self._progress = Progress(
            TextColumn("{task.description}", style="dim"),
            BarColumn(20, complete_style="cyan", finished_style="cyan", pulse_style="dim"),
            TextColumn("{task.fields[told]}"),
            console=console,
            transient=True,
            disable=not is_wanted,
        )
        self._task = self._progress.add_task(_CONNECTING, total=None, told="")

    def __enter__(self) -> "Pulse":  # noqa: PYI034  # typing.Self is newer than 3.10
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, progress: crew.Progress) -> None:
        """So far is the load."""
        now_s = progress.now_s
        if now_s < 0:
            self._update(_WARMING_UP, self._warmup_s + now_s, self._warmup_s, "")
            return
        doing = _MEASURING if now_s < self._duration_s else _WAITING
        measured_s = min(now_s, self._duration_s)
        told = f"{measured_s:.0f} of {self._duration_s:g} s  {progress.answered:,} calls"
        if progress.failed:
            told += f"  [red]{progress.failed:,} failed[/]"
        self._update(doing, measured_s, self._duration_s, told)

    def _update(self, doing: str, done_s: float, of_s: float, told: str) -> None:
        self._progress.update(
            self._task, description=doing, completed=done_s, total=of_s, told=told
        )
