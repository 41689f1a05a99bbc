"""The options that every command shares: which server, how long to wait, which version."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from flatdense_client._channel import check_address
from flatdense_client._errors import InvalidInput
from flatdense_client._selector import check_label

Command = TypeVar("Command", bound=Callable[..., Any])

_MAX_VERSION = 2**63 - 1


def _check_server(_context: click.Context, _option: click.Parameter, address: str) -> str:
    try:
        return check_address(address)
    except InvalidInput as error:
        raise click.BadParameter(str(error)) from None


def _check_version(
    context: click.Context, _option: click.Parameter, version: int | None
) -> int | None:
    _check_choice(context)
    if version is not None and version > _MAX_VERSION:
        raise click.BadParameter(f"{version} is no version: expected at most {_MAX_VERSION}.")
    return version


def _check_label(context: click.Context, _option: click.Parameter, label: str | None) -> str | None:
    _check_choice(context)
    try:
        return None if label is None else check_label(label)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _check_choice(context: click.Context) -> None:
    """Refuses a version beside a label. Both options ask: click reads them in any order."""
    told = [word for name in ("model_version", "model_label") if (word := _given(context, name))]
    if len(told) > 1:
        msg = f"{' and '.join(told)} exclude each other: give one of them."
        raise click.UsageError(msg, context)


def _given(context: click.Context, name: str) -> str | None:
    """How the user wrote the option; None where it was not given, or not read so far."""
    match context.get_parameter_source(name):
        case ParameterSource.COMMANDLINE:
            return f"--{name.replace('_', '-')}"
        case ParameterSource.ENVIRONMENT:
            return f"FLATDENSE_{name.upper()}"
        case _:
            return None


_OPTIONS = (
    click.option(
        "--server",
        callback=_check_server,
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
        callback=_check_version,
        type=click.IntRange(min=1),
        metavar="N",
        envvar="FLATDENSE_MODEL_VERSION",
        show_default="the one that the server serves",
        show_envvar=True,
        help="The version that answers.",
    ),
    click.option(
        "--model-label",
        callback=_check_label,
        metavar="NAME",
        envvar="FLATDENSE_MODEL_LABEL",
        show_envvar=True,
        help="The version that answers, by its label, such as stable or canary.",
    ),
)


def connection_options(command: Command) -> Command:
    """Adds `--server`, `--timeout-s`, `--model-version` and `--model-label`, in this order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
