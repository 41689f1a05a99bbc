"""The `flatdense-server` command."""

import click

from flatdense_server.listen import PortUnavailable
from flatdense_server.observe.logs.logs import configure_logs
from flatdense_server.security.errors import FileRefused
from flatdense_server.settings import (
    Settings,
    choose_grpc_listener,
    quieten_grpc,
    quieten_tensorflow,
    with_settings,
)
from flatdense_server.supervisor import ServiceFailed, Supervisor


@with_settings
@click.option("--print-config", is_flag=True, help="Print the effective settings and exit.")
# FLATDENSE_VERSION in an image or a pod is somebody's label, not a wish to see ours.
@click.version_option(package_name="flatdense-server", allow_from_autoenv=False)
@click.option(
    "--make-token",
    metavar="NAME[:SCOPE]",
    help="Make a token for somebody, for inference or admin, and exit: its line for --token-file "
    "goes to standard output, the token itself, which nothing else has, to standard error.",
    allow_from_autoenv=False,
)
def main(settings: Settings, *, print_config: bool, make_token: str | None) -> None:
    """Serve the versions in a model folder over gRPC: the newest, or what versions.toml says.

    Stops on SIGTERM and Ctrl-C: accepted calls are answered, new ones refused.
    """
    if print_config:
        click.echo("\n".join(settings.lines()))
        return
    if make_token is not None:
        show_token(make_token)
        return
    log_writer = configure_logs(settings.log_format, settings.log_level)
    quieten_tensorflow()
    quieten_grpc()
    choose_grpc_listener()
    try:
        Supervisor(settings, log_writer).run()
    except (FileRefused, PortUnavailable) as error:
        raise click.ClickException(str(error)) from None
    except ServiceFailed as error:
        # Here: a server that starts needs nothing of it.
        from flatdense_server.migration import explain_model_dir  # noqa: PLC0415

        raise click.ClickException(explain_model_dir(settings.model_dir) or str(error)) from None


def show_token(wanted: str) -> None:
    """Makes a token and shows it, once."""
    # Here: a server needs nothing of it.
    from flatdense_server.security import tokens  # noqa: PLC0415

    name, _, scope = wanted.partition(":")
    token = tokens.make_token()
    try:
        line = tokens.write_line(name, scope or "inference", token)
    except ValueError as error:
        raise click.UsageError(f"--make-token: {error}") from None
    click.echo(f"The token of {name}, which is shown once:\n{token}", err=True)
    click.echo(line)


if __name__ == "__main__":
    main()
