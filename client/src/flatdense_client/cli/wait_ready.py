"""`flatdense wait-ready`: waits until the server classifies, for scripts and health checks."""

import dataclasses
import time

import click

from flatdense_client._errors import DeadlineExceeded, NotFound, Overloaded, Unavailable
from flatdense_client._results.model import ModelInfo
from flatdense_client.cli.options import Connection, check_seconds, connection_options
from flatdense_client.cli.screen import complain, plain, stdout_console, waiting

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5
"""Between two looks: it doubles from the first to the longest."""


@click.command("wait-ready")
@click.option(
    "--timeout",
    "patience_s",
    type=click.FloatRange(min=0, min_open=True),
    callback=check_seconds,
    metavar="SECONDS",
    default=60.0,
    show_default=True,
    help="How long to wait in all; inf waits for ever.",
)
@connection_options
@click.pass_context
def wait_ready(context: click.Context, *, patience_s: float, connection: Connection) -> None:
    """Wait until the server classifies.

    Exits with 0 as soon as it does, and with 1 when the time is over. Whatever cannot pass by
    waiting, such as a wrong token, ends the wait at once. With --model-version or --model-label it
    waits for that version.

    \b
    Examples:
      flatdense wait-ready && flatdense classify seven.png
      flatdense wait-ready --timeout 3      # as a container's health check
    """  # noqa: D301  # click's mark: these lines stay as they are
    begin_s = time.monotonic()
    wait = Wait(connection, patience_s=patience_s)
    model = wait.run()
    waited_s = time.monotonic() - begin_s
    if model is None:
        complain(f"not ready after {waited_s:.1f} s: {wait.missing}")
        context.exit(1)
    name = plain(model.name)
    told = f"{connection.server} is ready: {name}, version {model.version} ({waited_s:.1f} s)"
    stdout_console().print(told)


class Wait:
    """Looks at the server again and again, each time over a connection of its own.

    A connection that failed would be made anew only after pauses that gRPC chooses, and would hold
    on to the addresses that a name had before.
    """

    def __init__(self, connection: Connection, *, patience_s: float) -> None:
        self._connection = connection
        self._end_s = time.monotonic() + patience_s
        self.missing = ""
        """What was waited for at the last look."""
        self._told: set[str] = set()

    def run(self) -> ModelInfo | None:
        """The model that answers, as soon as it does. None: the time is over.

        Raises any FlatdenseError that does not pass by waiting.
        """
        pause_s = _FIRST_PAUSE_S
        while (remaining_s := self._end_s - time.monotonic()) > 0:
            model = self._look(remaining_s)
            if model is not None:
                return model
            time.sleep(max(0.0, min(pause_s, self._end_s - time.monotonic())))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        return None

    def _look(self, remaining_s: float) -> ModelInfo | None:
        connection = self._connection
        timeout_s = min(connection.timeout_s, remaining_s)
        try:
            with dataclasses.replace(connection, timeout_s=timeout_s).open() as client:
                model = client.model()
                if client.ready():
                    return model
        except DeadlineExceeded as error:
            # At the end there is little time to look: what was seen before tells more.
            if not self.missing or timeout_s == connection.timeout_s:
                self._tell(str(error))
        except (NotFound, Overloaded, Unavailable) as error:
            self._tell(str(error))
        else:
            self._tell(f"{connection.server} answers, but does not classify yet")
        return None

    def _tell(self, missing: str) -> None:
        self.missing = missing
        if missing not in self._told:  # a name of several addresses fails now here, now there
            self._told.add(missing)
            waiting(missing)
