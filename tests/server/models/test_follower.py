"""The follower: the newest version that passes is served, as versions come and go."""

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flatdense_artifact import Manifest, NoVersions
from flatdense_server.batching.queue import QueueLimits
from flatdense_server.engine.engine import Engine
from flatdense_server.errors import Draining
from flatdense_server.models.follower import Follower, NoUsableVersion
from flatdense_server.models.loader import Loader
from flatdense_server.models.registry import Registry
from flatdense_server.observe.metrics import Metrics
from flatdense_server.tensors import Rows

WriteVersion = Callable[..., Path]


@pytest.fixture
def follower(
    tmp_path: Path,
    registry: Registry,
    open_engine: Callable[[Path, Manifest], Engine],
    metrics: Metrics,
) -> Iterator[Follower]:
    """Follows what write_version() writes."""
    loader = Loader(
        tmp_path,
        "mnist",
        open_engine=open_engine,
        limits=QueueLimits(max_rows=100, max_tasks=100),
        metrics=metrics,
    )
    yield Follower(tmp_path, registry=registry, loader=loader, metrics=metrics)
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
    follower: Follower, registry: Registry, write_version: WriteVersion, metrics: Metrics
) -> None:
    """Of versions 2 and 10 it is 10, by number; the older one is left alone."""
    write_version(2)
    write_version(10)
    assert follower.begin().version == 10
    assert registry.resolve().version == 10
    assert states(metrics, 10) == {"ready"}
    assert states(metrics, 2) == set()


def test_a_loaded_version_answers(
    follower: Follower, write_version: WriteVersion, draw_rows: Callable[..., Rows]
) -> None:
    """What begin() gives takes rows at once."""
    write_version(1)
    outputs = follower.begin().submit(draw_rows(3), deadline_s=None).result()
    assert outputs.probabilities.shape == (3, 10)


def test_where_the_newest_version_fails_the_next_older_one_is_served(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A refused version is `failed` in the metrics, in the log with its reason, and not served."""
    write_version(1)
    (write_version(2) / "saved_model.pb").unlink()
    write_version(3, bias=0.5)
    assert follower.begin().version == 1
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
    follower: Follower, registry: Registry, write_version: WriteVersion, metrics: Metrics
) -> None:
    """NoUsableVersion names the folder and what was tried, newest first; nothing is served."""
    write_version(1, bias=0.5)
    write_version(2, bias=0.5)
    with pytest.raises(NoUsableVersion, match=r"tried \[2, 1\].*log above says why"):
        follower.begin()
    assert not registry.ready
    assert [states(metrics, version) for version in (1, 2)] == [{"failed"}, {"failed"}]


def test_a_folder_without_versions_is_named(follower: Follower, tmp_path: Path) -> None:
    """NoVersions comes through with the folder in it."""
    with pytest.raises(NoVersions, match=str(tmp_path)):
        follower.begin()


def test_a_served_version_says_what_it_is(
    follower: Follower, write_version: WriteVersion, metrics: Metrics
) -> None:
    """model_info has the facts of the manifest and engine; the load's duration is there."""
    write_version(4)
    follower.begin()
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


def test_a_newer_version_takes_over(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    metrics: Metrics,
    draw_rows: Callable[..., Rows],
) -> None:
    """What comes later answers, what was accepted before is answered, and the old one is gone."""
    write_version(1)
    old = follower.begin()
    accepted = old.submit(draw_rows(2), deadline_s=None)
    write_version(2)
    follower.look()
    assert registry.resolve().version == 2
    assert len(accepted.result().classes) == 2
    with pytest.raises(Draining):
        old.submit(draw_rows(1), deadline_s=None)
    assert states(metrics, 1) == set()
    assert states(metrics, 2) == {"ready"}


def test_removing_the_version_rolls_back(
    follower: Follower, registry: Registry, write_version: WriteVersion
) -> None:
    """Where the served version's folder goes, the highest one that is left takes over."""
    write_version(1)
    newest = write_version(2)
    assert follower.begin().version == 2
    shutil.rmtree(newest)
    follower.look()
    assert registry.resolve().version == 1


def test_the_last_version_outlives_its_folder(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    draw_rows: Callable[..., Rows],
) -> None:
    """With nothing left on the disk, the version in memory goes on answering."""
    folder = write_version(1)
    follower.begin()
    shutil.rmtree(folder)
    follower.look()
    assert len(registry.resolve().submit(draw_rows(1), deadline_s=None).result().classes) == 1


def test_a_refused_version_is_tried_again_when_its_files_change(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is reported once, not at every look; when it is whole it takes over."""
    write_version(1)
    follower.begin()
    folder = write_version(2)
    missing = (folder / "saved_model.pb").read_bytes()
    (folder / "saved_model.pb").unlink()
    follower.look()
    follower.look()
    assert registry.resolve().version == 1
    assert [record.getMessage() for record in caplog.records].count("version refused") == 1
    (folder / "saved_model.pb").write_bytes(missing)
    follower.look()
    assert registry.resolve().version == 2


def test_watching_ends_when_it_is_told(follower: Follower, write_version: WriteVersion) -> None:
    """watch() gives up at once when `stop` is set, however long its interval."""
    write_version(1)
    follower.begin()
    stop = threading.Event()
    stop.set()
    follower.watch(stop, 1e6)
