"""The options that every command shares: which server and version, how, how long to wait."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from flatdense_client._channel.addresses import check_address, split
from flatdense_client._channel.tls import Tls
from flatdense_client._client import Client
from flatdense_client._core.selector import check_label
from flatdense_client._errors import InvalidInput
from flatdense_client._results.model import VersionStatus
from flatdense_client.cli.access import ACCESS_OPTIONS, NAMES, read_tls, read_token

Result = TypeVar("Result")

_MAX_VERSION = 2**63 - 1

_SUGGESTION_S = 1.0
"""How long the Tab key may wait for the server."""


def check_seconds(_context: click.Context, _option: click.Parameter, seconds: float) -> float:
    """An option's number of seconds as it is. Raises BadParameter: it is no number."""
    if math.isnan(seconds):
        raise click.BadParameter("nan is no time: expected a number of seconds.")
    return seconds


def _check_server(_context: click.Context, _option: click.Parameter, address: str) -> str:
    try:
        for each in split(address):
            check_address(each)
    except InvalidInput as error:
        raise click.BadParameter(str(error)) from None
    return address


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


def _suggest_versions(
    context: click.Context, _option: click.Parameter, begun: str
) -> "list[CompletionItem[str]]":  # click 8.1 has no [str]
    versions = _ask_for_versions(context)
    told = [(str(v.version), ", ".join(v.labels) or v.state) for v in versions]
    return [CompletionItem(number, help=tip) for number, tip in told if number.startswith(begun)]


def _suggest_labels(
    context: click.Context, _option: click.Parameter, begun: str
) -> "list[CompletionItem[str]]":  # click 8.1 has no [str]
    versions = _ask_for_versions(context)
    told = [(label, f"version {v.version}") for v in versions for label in v.labels]
    return [CompletionItem(label, help=tip) for label, tip in told if label.startswith(begun)]


def _ask_for_versions(context: click.Context) -> Sequence[VersionStatus]:
    """What the server has, for who presses Tab: nothing where it does not say so at once."""
    told = {name: context.params.get(name) for name in (*_NAMES, *NAMES)}
    told |= {"timeout_s": _SUGGESTION_S, "model_version": None, "model_label": None}
    # Half a command line may be wrong in any way, which is not the time to say so.
    with suppress(Exception), _connection(told).open() as client:
        return client.model().versions
    return ()


_OPTIONS = (
    click.option(
        "--server",
        callback=_check_server,
        metavar="HOST:PORT",
        default="localhost:8500",
        envvar="FLATDENSE_SERVER",
        show_default=True,
        show_envvar=True,
        help="Where the server listens for gRPC; several with commas between them, or all of one "
        "name as dns:///HOST:PORT.",
    ),
    click.option(
        "--timeout-s",
        type=click.FloatRange(min=0, min_open=True),
        callback=check_seconds,
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
        shell_complete=_suggest_versions,
        envvar="FLATDENSE_MODEL_VERSION",
        show_default="the one that the server serves",
        show_envvar=True,
        help="The version that answers.",
    ),
    click.option(
        "--model-label",
        callback=_check_label,
        metavar="NAME",
        shell_complete=_suggest_labels,
        envvar="FLATDENSE_MODEL_LABEL",
        show_envvar=True,
        help="The version that answers, by its label, such as stable or canary.",
    ),
    *ACCESS_OPTIONS,
)

_NAMES = ("server", "timeout_s", "model_version", "model_label")
"""What click calls them, beside those of ACCESS_OPTIONS."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """What the options say."""

    server: str
    timeout_s: float
    model_version: int | None
    model_label: str | None
    tls: bool | Tls = False
    token: str | None = field(default=None, repr=False)

    def open(self) -> Client:
        """A client as the options want it.

        Raises UsageError: they do not go together, or the token is none. Raises InvalidInput: a
        file cannot be used.
        """
        try:
            return Client(
                self.server,
                model_version=self.model_version,
                model_label=self.model_label,
                timeout_s=self.timeout_s,
                tls=self.tls,
                token=self.token,
            )
        except ValueError as error:
            raise click.UsageError(f"{error}.") from None


def _connection(options: Mapping[str, Any]) -> Connection:
    told = {name: options[name] for name in _NAMES}
    return Connection(**told, tls=read_tls(options), token=read_token(options))


def connection_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds the options, and hands their values to the command as one `connection`."""

    @functools.wraps(command)
    def with_connection(*arguments: Any, **options: Any) -> Result:  # noqa: ANN401  # click's
        told = {name: options.pop(name) for name in (*_NAMES, *NAMES)}
        return command(*arguments, connection=_connection(told), **options)

    for option in reversed(_OPTIONS):
        with_connection = option(with_connection)
    return with_connection
