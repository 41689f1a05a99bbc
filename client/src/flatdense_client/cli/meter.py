"""A progress bar, for work that is long enough to wonder about."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_MANY_FILES = 16
_MANY_IMAGES = 8192


class Meter:
    """Shows how far the work is. Appears when it turns out long, and leaves nothing behind.

    Not thread-safe: one thread starts, moves and leaves it.
    """

    def __init__(self, console: Console, *, files: int, is_wanted: bool) -> None:
        self._is_wanted = is_wanted
        self._is_shown = False
        self._progress = Progress(
            TextColumn("{task.description}", style="dim"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._files = self._progress.add_task("files", total=files, visible=files > 1)
        self._images = self._progress.add_task("images", total=None, visible=False)
        self._show_if(files >= _MANY_FILES)

    def __enter__(self) -> "Meter":  # noqa: PYI034  # typing.Self is newer than 3.10
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_shown:
            self._progress.stop()

    def start_file(self, images: int) -> None:
        """A file was read and holds so many images."""
        is_big = images >= _MANY_IMAGES
        self._progress.reset(self._images, total=images, visible=is_big)
        self._show_if(is_big)

    def reach(self, before: int, images: int, _of: int) -> None:
        """So many images of the file are done by now, and so many before them; `Progress`."""
        self._progress.update(self._images, completed=before + images)

    def end_file(self) -> None:
        """A file is done with, well or badly."""
        self._progress.advance(self._files)

    def _show_if(self, is_long: bool) -> None:  # noqa: FBT001  # the name is the sentence
        if is_long and self._is_wanted and not self._is_shown:
            self._is_shown = True
            self._progress.start()
