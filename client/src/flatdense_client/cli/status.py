"""`flatdense status`: whether a server is ready, and what it serves."""

import dataclasses
import json
from datetime import datetime

import click
from rich.table import Table
from rich.text import Text

from flatdense_client._client import Client
from flatdense_client._errors import FlatdenseError
from flatdense_client._model import Layer, ModelInfo, Serving, Training
from flatdense_client.cli.options import connection_options
from flatdense_client.cli.screen import complain, stdout_console


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@connection_options
@click.pass_context
def status(
    context: click.Context,
    *,
    as_json: bool,
    server: str,
    timeout_s: float,
    model_version: int | None,
) -> None:
    """Show whether the server is ready and what it serves. Exits with 1 if it is not ready."""
    with Client(server, model_version=model_version, timeout_s=timeout_s) as client:
        is_ready = client.ready()
        model, trouble = _ask_for_model(client)
    if as_json:
        click.echo(_to_json(server, model, is_ready=is_ready))
    else:
        stdout_console().print(_to_table(server, model, is_ready=is_ready))
    if trouble:
        complain(trouble)
    if not is_ready or model is None:
        context.exit(1)


def _ask_for_model(client: Client) -> tuple[ModelInfo | None, str]:
    try:
        return client.model(), ""
    except FlatdenseError as error:
        return None, str(error)


def _to_json(server: str, model: ModelInfo | None, *, is_ready: bool) -> str:
    facts = {
        "server": server,
        "ready": is_ready,
        "model": dataclasses.asdict(model) if model else None,
    }
    return json.dumps(facts, default=datetime.isoformat)


def _to_table(server: str, model: ModelInfo | None, *, is_ready: bool) -> Table:
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    mark = Text("● ready", style="green") if is_ready else Text("○ not ready", style="yellow")
    table.add_row("server", Text.assemble(Text(server, style="bold"), "  ", mark))
    if model is not None:
        table.add_row("model", _model(model))
        table.add_row("accuracy", _accuracy(model))
        table.add_row("layers", " → ".join(_layer(layer) for layer in model.layers))
        table.add_row("parameters", f"{model.parameters:,}")
        table.add_row("trained", _trained(model.training))
        table.add_row("engine", f"{model.serving.engine} on {model.serving.device}")
        table.add_row("batches", _batches(model.serving))
    return table


def _model(model: ModelInfo) -> str:
    others = [str(version) for version in model.available_versions if version != model.version]
    also = f", also {', '.join(others)}" if others else ""
    return f"{model.name}, version {model.version}{also}"


def _accuracy(model: ModelInfo) -> str:
    if model.test_accuracy is None:
        return "unknown"
    return f"{model.test_accuracy:.2%} of {model.training.test_rows:,} test images"


def _layer(layer: Layer) -> str:
    shape = " x ".join(str(side) for side in layer.output_shape)
    return f"{layer.kind} {shape}" + (f" {layer.activation}" if layer.activation else "")


def _trained(training: Training) -> str:
    day = f"{training.created_at:%Y-%m-%d}, " if training.created_at else ""
    return (
        f"{day}{training.train_rows:,} images of {training.dataset}, "
        f"{training.epochs} epochs, seed {training.seed}"
    )


def _batches(serving: Serving) -> str:
    ladder = " ".join(str(rows) for rows in serving.ladder_rows)
    return f"{ladder} rows compiled; at most {serving.max_request_rows:,} rows a request"
