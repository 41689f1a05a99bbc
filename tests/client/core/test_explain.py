"""Explanations from a real server."""

import asyncio
from collections.abc import Callable

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import (
    AsyncClient,
    Client,
    Explanation,
    Explanations,
    InvalidInput,
    PixelContribution,
    ServerError,
)
from flatdense_client._core.explain import Explain
from flatdense_client._core.messages import MAX_MESSAGE_BYTES, message_rows
from flatdense_client._images.pixels import Rows
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierServicer
from hypothesis import given
from hypothesis import strategies as st

Serve = Callable[[ClassifierServicer], str]
Explains = Callable[..., Explanations]


def _by_client(address: str, images: npt.ArrayLike, **options: int | None) -> Explanations:
    with Client(address, rows_per_message=7, messages_in_flight=3) as client:
        return client.explain(images, **options)


def _by_async_client(address: str, images: npt.ArrayLike, **options: int | None) -> Explanations:
    async def _explain() -> Explanations:
        async with AsyncClient(address, rows_per_message=7, messages_in_flight=3) as client:
            return await client.explain(images, **options)

    return asyncio.run(_explain())


BOTH = pytest.mark.parametrize("explain", [_by_client, _by_async_client])


@BOTH
@pytest.mark.parametrize("class_index", [None, 3])
def test_every_image_is_explained_in_order(
    address: str,
    seen_rows: list[int],
    class_names: tuple[str, ...],
    explain: Explains,
    class_index: int | None,
) -> None:
    """However an array is cut, its explanations add up to the logits of its own rows, in order."""
    images = np.random.default_rng(0).random((30, 784), np.float32)
    explanations = explain(address, images, class_index=class_index)
    assert max(seen_rows) <= 7
    assert len(explanations) == 30
    with Client(address) as client:
        predictions = client.classify(images)
    assert np.array_equal(explanations.predictions.classes, predictions.classes)
    classes = explanations.explained_classes
    assert np.array_equal(
        classes, predictions.classes if class_index is None else np.full(30, class_index)
    )
    sums = explanations.contributions.sum(axis=(1, 2)) + explanations.bias_contributions
    assert np.allclose(sums, explanations.logits[np.arange(30), classes], rtol=1e-4)
    assert np.allclose(explanations.hidden, images[:, :3], rtol=1e-2)
    assert {e.explained_label for e in explanations} <= set(class_names)


@BOTH
def test_each_explanation_is_a_row_of_the_arrays(address: str, explain: Explains) -> None:
    """Item, slice, iteration and arrays tell the same, and nothing can be changed."""
    whole = explain(address, np.eye(9, 784, dtype=np.float32), class_index=2)
    for row, one in enumerate(whole[2:]):
        assert one.label == whole.predictions.labels[row + 2]
        assert one.confidence == whole.predictions[row + 2].confidence
        assert (one.explained_class, one.explained_label) == (2, "two")
        for name in ("contributions", "hidden", "logits"):
            assert np.array_equal(getattr(one, name), getattr(whole, name)[row + 2])
            assert not getattr(one, name).flags.writeable
        assert one.bias_contribution == whole.bias_contributions[row + 2]
    assert [e.model_version for e in whole] == [1] * 9
    assert len(whole[9:]) == 0
    with pytest.raises(AttributeError):
        whole[0].label = "cow"


def _explanation(contributions: dict[tuple[int, int], float]) -> Explanation:
    pixels = np.zeros((28, 28), np.float32)
    for place, contribution in contributions.items():
        pixels[place] = contribution
    return Explanation(
        label="cat",
        class_index=0,
        confidence=0.75,
        probabilities=np.array([0.75, 0.25], np.float32),
        class_names=("cat", "dog"),
        model_version=4,
        timing=None,
        logits=np.array([1.5, 0.5], np.float32),
        hidden=np.ones(3, np.float32),
        explained_label="dog",
        explained_class=1,
        contributions=pixels,
        bias_contribution=0.25,
    )


