"""The command line's entry: the group of commands, and what an error means for the exit code."""

import sys
from collections.abc import Sequence

import click

from flatdense_client._errors import FlatdenseError
from flatdense_client.cli.classify import classify
from flatdense_client.cli.screen import complain
from flatdense_client.cli.status import status

EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="flatdense-client", prog_name="flatdense")
def flatdense() -> None:
    """Classify handwritten digits with a flatdense server."""


flatdense.add_command(classify)
flatdense.add_command(status)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 1 something failed, 2 wrong usage, 130 Ctrl-C."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = flatdense.main(arguments, prog_name="flatdense", standalone_mode=False)
    except click.Abort:
        complain("interrupted")
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except FlatdenseError as error:
        complain(str(error))
        return EXIT_FAILURE
    return code if isinstance(code, int) else 0
