"""The command line's entry: the group of commands, and what an error means for the exit code."""

import io
import os
import sys
from collections.abc import Sequence

import click

from flatdense_client._errors import FlatdenseError
from flatdense_client.cli.bench import bench
from flatdense_client.cli.classify import classify
from flatdense_client.cli.completion import completion
from flatdense_client.cli.explain import explain
from flatdense_client.cli.model import model
from flatdense_client.cli.screen import complain
from flatdense_client.cli.status import status
from flatdense_client.cli.wait_ready import wait_ready

EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="flatdense-client", prog_name="flatdense")
def flatdense() -> None:
    """Classify handwritten digits with a flatdense server.

    \b
    Examples:
      flatdense classify seven.png
      flatdense explain seven.png
      flatdense status --server digits.example.org:8500

    \b
    Exit codes:
      0    done
      1    something failed: the server, the network, a file
      2    wrong usage
      3    bench did not reach what was demanded of it
      130  interrupted by Ctrl-C

    Results go to stdout, errors and progress to stderr. There is no colour in a pipe, nor where
    NO_COLOR is set. `flatdense completion --help` tells how the Tab key completes all of it.
    """  # noqa: D301  # click's mark: these lines stay as they are


flatdense.add_command(bench)
flatdense.add_command(classify)
flatdense.add_command(completion)
flatdense.add_command(explain)
flatdense.add_command(model)
flatdense.add_command(status)
flatdense.add_command(wait_ready)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: see `flatdense --help` for the codes."""
    _prepare_streams()
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _refuse_writing(error)
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = flatdense.main(arguments, prog_name="flatdense", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except FlatdenseError as error:
        complain(str(error))
        return EXIT_FAILURE
    except OSError as error:
        return _refuse_writing(error)
    except Exception as error:  # a defect, which is no reason to show people a traceback
        if sys.flags.dev_mode:
            raise
        complain(
            f"unexpected {type(error).__name__}: {error}. This is a defect of flatdense: please "
            "report it, with what PYTHONDEVMODE=1 shows"
        )
        return EXIT_FAILURE
    return code if isinstance(code, int) else 0


def _prepare_streams() -> None:
    if sys.stdout is None:  # closed before the command began
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  # as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A screen that lacks a character shows another in its place.
            stream.reconfigure(errors="replace")


def _refuse_writing(error: OSError) -> int:
    """What reads stdout has left, which is its right; or the disk is full."""
    # Python writes what is left once more when it ends, and would complain itself.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        complain(f"cannot write: {error.strerror}")
    return EXIT_FAILURE
