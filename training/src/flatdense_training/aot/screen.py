"""What the user sees of a compilation."""

from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text


class CompileScreen:
    """Writes to one console; each line begins with `indent`."""

    def __init__(self, console: Console, *, indent: str = "") -> None:
        self._console = console
        self._indent = indent

    def line(self, text: str) -> None:
        """One line, never cut or wrapped: paths are there to be copied."""
        self._console.print(Text(self._indent + text), soft_wrap=True)

    def bars(self, *, libraries: int, functions: int, runtime_files: int) -> "Bars":
        """The bars of a compilation of so many libraries, each of so many steps."""
        return Bars(
            self._console,
            self._indent,
            functions=libraries * functions,
            runtime_files=libraries * runtime_files,
            links=libraries * 2,
        )


class Bars:
    """The steps of a compilation on a terminal; nothing moves in a pipe."""

    def __init__(
        self, console: Console, indent: str, *, functions: int, runtime_files: int, links: int
    ) -> None:
        self._progress = Progress(
            TextColumn(indent + "{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._functions = self._progress.add_task("XLA, batch sizes", total=functions)
        self._runtime = self._progress.add_task("C++, runtime", total=runtime_files)
        self._library = self._progress.add_task("C++, library", total=links)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()

    def function_done(self) -> None:
        """See build.Progress."""
        self._progress.advance(self._functions)

    def runtime_done(self) -> None:
        """See build.Progress."""
        self._progress.advance(self._runtime)

    def library_done(self) -> None:
        """See build.Progress."""
        self._progress.advance(self._library)
