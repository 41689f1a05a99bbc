"""The options that say how a server is reached safely: TLS, and who is calling."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from flatdense_client._channel.tls import Tls

_FILE = click.Path(path_type=Path)


def _check_token(context: click.Context, option: click.Parameter, token: str | None) -> str | None:
    """It as it is. Raises UsageError: it stands on the command line, which others can see."""
    if context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE:
        msg = (
            "a token on the command line is seen by everybody on this machine: put it into a file "
            "for --token-file, or into FLATDENSE_TOKEN."
        )
        raise click.UsageError(msg)
    return token


ACCESS_OPTIONS = (
    click.option(
        "--tls",
        "is_encrypted",
        is_flag=True,
        envvar="FLATDENSE_TLS",
        show_envvar=True,
        help="Encrypt the connection. Each of the next four options does so too.",
    ),
    click.option(
        "--ca",
        type=_FILE,
        metavar="FILE",
        envvar="FLATDENSE_CA",
        show_default="those that this machine trusts",
        show_envvar=True,
        help="The authorities that may vouch for the server, as PEM.",
    ),
    click.option(
        "--cert",
        "certificate",
        type=_FILE,
        metavar="FILE",
        envvar="FLATDENSE_CERT",
        show_envvar=True,
        help="The certificate to show to the server, as PEM.",
    ),
    click.option(
        "--key",
        type=_FILE,
        metavar="FILE",
        envvar="FLATDENSE_KEY",
        show_envvar=True,
        help="The private key of --cert, as PEM.",
    ),
    click.option(
        "--server-name",
        metavar="NAME",
        envvar="FLATDENSE_SERVER_NAME",
        show_default="the host of --server",
        show_envvar=True,
        help="The name in the server's certificate.",
    ),
    click.option(
        "--token-file",
        type=_FILE,
        metavar="FILE",
        # Without a variable: FLATDENSE_TOKEN_FILE is the server's, a file of hashes.
        help="Send the token in this file with each call. FLATDENSE_TOKEN may hold one itself.",
    ),
    click.option("--token", envvar="FLATDENSE_TOKEN", hidden=True, callback=_check_token),
)

NAMES = ("is_encrypted", "ca", "certificate", "key", "server_name", "token_file", "token")
"""What click calls them."""


def read_tls(options: Mapping[str, Any]) -> bool | Tls:
    """What to say to Client. Raises UsageError: half of a pair is missing."""
    told = {name: options[name] for name in ("ca", "certificate", "key", "server_name")}
    if not any(told.values()):
        return bool(options["is_encrypted"])
    if bool(told["certificate"]) != bool(told["key"]):
        raise click.UsageError("--cert and --key belong together: give both or neither.")
    return Tls(**{name: value or None for name, value in told.items()})


def read_token(options: Mapping[str, Any]) -> str | None:
    """What to say to Client. Raises BadParameter: the file cannot be read."""
    path: Path | None = options["token_file"]
    if path is None:
        return options["token"] or None
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it holds no text"
        msg = f"{click.format_filename(path)} cannot be read: {reason}."
        raise click.BadParameter(msg, param_hint="--token-file") from None
