"""The whole story once, offline: train, export, serve, classify, scrape, drain.

`make demo` runs it. Everything it writes goes into a temporary folder.
"""

import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

from flatdense_client import Client, Unavailable, prepare_image
from rich.console import Console
from server_process import ServerProcess

BIN = Path(sys.executable).parent
SEVEN = Path(__file__).with_name("seven.png")

METRICS = (
    "flatdense_requests_total",
    "flatdense_rows_total",
    "flatdense_predictions_total",
    "flatdense_xla_compilations_total",
)

screen = Console(highlight=False)


def main() -> None:
    """Runs every step; raises where one fails."""
    with tempfile.TemporaryDirectory(prefix="flatdense-demo-") as folder:
        screen.rule("Train on the digits inside scikit-learn, and export")
        run("flatdense-train", "--preset", "quick", "--dataset", "digits", "--model-dir", folder)
        screen.rule("Serve")
        with ServerProcess("--model-dir", folder) as server:
            ready = server.ready()
            screen.print(
                f"version {ready['version']} on {server.address}, XLA on {ready['device']}"
            )
            screen.rule("Classify")
            run("flatdense", "status", "--server", server.address)
            run("flatdense", "classify", "--server", server.address, str(SEVEN))
            screen.rule("Metrics")
            show_metrics(server.page + "metrics")
            screen.rule("Drain")
            drain(server)
    screen.rule("Done")


def run(command: str, *arguments: str) -> None:
    """Runs one of our commands, showing it as a person would type it."""
    screen.print(f"$ {command} {' '.join(arguments)}", style="bold")
    subprocess.run([BIN / command, *arguments], check=True)  # noqa: S603 -- our own command


def show_metrics(url: str) -> None:
    """Scrapes the server and prints some of what was counted."""
    screen.print(f"$ curl {url}", style="bold")
    with urllib.request.urlopen(url) as answer:  # noqa: S310 -- our own server
        lines = answer.read().decode().splitlines()
    for line in lines:
        if line.startswith(METRICS) and not line.endswith(" 0.0"):
            screen.print(line, soft_wrap=True)


def drain(server: ServerProcess) -> None:
    """Stops the server while it is being called: each call is answered, or refused as a whole."""
    caller = Caller(server.address)
    caller.start()
    caller.busy.wait()
    status = server.stop()
    caller.join()
    if status or caller.failure:
        raise SystemExit(f"the drain failed: exit status {status}, {caller.failure!r}")
    screen.print(
        f"{caller.answered:,} calls were answered, the next was refused, and the server ended "
        f"with status {status}."
    )


class Caller(threading.Thread):
    """Calls without a pause until the server says that it is gone."""

    def __init__(self, address: str) -> None:
        super().__init__(name="caller", daemon=True)
        self._address = address
        self.busy = threading.Event()
        self.answered = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        """Counts the answers; any error but Unavailable is a failure."""
        image = prepare_image(SEVEN)
        try:
            with Client(self._address) as client:
                while True:
                    client.classify(image)
                    self.answered += 1
                    if self.answered == 100:  # noqa: PLR2004 -- any number will do
                        self.busy.set()
        except Unavailable:
            pass
        except Exception as error:  # noqa: BLE001 -- the main thread reports it
            self.failure = error
        finally:
            self.busy.set()


if __name__ == "__main__":
    main()