def test_the_pixels_that_matter_most_come_first() -> None:
    """Pixels for and against are ordered by size, and those that add nothing are left out."""
    explanation = _explanation({(3, 4): 0.5, (27, 0): -2.0, (0, 27): 1.0})
    expected = [PixelContribution(27, 0, -2.0), PixelContribution(0, 27, 1.0), (3, 4, 0.5)]
    assert list(explanation.top_pixels()) == expected
    assert list(explanation.top_pixels(2)) == expected[:2]
    assert explanation.top_pixels(0) == ()


def test_its_repr_is_for_people(address: str) -> None:
    """The repr says what was explained, and what it adds up to, on one line."""
    assert repr(_explanation({(3, 4): 0.25})) == (
        "Explanation(label='cat', confidence=0.7500, explained_label='dog', logit=0.5000, "
        "pixels=0.2500, biases=0.2500, model_version=4)"
    )
    explanations = _by_client(address, np.zeros((6, 784)), class_index=1)
    told = ", ".join(["'one' of 'zero' 0.1000"] * 5)
    assert repr(explanations) == f"Explanations(6 images: {told}, ...)"
    assert repr(explanations[6:]) == "Explanations(0 images)"


@pytest.mark.parametrize("class_index", [-1, 2**63, 1.5, "7"])
def test_a_class_that_is_no_index_never_leaves(
    address: str, seen_rows: list[int], class_index: object
) -> None:
    """What cannot be a class is refused before a byte is sent."""
    for explain in (_by_client, _by_async_client):
        with pytest.raises(InvalidInput, match="class_index is"):
            explain(address, np.zeros(784), class_index=class_index)  # type: ignore[arg-type]
    assert seen_rows == []


@BOTH
def test_a_class_that_the_model_has_not_is_the_servers_word(
    address: str, explain: Explains
) -> None:
    """The server's refusal of a class arrives as InvalidInput."""
    with pytest.raises(InvalidInput, match="expected 0 to 9"):
        explain(address, np.zeros(784), class_index=np.int64(10))


@given(rows=st.integers(1, 3000), is_float=st.booleans())
def test_no_message_and_no_answer_is_above_the_limit(rows: int, is_float: bool) -> None:
    """The answers of 1,200 hidden units and ten classes fit what every gRPC client takes."""
    dtype = np.dtype("<f4" if is_float else "u1")
    counts = message_rows(Explain(None), Rows(pixels=np.zeros((rows, 784)), dtype=dtype), 10_000)
    assert sum(counts) == rows
    answer_row_bytes = 4 * (10 + 10 + 1200 + 784 + 1) + 2
    row_bytes = max(784 * dtype.itemsize, answer_row_bytes)
    assert max(counts) * row_bytes <= MAX_MESSAGE_BYTES - 1024


class Garbles(ClassifierServicer):
    """Answers every Explain of two rows with something left out."""

    def __init__(self, field: str, value: object) -> None:
        self._field = field
        self._value = value

    def Explain(  # noqa: N802  # gRPC's name
        self, request: pb.ExplainRequest, context: grpc.ServicerContext
    ) -> pb.ExplainResponse:
        """One unary call."""
        del request, context
        fields = {
            "probabilities": bytes(80),
            "classes": [0, 9],
            "logits": bytes(80),
            "hidden": bytes(24),
            "explained_classes": [9, 0],
            "contributions": bytes(2 * 784 * 4),
            "bias_contributions": bytes(8),
            self._field: self._value,
        }
        return pb.ExplainResponse(**fields)


@BOTH
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("probabilities", bytes(79)),
        ("classes", [0]),
        ("logits", bytes(84)),
        ("hidden", bytes(20)),
        ("hidden", b""),
        ("explained_classes", []),
        ("explained_classes", [0, 10]),
        ("contributions", bytes(80)),
        ("bias_contributions", bytes(9)),
    ],
)
def test_an_answer_that_does_not_fit_is_the_servers_error(
    serve: Serve, explain: Explains, field: str, value: object
) -> None:
    """An answer whose parts do not fit the rows, or each other, is never taken for one."""
    with pytest.raises(ServerError, match=r"do not fit|outside|explained 0"):
        explain(serve(Garbles(field, value)), np.zeros((2, 784)))
