"""The `flatdense-server` command."""

import click

from flatdense_server.listen import PortUnavailable
from flatdense_server.observe.logs import configure_logs
from flatdense_server.settings import (
    Settings,
    choose_grpc_listener,
    quieten_tensorflow,
    with_settings,
)
from flatdense_server.supervisor import ServiceFailed, Supervisor


@with_settings
@click.option("--print-config", is_flag=True, help="Print the effective settings and exit.")
# FLATDENSE_VERSION in an image or a pod is somebody's label, not a wish to see ours.
@click.version_option(package_name="flatdense-server", allow_from_autoenv=False)
def main(settings: Settings, *, print_config: bool) -> None:
    """Serve the versions in a model folder over gRPC: the newest, or what versions.toml says.

    Stops on SIGTERM and Ctrl-C: accepted calls are answered, new ones refused.
    """
    if print_config:
        click.echo("\n".join(settings.lines()))
        return
    configure_logs(settings.log_format, settings.log_level)
    quieten_tensorflow()
    choose_grpc_listener()
    try:
        Supervisor(settings).run()
    except PortUnavailable as error:
        raise click.ClickException(str(error)) from None
    except ServiceFailed as error:
        # Here: a server that starts needs nothing of it.
        from flatdense_server.migration import explain_model_dir  # noqa: PLC0415

        raise click.ClickException(explain_model_dir(settings.model_dir) or str(error)) from None


if __name__ == "__main__":
    main()
