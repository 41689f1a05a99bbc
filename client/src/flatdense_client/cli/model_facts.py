"""What both `status` and `model` tell of a model."""

from collections.abc import Sequence

from flatdense_client._results.model import ModelInfo, Serving, Training, VersionStatus
from flatdense_client.cli.facts import Facts

_STATE_STYLES = {"ready": "green", "loading": "yellow", "failed": "red", "shadow": "dim"}


def accuracy(model: ModelInfo) -> str:
    """How good it is, on how many images."""
    if model.training is None or model.test_accuracy is None:
        return "unknown"
    return f"{model.test_accuracy:.2%} of {model.training.test_rows:,} test images"


def trained(training: Training) -> str:
    """When, on what, and how."""
    day = f"{training.created_at:%Y-%m-%d}, " if training.created_at else ""
    return (
        f"{day}{training.train_rows:,} images of {training.dataset}, "
        f"{training.epochs} epochs, seed {training.seed}"
    )


def batches(serving: Serving) -> str:
    """Which sizes are compiled, and the limit."""
    ladder = " ".join(str(rows) for rows in serving.ladder_rows)
    return f"{ladder} rows compiled; at most {serving.max_request_rows:,} rows a request"


def add_versions(facts: Facts, versions: Sequence[VersionStatus]) -> None:
    """Adds a line for each version: its state, its labels, and the reason where it failed."""
    version_columns = max((len(str(status.version)) for status in versions), default=0)
    state_columns = max((len(status.state) for status in versions), default=0)
    for index, status in enumerate(versions):
        style = _STATE_STYLES.get(status.state, "")
        head = (
            f"{status.version:>{version_columns}}  ",
            (f"{status.state:<{state_columns}}  ", style),
        )
        labels, reason = ", ".join(status.labels), " ".join(status.reason.split())
        gap = "  " if labels and reason else ""
        facts.add("" if index else "versions", (labels, "cyan"), gap, reason, head=head)


def add_unchecked(facts: Facts, sentences: Sequence[str]) -> None:
    """Adds what the server could not check, a line for each sentence."""
    for index, sentence in enumerate(sentences):
        facts.add("" if index else "unchecked", (sentence, "yellow"))
