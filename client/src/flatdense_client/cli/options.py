"""The options that every command shares: which server, which version, how long to wait."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from flatdense_client._channel import check_address
from flatdense_client._errors import InvalidInput

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--server",
        callback=lambda _context, _option, address: _check_server(address),
        metavar="HOST:PORT",
        default="localhost:8500",
        envvar="FLATDENSE_SERVER",
        show_default=True,
        show_envvar=True,
        help="Where the server listens for gRPC.",
    ),
    click.option(
        "--timeout-s",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        default=10.0,
        envvar="FLATDENSE_TIMEOUT_S",
        show_default=True,
        show_envvar=True,
        help="How long each call may take.",
    ),
    click.option(
        "--model-version",
        type=click.IntRange(min=1),
        metavar="N",
        envvar="FLATDENSE_MODEL_VERSION",
        show_default="the one that the server serves",
        show_envvar=True,
        help="The version that answers.",
    ),
)


def _check_server(address: str) -> str:
    try:
        return check_address(address)
    except InvalidInput as error:
        raise click.BadParameter(str(error)) from None


def connection_options(command: Command) -> Command:
    """Adds `--server`, `--timeout-s` and `--model-version`, in this order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
