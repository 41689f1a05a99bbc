"""`flatdense status`: whether a server is ready, and what it serves."""

import dataclasses
from collections.abc import Sequence

import click

from flatdense_client._client import Client
from flatdense_client._errors import FlatdenseError
from flatdense_client._results.model import Layer, ModelInfo, VersionStatus
from flatdense_client.cli.facts import Facts
from flatdense_client.cli.model_facts import accuracy, add_unchecked, add_versions, batches, trained
from flatdense_client.cli.options import Connection, connection_options
from flatdense_client.cli.programs import write_json
from flatdense_client.cli.screen import complain, stdout_console


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@connection_options
@click.pass_context
def status(
    context: click.Context,
    *,
    as_json: bool,
    connection: Connection,
) -> None:
    """Show whether the server is ready and what it serves.

    Exits with 1 if it is not ready.

    \b
    Examples:
      flatdense status
      flatdense status --server digits.example.org:8500 --json
    """  # noqa: D301  # click's mark: these lines stay as they are
    with connection.open() as client:
        is_ready = client.ready()
        model, trouble = _ask_for_model(client)
    if as_json:
        told = dataclasses.asdict(model) if model else None
        write_json({"server": connection.server, "ready": is_ready, "model": told})
    else:
        stdout_console().print(_to_facts(connection.server, model, is_ready=is_ready))
    if trouble:
        complain(trouble)
    if not is_ready or model is None:
        context.exit(1)


def _ask_for_model(client: Client) -> tuple[ModelInfo | None, str]:
    try:
        return client.model(), ""
    except FlatdenseError as error:
        return None, str(error)


def _to_facts(server: str, model: ModelInfo | None, *, is_ready: bool) -> Facts:
    facts = Facts()
    mark = ("● ready", "green") if is_ready else ("○ not ready", "yellow")
    facts.add("server", (server, "bold"), "  ", mark)
    if model is not None:
        facts.add("model", _model(model))
        facts.add("accuracy", accuracy(model))
        facts.add("layers", " → ".join(_layer(layer) for layer in model.layers) or "unknown")
        if model.parameters:
            facts.add("parameters", f"{model.parameters:,}")
        if model.training:
            facts.add("trained", trained(model.training))
        facts.add("engine", f"{model.serving.engine} on {model.serving.device}")
        facts.add("batches", batches(model.serving))
        if _is_worth_a_table(model.versions):
            add_versions(facts, model.versions)
        add_unchecked(facts, model.unchecked)
    return facts


def _is_worth_a_table(versions: Sequence[VersionStatus]) -> bool:
    return len(versions) > 1 or any(v.labels or v.state != "ready" for v in versions)


def _model(model: ModelInfo) -> str:
    others = [str(version) for version in model.available_versions if version != model.version]
    # Where the versions have lines of their own, these tell more.
    also = f", also {', '.join(others)}" if others and not model.versions else ""
    return f"{model.name}, version {model.version}{also}"


def _layer(layer: Layer) -> str:
    shape = " x ".join(str(side) for side in layer.output_shape)
    return f"{layer.kind} {shape}" + (f" {layer.activation}" if layer.activation else "")
