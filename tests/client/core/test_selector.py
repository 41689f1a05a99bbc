"""The choice of a model and of one of its versions."""

import pytest
from flatdense_client import Client
from flatdense_client._core.selector import select_model


def test_a_version_or_a_label_or_neither() -> None:
    """What was chosen is in the message, and nothing else is."""
    assert select_model("mnist", None, None).WhichOneof("choice") is None
    assert select_model("mnist", None, None).name == "mnist"
    version, label = select_model("", 3, None), select_model("", None, "canary")
    assert (version.WhichOneof("choice"), version.version) == ("version", 3)
    assert (label.WhichOneof("choice"), label.label) == ("label", "canary")


def test_a_version_and_a_label_exclude_each_other() -> None:
    """Both at once are refused before any call, with both in the message."""
    told = "model_version is 3 and model_label is 'canary'"
    with pytest.raises(ValueError, match=told):
        Client("localhost:8500", model_version=3, model_label="canary")


@pytest.mark.parametrize("label", ["", "two\nlines", "\x1b[2J", "\udcff"])
def test_a_label_can_be_read(label: str) -> None:
    """An empty label, and one with characters that nobody can see, is refused before any call."""
    with pytest.raises(ValueError, match="is no label: expected a name, such as stable"):
        Client("localhost:8500", model_label=label)
