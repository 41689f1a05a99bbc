"""Cutting rows to messages and reading the answers."""

import numpy as np
import pytest
from flatdense_client import ServerError
from flatdense_client._core.classify import CLASSIFY, Answer
from flatdense_client._core.messages import MAX_MESSAGE_BYTES, cut, message_rows
from flatdense_client._images.inputs import check_images
from flatdense_proto.v1.classifier_pb2 import ClassifyResponse, DataType, ModelSelector
from hypothesis import given
from hypothesis import strategies as st


@given(rows=st.integers(1, 3000), rows_per_message=st.integers(1, 100_000), is_float=st.booleans())
def test_no_message_is_above_the_limit(rows: int, rows_per_message: int, is_float: bool) -> None:
    """Every row is in exactly one message, and no message has more rows or bytes than allowed."""
    checked = check_images(np.zeros((rows, 784), np.float32 if is_float else np.uint8))
    counts = message_rows(CLASSIFY, checked, rows_per_message)
    assert sum(counts) == rows
    assert min(counts) > 0
    assert max(counts) <= rows_per_message
    assert max(counts) * checked.row_bytes < MAX_MESSAGE_BYTES


@pytest.mark.parametrize(("dtype", "rows"), [(np.uint8, 6000), (np.float32, 1500)])
def test_the_biggest_message_fits_with_its_envelope(dtype: type, rows: int) -> None:
    """A whole serialised message stays below 4 MiB however many rows are asked for."""
    checked = check_images(np.zeros((rows, 784), dtype))
    counts = message_rows(CLASSIFY, checked, 10_000)
    sizes = [
        m.ByteSize()
        for m in cut(CLASSIFY, checked, counts, ModelSelector(name="m" * 200, version=1))
    ]
    assert len(sizes) == 2
    assert max(sizes) <= MAX_MESSAGE_BYTES


def test_messages_joined_are_the_rows() -> None:
    """The messages carry the rows in order, with the type and the model of the call."""
    images = np.random.default_rng(0).integers(0, 256, (10, 784), np.uint8)
    rows = check_images(images)
    messages = list(
        cut(CLASSIFY, rows, message_rows(CLASSIFY, rows, 3), ModelSelector(name="mnist", version=4))
    )
    assert [len(m.images) // 784 for m in messages] == [3, 3, 3, 1]
    assert b"".join(m.images for m in messages) == images.tobytes()
    assert {m.data_type for m in messages} == {DataType.DATA_TYPE_UINT8}
    assert {(m.model.name, m.model.version) for m in messages} == {("mnist", 4)}


@pytest.mark.parametrize(
    ("probability_bytes", "classes"),
    [(79, [0, 0]), (0, [0, 0]), (80, [0]), (80, [0, 0, 0]), (80, [0, 10]), (80, [-1, 0]), (0, [])],
)
def test_an_answer_that_does_not_fit_is_refused(probability_bytes: int, classes: list[int]) -> None:
    """Bytes or classes that do not fit two rows are the server's error, never a prediction."""
    response = ClassifyResponse(probabilities=bytes(probability_bytes), classes=classes)
    with pytest.raises(ServerError, match="here:1"):
        CLASSIFY.read(response, 2, "here:1", None)


def test_answers_with_different_classes_are_not_mixed() -> None:
    """A model that changes its number of classes during a call makes the call fail."""
    answers = [
        Answer(
            classes=np.zeros(1, np.int64).tobytes(),
            probabilities=np.ones((1, class_count), "<f4").tobytes(),
            class_count=class_count,
            version=class_count,
            timing=None,
        )
        for class_count in (2, 3)
    ]
    with pytest.raises(ServerError, match="changed its model"):
        CLASSIFY.join(answers, {}, "here:1")
