"""The loader: the newest version that passes is served, and a refusal is seen."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flatdense_artifact import Manifest, NoVersions
from flatdense_server.batching.queue import QueueLimits
from flatdense_server.engine.engine import Engine
from flatdense_server.models.loader import Loader, NoUsableVersion
from flatdense_server.models.registry import Registry
from flatdense_server.observe.metrics import Metrics
from flatdense_server.tensors import Rows

WriteVersion = Callable[..., Path]


@pytest.fixture
def loader(
    tmp_path: Path,
    registry: Registry,
    open_engine: Callable[[Path, Manifest], Engine],
    metrics: Metrics,
) -> Iterator[Loader]:
    """Loads what write_version() wrote into the registry."""
    yield Loader(
        tmp_path,
        registry=registry,
        open_engine=open_engine,
        limits=QueueLimits(max_rows=100, max_tasks=100),
        metrics=metrics,
    )
    registry.close()


def states(metrics: Metrics, version: int) -> set[str]:
    """The states that the metrics say a version is in."""
    return {
        state
        for state in ("loading", "ready", "failed")
        if metrics.registry.get_sample_value(
            "flatdense_model_state", {"model": "mnist", "version": str(version), "state": state}
        )
    }


def test_the_highest_version_is_served(
    loader: Loader, registry: Registry, write_version: WriteVersion, metrics: Metrics
) -> None:
    """Of versions 2 and 10 it is 10, by number; the older one is left alone."""
    write_version(2)
    write_version(10)
    assert loader.load_latest().version == 10
    assert registry.resolve().version == 10
    assert states(metrics, 10) == {"ready"}
    assert states(metrics, 2) == set()


def test_a_loaded_version_answers(
    loader: Loader, write_version: WriteVersion, draw_rows: Callable[..., Rows]
) -> None:
    """What load_latest() gives takes rows at once."""
    write_version(1)
    outputs = loader.load_latest().submit(draw_rows(3), deadline_s=None).result()
    assert outputs.probabilities.shape == (3, 10)


def test_where_the_newest_version_fails_the_next_older_one_is_served(
    loader: Loader,
    registry: Registry,
    write_version: WriteVersion,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A refused version is `failed` in the metrics, in the log with its reason, and not served."""
    write_version(1)
    (write_version(2) / "saved_model.pb").unlink()
    write_version(3, bias=0.5)
    assert loader.load_latest().version == 1
    assert registry.resolve().version == 1
    assert [states(metrics, version) for version in (1, 2, 3)] == [
        {"ready"},
        {"failed"},
        {"failed"},
    ]
    refused = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [(record.getMessage(), record.version) for record in refused] == [
        ("version refused", 3),
        ("version refused", 2),
    ]
    assert "golden input" in refused[0].reason
    assert "saved_model.pb is missing" in refused[1].reason
    assert not any(record.exc_info for record in refused)


def test_where_none_is_usable_it_says_so(
    loader: Loader, registry: Registry, write_version: WriteVersion, metrics: Metrics
) -> None:
    """NoUsableVersion names the folder and what was tried, newest first; nothing is served."""
    write_version(1, bias=0.5)
    write_version(2, bias=0.5)
    with pytest.raises(NoUsableVersion, match=r"tried \[2, 1\].*log above says why"):
        loader.load_latest()
    assert not registry.ready
    assert [states(metrics, version) for version in (1, 2)] == [{"failed"}, {"failed"}]


def test_a_folder_without_versions_is_named(loader: Loader, tmp_path: Path) -> None:
    """NoVersions comes through with the folder in it."""
    with pytest.raises(NoVersions, match=str(tmp_path)):
        loader.load_latest()


def test_a_served_version_says_what_it_is(
    loader: Loader, write_version: WriteVersion, metrics: Metrics
) -> None:
    """model_info has the facts of the manifest and engine; the load's duration is there."""
    write_version(4)
    loader.load_latest()
    labels = {"model": "mnist", "version": "4"}
    info = {
        **labels,
        "dataset": "seeded noise",
        "parameters": "12730",
        "test_accuracy": "0.9",
        "engine": "numpy",
        "device": "cpu",
    }
    value = metrics.registry.get_sample_value
    assert value("flatdense_model_info", info) == 1
    assert value("flatdense_model_load_duration_seconds", labels) is not None
