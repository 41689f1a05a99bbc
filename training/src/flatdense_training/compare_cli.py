"""`flatdense-train --compare`: what the command does where it is not to train."""

from rich.console import Console

from flatdense_training.request import Request
from flatdense_training.terminal.ending import carry_out


def carry_out_comparison(request: Request) -> int:
    """Compares two versions, and gives the exit code."""

    def work() -> None:
        # Here and not above: these take a second to import, which --help need not wait for.
        from flatdense_training.comparison import compare_versions  # noqa: PLC0415
        from flatdense_training.terminal.screen import Screen  # noqa: PLC0415

        compare_versions(request, Screen(Console(highlight=False)))

    return carry_out(work, undone="The versions stay as they are.", left="Nothing was changed.")
