"""The registry: which version a request means, and when there is none."""

from collections.abc import Callable

import pytest
from flatdense_server.errors import Draining, NotFound, NotReady
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.selector import Selector


@pytest.fixture
def published(
    registry: Registry, publish: Callable[..., None], make_servable: Callable[..., Servable]
) -> Registry:
    """A registry with versions 3 and 12."""
    publish(make_servable(12), make_servable(3))
    return registry


@pytest.mark.parametrize("name", ["", "mnist"])
def test_no_choice_means_the_highest_version(published: Registry, name: str) -> None:
    """An empty selector and the bare name give the highest number, not the last published."""
    assert published.resolve(Selector(name)).version == 12


@pytest.mark.parametrize("version", [3, 12])
def test_a_version_is_found_by_its_number(published: Registry, version: int) -> None:
    """Every published version answers for itself."""
    assert published.resolve(Selector("mnist", version)).version == version


def test_an_unknown_model_is_named_beside_the_one_there_is(published: Registry) -> None:
    """NotFound says which model was asked for and which this server has."""
    with pytest.raises(NotFound, match="no model 'fashion': this server has 'mnist'") as caught:
        published.resolve(Selector("fashion"))
    assert (caught.value.kind, caught.value.name) == ("model", "fashion")


@pytest.mark.parametrize("version", [0, -1, 4, 13])
def test_an_unknown_version_is_named_beside_those_there_are(
    published: Registry, version: int
) -> None:
    """NotFound lists what is available, ascending; version 0 is a number like another."""
    with pytest.raises(NotFound, match=f"no version {version}: available: 3, 12") as caught:
        published.resolve(Selector("mnist", version))
    assert (caught.value.kind, caught.value.name) == ("version", str(version))


def test_an_unknown_label_is_named(published: Registry) -> None:
    """NotFound says which label was asked for and that none is set."""
    with pytest.raises(NotFound, match="no label 'canary': none is set") as caught:
        published.resolve(Selector(label="canary"))
    assert (caught.value.kind, caught.value.name) == ("label", "canary")


def test_before_anything_is_published_it_is_not_ready(registry: Registry) -> None:
    """NotReady, not NotFound, even for a version: it may come yet."""
    assert not registry.ready
    with pytest.raises(NotReady, match="still loading"):
        registry.resolve(Selector("mnist", 1))


def test_after_drain_every_request_is_refused(published: Registry) -> None:
    """Draining wins over what is served."""
    assert published.ready
    published.drain()
    assert not published.ready
    with pytest.raises(Draining):
        published.resolve()


def test_a_summary_names_every_version_that_answers(published: Registry) -> None:
    """The summary of one version lists all, ascending, with its own engine and limits."""
    summary = published.summarize(published.resolve(Selector(version=3)))
    assert (summary.version, summary.available_versions) == (3, (3, 12))
    assert (summary.engine, summary.device) == ("numpy", "cpu")
    assert summary.ladder_rows == (1, 2, 4, 8)
    assert summary.max_request_rows == 32
