"""The follower: the newest version that passes is served, as versions come and go."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flatdense_artifact import NoVersions, version_folder
from flatdense_server.batching.queue import QueueLimits
from flatdense_server.errors import Draining, NotFound
from flatdense_server.models.attempts import Attempts
from flatdense_server.models.follower import Follower, NoUsableVersion
from flatdense_server.models.gate import OpenEngine
from flatdense_server.models.loader import Loader
from flatdense_server.models.orders import Orders
from flatdense_server.models.policy import PolicyInvalid
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.models.shadow import Shadow
from flatdense_server.models.statuses import Statuses
from flatdense_server.observe.metrics.boards import Boards
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.selector import Selector
from flatdense_server.tensors import Rows

WriteVersion = Callable[..., Path]


@pytest.fixture
def shadow_version() -> int | None:
    """None, unless a test says otherwise."""
    return None


@pytest.fixture
def follower(
    tmp_path: Path,
    registry: Registry,
    open_engine: OpenEngine,
    statuses: Statuses,
    metrics: Metrics,
    shadow_version: int | None,
) -> Iterator[Follower]:
    """Follows what write_version() writes."""
    shadow = shadow_version and Shadow(
        "mnist",
        shadow_version,
        fraction=1,
        is_idle=lambda: registry.idle,
        statuses=statuses,
        metrics=metrics,
    )
    loader = Loader(
        tmp_path,
        "mnist",
        cache_dir=tmp_path / "cache",
        open_engine=open_engine,
        statuses=statuses,
        metrics=metrics,
    )
    limits = QueueLimits(max_rows=100, max_tasks=100)
    yield Follower(
        tmp_path,
        registry=registry,
        attempts=Attempts(tmp_path, loader),
        make_servable=lambda loaded: Servable("mnist", loaded, limits=limits, metrics=metrics),
        statuses=statuses,
        metrics=metrics,
        shadow=shadow or None,
    )
    registry.close()


def states(sample: Callable[..., float | None], version: int) -> set[str]:
    """The states that the metrics say a version is in."""
    return {
        state
        for state in ("loading", "ready", "failed", "shadow")
        if sample(
            "flatdense_model_state", {"model": "mnist", "version": str(version), "state": state}
        )
    }


def test_the_highest_version_is_served(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    sample: Callable[..., float | None],
) -> None:
    """Of versions 2 and 10 it is 10, by number; the older one is left alone."""
    write_version(2)
    write_version(10)
    assert follower.begin().version == 10
    assert registry.resolve().version == 10
    assert states(sample, 10) == {"ready"}
    assert states(sample, 2) == set()


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
    sample: Callable[..., float | None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A refused version is `failed` in the metrics, in the log with its reason, and not served."""
    write_version(1)
    (write_version(2) / "saved_model.pb").unlink()
    write_version(3, bias=0.5)
    assert follower.begin().version == 1
    assert registry.resolve().version == 1
    assert [states(sample, version) for version in (1, 2, 3)] == [
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
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    sample: Callable[..., float | None],
) -> None:
    """NoUsableVersion names the folder and the versions in it; nothing is served."""
    write_version(1, bias=0.5)
    write_version(2, bias=0.5)
    with pytest.raises(NoUsableVersion, match=r"there are \[1, 2\].*log above says why"):
        follower.begin()
    assert not registry.ready
    assert [states(sample, version) for version in (1, 2)] == [{"failed"}, {"failed"}]


def test_a_folder_without_versions_is_named(follower: Follower, tmp_path: Path) -> None:
    """NoVersions comes through with the folder in it."""
    with pytest.raises(NoVersions, match=str(tmp_path)):
        follower.begin()


