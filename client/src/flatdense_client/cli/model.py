"""`flatdense model`: the network that answers, how it was trained, and how it is served."""

import dataclasses
from collections.abc import Mapping, Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flatdense_client._results.model import Layer, ModelInfo, Tensor, Training
from flatdense_client.cli.facts import Facts
from flatdense_client.cli.model_facts import accuracy, add_unchecked, add_versions, batches
from flatdense_client.cli.options import Connection, connection_options
from flatdense_client.cli.programs import write_json
from flatdense_client.cli.screen import plain, quiet_table, stdout_console


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@connection_options
def model(
    *,
    as_json: bool,
    connection: Connection,
) -> None:
    """Describe the model: layers, training, versions.

    \b
    Examples:
      flatdense model
      flatdense model --model-label canary
      flatdense model --json | jq .training.metrics
    """  # noqa: D301  # click's mark: these lines stay as they are
    with connection.open() as client:
        info = client.model()
    if as_json:
        write_json(dataclasses.asdict(info))
        return
    console = stdout_console()
    console.print(_head(info))
    if info.layers:
        console.print()
        console.print(_layers(info, console))
    console.print()
    console.print(_tensors(info, console))
    console.print()
    console.print(_foot(info))


def _head(info: ModelInfo) -> Facts:
    facts = Facts()
    facts.add("model", (info.name, "bold"), f", version {info.version}")
    facts.add("accuracy", accuracy(info))
    facts.add("classes", "  ".join(info.class_names) or "unknown")
    return facts


def _layers(info: ModelInfo, console: Console) -> Table:
    table = quiet_table(console)
    table.show_footer = True
    table.footer_style = "dim"
    table.add_column("layer", "in all", style="bold", overflow="fold")
    table.add_column("kind", overflow="fold")
    table.add_column("output", justify="right", overflow="fold")
    table.add_column("parameters", f"{info.parameters:,}", justify="right")
    for layer in info.layers:
        kind = f"{layer.kind} {layer.activation or ''}"
        cells = (layer.name, kind, _shape(layer.output_shape))
        table.add_row(*(Text(plain(cell)) for cell in cells), _count(layer))
    return table


def _count(layer: Layer) -> str:
    return f"{layer.parameters:,}" if layer.parameters else ""


def _tensors(info: ModelInfo, console: Console) -> Table:
    table = quiet_table(console)
    table.add_column("tensor", style="bold", overflow="fold")
    table.add_column("")
    table.add_column("type", overflow="fold")
    table.add_column("shape", overflow="fold")
    for told, tensors in (("input", info.inputs), ("output", info.outputs)):
        for tensor in tensors:
            table.add_row(*(Text(plain(cell)) for cell in _cells(tensor, told)))
    return table


def _cells(tensor: Tensor, told: str) -> tuple[str, ...]:
    return tensor.name, told, tensor.data_type, _shape(tensor.shape)


def _shape(sides: Sequence[int]) -> str:
    return " x ".join("N" if side < 0 else str(side) for side in sides)


def _foot(info: ModelInfo) -> Facts:
    facts = Facts()
    if info.training:
        _add_training(facts, info.training)
    facts.add("engine", f"{info.serving.engine} on {info.serving.device}")
    facts.add("batches", batches(info.serving))
    add_versions(facts, info.versions)
    add_unchecked(facts, info.unchecked)
    return facts


def _add_training(facts: Facts, training: Training) -> None:
    if training.created_at:
        facts.add("trained", f"{training.created_at:%Y-%m-%d %H:%M} UTC")
    images = (
        f"{training.train_rows:,} to train, {training.validation_rows:,} to validate, "
        f"{training.test_rows:,} to test"
    )
    facts.add("data", training.dataset)
    facts.add("images", images)
    facts.add("run", f"{training.epochs} epochs, seed {training.seed}")
    _add_metrics(facts, training.metrics)


def _add_metrics(facts: Facts, metrics: Mapping[str, float]) -> None:
    columns = max(map(len, metrics), default=0)
    for index, (name, value) in enumerate(sorted(metrics.items())):
        told = f"{value:.2%}" if name.endswith("accuracy") else f"{value:.4f}"
        facts.add("" if index else "metrics", told, head=[f"{name:<{columns}}  "])
