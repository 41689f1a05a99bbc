"""`flatdense status`: whether a server is ready, and what it serves."""

import dataclasses
import json
from collections.abc import Sequence
from datetime import datetime

import click

from flatdense_client._client import Client
from flatdense_client._errors import FlatdenseError
from flatdense_client._model import Layer, ModelInfo, Serving, Training, VersionStatus
from flatdense_client.cli.facts import Facts
from flatdense_client.cli.options import connection_options
from flatdense_client.cli.screen import complain, stdout_console

_STATE_STYLES = {"ready": "green", "loading": "yellow", "failed": "red", "shadow": "dim"}


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
    model_label: str | None,
) -> None:
    """Show whether the server is ready and what it serves. Exits with 1 if it is not ready."""
    client = Client(
        server, model_version=model_version, model_label=model_label, timeout_s=timeout_s
    )
    with client:
        is_ready = client.ready()
        model, trouble = _ask_for_model(client)
    if as_json:
        click.echo(_to_json(server, model, is_ready=is_ready))
    else:
        stdout_console().print(_to_facts(server, model, is_ready=is_ready))
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


def _to_facts(server: str, model: ModelInfo | None, *, is_ready: bool) -> Facts:
    facts = Facts()
    mark = ("● ready", "green") if is_ready else ("○ not ready", "yellow")
    facts.add("server", (server, "bold"), "  ", mark)
    if model is not None:
        facts.add("model", _model(model))
        facts.add("accuracy", _accuracy(model))
        facts.add("layers", " → ".join(_layer(layer) for layer in model.layers) or "unknown")
        if model.parameters:
            facts.add("parameters", f"{model.parameters:,}")
        if model.training:
            facts.add("trained", _trained(model.training))
        facts.add("engine", f"{model.serving.engine} on {model.serving.device}")
        facts.add("batches", _batches(model.serving))
        if _is_worth_a_table(model.versions):
            _add_versions(facts, model.versions)
        for index, sentence in enumerate(model.unchecked):
            facts.add("" if index else "unchecked", (sentence, "yellow"))
    return facts


def _is_worth_a_table(versions: Sequence[VersionStatus]) -> bool:
    return len(versions) > 1 or any(v.labels or v.state != "ready" for v in versions)


def _add_versions(facts: Facts, versions: Sequence[VersionStatus]) -> None:
    version_columns = max(len(str(status.version)) for status in versions)
    state_columns = max(len(status.state) for status in versions)
    for index, status in enumerate(versions):
        style = _STATE_STYLES.get(status.state, "")
        head = (
            f"{status.version:>{version_columns}}  ",
            (f"{status.state:<{state_columns}}  ", style),
        )
        labels, reason = ", ".join(status.labels), " ".join(status.reason.split())
        gap = "  " if labels and reason else ""
        facts.add("" if index else "versions", (labels, "cyan"), gap, reason, head=head)


def _model(model: ModelInfo) -> str:
    others = [str(version) for version in model.available_versions if version != model.version]
    # Where the versions have lines of their own, these tell more.
    also = f", also {', '.join(others)}" if others and not model.versions else ""
    return f"{model.name}, version {model.version}{also}"


def _accuracy(model: ModelInfo) -> str:
    if model.training is None or model.test_accuracy is None:
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