def test_a_served_version_says_what_it_is(
    follower: Follower, write_version: WriteVersion, sample: Callable[..., float | None]
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
    assert sample("flatdense_model_info", info) == 1
    assert sample("flatdense_model_load_duration_seconds", labels) is not None


def test_a_newer_version_takes_over(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    sample: Callable[..., float | None],
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
    assert states(sample, 1) == set()
    assert states(sample, 2) == {"ready"}


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
    """watch() gives up at once when there will be no more orders, however long its interval."""
    write_version(1)
    follower.begin()
    orders = Orders()
    orders.close()
    follower.watch(orders, 1e6)


@pytest.fixture
def write_policy(tmp_path: Path) -> Callable[[str], None]:
    """Replaces versions.toml by one rename, as a careful operator does."""

    def write(text: str) -> None:
        """Whole or not at all."""
        aside = tmp_path / ".versions.toml"
        aside.write_text(text)
        aside.rename(tmp_path / "versions.toml")

    return write


def served(registry: Registry) -> tuple[list[int], dict[str, int]]:
    """The versions that answer, and what the labels mean."""
    routes = registry.routes
    return list(routes.versions), dict(routes.labels)


def test_the_newest_few_are_served(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    write_policy: Callable[[str], None],
) -> None:
    """`latest = 2` serves the two newest that pass, the highest by default, as versions come."""
    write_policy("latest = 2")
    for version in (1, 2, 3):
        write_version(version)
    write_version(4, bias=0.5)
    assert follower.begin().version == 3
    assert served(registry) == ([2, 3], {})
    write_version(5)
    follower.look()
    assert served(registry) == ([3, 5], {})
    assert registry.resolve().version == 5
    with pytest.raises(NotFound, match="no version 2: available: 3, 5"):
        registry.resolve(Selector(version=2))


def test_exactly_the_named_versions_are_served(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    write_policy: Callable[[str], None],
) -> None:
    """`versions` serves those and no newer one; what is missing is reported and served later."""
    write_policy("versions = [1, 3]")
    for version in (1, 2):
        write_version(version)
    follower.begin()
    assert served(registry) == ([1], {})
    (missing,) = (status for status in registry.summarize(registry.resolve()).versions[1:])
    assert (missing.version, missing.state) == (3, "failed")
    assert "there is no folder" in missing.reason
    write_version(3)
    write_version(4)
    follower.look()
    assert served(registry) == ([1, 3], {})


def test_moving_a_label_moves_its_requests(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    write_policy: Callable[[str], None],
    sample: Callable[..., float | None],
) -> None:
    """`stable` is what requests get that name nothing; moving it rolls back, and back again."""
    for version in (1, 2):
        write_version(version)
    write_policy("[labels]\nstable = 1\ncanary = 2")
    assert follower.begin().version == 1
    assert registry.resolve(Selector(label="canary")).version == 2
    write_policy("[labels]\nstable = 2\ncanary = 2")
    follower.look()
    assert (registry.resolve().version, registry.resolve(Selector(label="stable")).version) == (
        2,
        2,
    )
    write_policy("[labels]\nstable = 1")
    follower.look()
    assert registry.resolve().version == 1
    assert registry.resolve(Selector(version=2)).version == 2
    with pytest.raises(NotFound, match="no label 'canary': available: stable"):
        registry.resolve(Selector(label="canary"))
    labels = {"model": "mnist", "label": "stable"}
    assert sample("flatdense_model_label", {**labels, "version": "1"}) == 1
    assert sample("flatdense_model_label", {**labels, "version": "2"}) is None


def test_a_label_on_a_version_that_fails_stays_where_it_was(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    write_policy: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A label that is moved to a missing or refused version goes on meaning the old one."""
    write_version(1)
    write_version(2)
    write_version(3, bias=0.5)
    write_policy("versions = [2]\n[labels]\nstable = 1")
    follower.begin()
    for bad in (3, 9):
        write_policy(f"versions = [2]\n[labels]\nstable = {bad}")
        follower.look()
        follower.look()
        assert served(registry) == ([1, 2], {"stable": 1})
    refused = [record for record in caplog.records if record.getMessage() == "version refused"]
    assert [record.version for record in refused] == [3, 9]
    write_version(9)
    follower.look()
    assert served(registry) == ([2, 9], {"stable": 9})


def test_a_label_that_never_meant_a_version_says_what_it_should(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    write_policy: Callable[[str], None],
) -> None:
    """A request for it is told which version is not there; everybody else is served."""
    write_version(1)
    write_policy("[labels]\ncanary = 7")
    assert follower.begin().version == 1
    with pytest.raises(NotFound, match="no label 'canary': it means version 7, which is not"):
        registry.resolve(Selector(label="canary"))


def test_removing_a_labelled_version_falls_back_to_the_highest(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    write_policy: Callable[[str], None],
) -> None:
    """The operator wants it gone: its label means nothing, and the highest one answers."""
    write_version(1)
    write_version(2)
    gone = write_version(3)
    write_policy("latest = 2\n[labels]\nstable = 3")
    assert follower.begin().version == 3
    shutil.rmtree(gone)
    follower.look()
    assert registry.resolve().version == 2
    assert served(registry) == ([1, 2], {})


@pytest.mark.parametrize(
    "text", ["", "latest = ", "latest = 0", "newest = 1", "[labels]\nstable = 'one'"]
)
def test_a_bad_policy_changes_nothing_and_is_reported_once(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    write_policy: Callable[[str], None],
    sample: Callable[..., float | None],
    caplog: pytest.LogCaptureFixture,
    text: str,
) -> None:
    """What was read last stays in force; the log says why once, and a metric as long as it is."""
    for version in (1, 2):
        write_version(version)
    write_policy("[labels]\nstable = 1")
    follower.begin()
    write_policy(text)
    follower.look()
    follower.look()
    assert served(registry) == ([1, 2], {"stable": 1})
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    assert sample("flatdense_policy_valid", {"model": "mnist"}) == 0
    write_policy("[labels]\nstable = 2")
    follower.look()
    assert registry.resolve().version == 2
    assert sample("flatdense_policy_valid", {"model": "mnist"}) == 1


def test_a_bad_policy_at_the_start_ends_it(
    follower: Follower, write_version: WriteVersion, write_policy: Callable[[str], None]
) -> None:
    """Nobody knows what was meant, and nothing is served yet: PolicyInvalid."""
    write_version(1)
    write_policy("stable = 1")
    with pytest.raises(PolicyInvalid, match=r"versions\.toml"):
        follower.begin()


def test_wanting_only_what_fails_keeps_what_serves(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    write_policy: Callable[[str], None],
) -> None:
    """A policy of which nothing can be served leaves the served versions as they are."""
    write_version(1)
    follower.begin()
    write_policy("versions = [8]\n[labels]\nstable = 8")
    follower.look()
    assert served(registry) == ([1], {})
    assert registry.resolve().version == 1


def test_what_nobody_wants_any_more_is_forgotten(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    sample: Callable[..., float | None],
) -> None:
    """A failed version that was removed, and a replaced one, leave the status and the metrics."""
    write_version(1)
    follower.begin()
    bad = write_version(2, bias=0.5)
    follower.look()
    assert states(sample, 2) == {"failed"}
    shutil.rmtree(bad)
    write_version(3)
    follower.look()
    assert [states(sample, version) for version in (1, 2, 3)] == [set(), set(), {"ready"}]
    summary = registry.summarize(registry.resolve())
    assert [(status.version, status.state) for status in summary.versions] == [(3, "ready")]


@pytest.mark.parametrize("shadow_version", [2])
@pytest.mark.parametrize(
    ("policy", "state"), [("", "shadow"), ("[labels]\nstable = 1\ncanary = 2", "ready")]
)
def test_a_shadow_is_not_served_unless_the_policy_names_it(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    write_policy: Callable[[str], None],
    sample: Callable[..., float | None],
    policy: str,
    state: str,
) -> None:
    """The newest other version answers; the candidate's state says whether it answers as well."""
    write_version(1)
    write_version(2)
    if policy:
        write_policy(policy)
    assert follower.begin().version == 1
    follower.look()
    assert states(sample, 2) == {state}
    assert (2 in registry.routes.versions) == (state == "ready")


def find_versions(service_boards: Boards) -> dict[str, set[str]]:
    """The versions that the metrics know, and the families that know them."""
    found: dict[str, set[str]] = {}
    for family, series in service_boards.read().items():
        for labels in series:
            if "mnist" in labels and family != "flatdense_policy_valid":
                version = next(label for label in labels if label.isdigit())
                found.setdefault(version, set()).add(family)
    return found


def test_a_version_that_is_replaced_leaves_no_series(
    follower: Follower,
    write_version: WriteVersion,
    draw_rows: Callable[..., Rows],
    service_boards: Boards,
) -> None:
    """What it counted and what it was is gone; the series of the new one are there."""
    write_version(1)
    follower.begin().submit(draw_rows(3), deadline_s=None).result()
    assert "flatdense_rows" in find_versions(service_boards)["1"]
    write_version(2)
    follower.look()
    found = find_versions(service_boards)
    assert found.keys() == {"2"}
    assert {"flatdense_rows", "flatdense_model_info", "flatdense_model_state"} <= found["2"]


def test_a_model_that_is_unloaded_leaves_its_state_and_counts_again_when_it_is_loaded(
    follower: Follower,
    registry: Registry,
    write_version: WriteVersion,
    draw_rows: Callable[..., Rows],
    service_boards: Boards,
    sample: Callable[..., float | None],
) -> None:
    """Of the unloaded version nothing but its state is there; loaded again it counts from 0."""
    write_version(1)
    follower.begin().submit(draw_rows(3), deadline_s=None).result()
    follower.unload()
    assert find_versions(service_boards) == {"1": {"flatdense_model_state"}}
    assert follower.load() == ""
    registry.resolve().submit(draw_rows(2), deadline_s=None).result()
    assert sample("flatdense_rows_total", {"model": "mnist", "version": "1"}) in {0, 2}
    registry.resolve().close()  # what it answered is counted after the answer
    assert sample("flatdense_rows_total", {"model": "mnist", "version": "1"}) == 2


def test_hundreds_of_swaps_leave_the_board_as_it_was(
    follower: Follower,
    write_version: WriteVersion,
    tmp_path: Path,
    draw_rows: Callable[..., Rows],
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each version is loaded, used and removed; the cells of the first are used by the last."""
    write_version(1)
    follower.begin()
    taken = set()
    for version in range(2, 202):
        write_version(version)
        shutil.rmtree(version_folder(tmp_path, version - 1))
        follower.look()
        follower._registry.resolve().submit(draw_rows(2), deadline_s=None).result()
        taken.add(metrics.board.cells[1])
    assert "a metric is not kept" not in caplog.text
    assert max(taken) - min(taken) < 100
