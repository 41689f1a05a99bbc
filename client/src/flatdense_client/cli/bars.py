"""A bar as long as its number."""

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

_MOST_COLUMNS = 30
_LEAST_COLUMNS = 4

_LINE = "━"
_ASCII_LINE = "#"


class Bar:
    """A bar that fills its share of the columns it is given, at most 30; rich prints it.

    Anything above 0 shows as long as `is_seen` says so: what was counted was not nothing.
    """

    def __init__(self, share: float, *, style: str = "cyan", is_seen: bool = False) -> None:
        self._share = min(max(share, 0.0), 1.0)
        self._style = style
        self._least = 1 if is_seen and share > 0 else 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = min(options.max_width, _MOST_COLUMNS)
        line = _ASCII_LINE if options.ascii_only else _LINE
        yield Text(line * max(self._least, round(columns * self._share)), style=self._style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(_LEAST_COLUMNS, _MOST_COLUMNS).clamp(max_width=options.max_width)
