"""What is found out about a SavedModel of unknown origin, and which ones are refused."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import numpy as np
import pytest
from flatdense_artifact import Layer, Weights
from flatdense_server.engine.engine import EngineError
from flatdense_server.engine.recognition import forward
from flatdense_server.engine.survey import Survey
from flatdense_server.tensors import FLOAT32, PIXELS, Rows

pytestmark = pytest.mark.xdist_group("tensorflow")

Inspect = Callable[[Path], tuple[Survey, Weights | None]]
Foreign = tuple[Path, Callable[[Rows], np.ndarray]]

FOUND: Final = {
    "image": "serving_default: float32 [28, 28] 0..1 -> output_0, 10 probabilities",
    "flat": "serving_default: float32 [784] 0..1 -> output_0, 10 probabilities",
    "square": "serving_default: float32 [28, 28] 0..1 -> output_0, 10 probabilities",
    "logits": "serving_default: float32 [28, 28] 0..1 -> output_0, 10 logits",
    "rescaling": "serving_default: float32 [28, 28] 0..255 -> output_0, 10 probabilities",
    "centred": "serving_default: float32 [28, 28] 0..255 -> output_0, 10 probabilities",
    "uint8": "serving_default: uint8 [28, 28, 1] 0..255 -> output_0, 10 probabilities",
    "convolution": "serving_default: float32 [28, 28, 1] 0..1 -> output_0, 10 probabilities",
    "module": "my own: float32 [784] 0..1 -> zz/top, 7 probabilities",
    "frozen": "serving_default: float32 [784] 0..1 -> scores, 10 probabilities",
}

PARAMETERS: Final = {"image": 12_730, "square": 7_960, "convolution": 27_090, "frozen": 7_960}


@pytest.fixture(scope="module")
def inspect() -> Inspect:
    """The function of inspection.py, which imports TensorFlow."""
    from flatdense_server.engine import inspection  # noqa: PLC0415 -- seconds

    return inspection.inspect


@pytest.mark.parametrize("name", FOUND)
def test_it_finds_what_a_saved_model_takes_and_gives(
    foreign: Callable[[str], Foreign], inspect: Inspect, name: str
) -> None:
    """Signature, input, range of the pixels, output and classes, whatever their names are."""
    found, _ = inspect(foreign(name)[0])
    taken = f"{found.input_dtype} {found.input_shape} 0..{found.input_full_ink}"
    given = f"{found.output_name}, {found.class_count} {found.output_kind}"
    assert f"{found.signature}: {taken} -> {given}" == FOUND[name]


@pytest.mark.parametrize("name", FOUND)
def test_its_golden_answers_are_those_of_the_program_that_exported_it(
    foreign: Callable[[str], Foreign], inspect: Inspect, name: str
) -> None:
    """The probe images get the probabilities that Keras, or numpy, gives them."""
    folder, predict = foreign(name)
    golden = inspect(folder)[0].golden
    images = golden.inputs()
    assert images.shape == (32, PIXELS)
    np.testing.assert_allclose(golden.outputs(), predict(images), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", sorted(FOUND.keys() - {"convolution"}))
def test_two_dense_layers_are_recognised(
    foreign: Callable[[str], Foreign], inspect: Inspect, draw_rows: Callable[..., Rows], name: str
) -> None:
    """Their weights in our own network give the same answers to images that were no probes."""
    folder, predict = foreign(name)
    survey, weights = inspect(folder)
    rows = draw_rows(20)
    answers = forward(weights, rows / FLOAT32.type(255))
    assert survey.recognised
    np.testing.assert_allclose(answers, predict(rows), rtol=0, atol=1e-5)


def test_recognised_layers_stand_there_as_in_a_manifest(
    foreign: Callable[[str], Foreign], inspect: Inspect
) -> None:
    """Flatten, Dense(relu) and Dense(softmax), with their shapes and parameters."""
    assert inspect(foreign("image")[0])[0].layers == [
        Layer(name="flatten", kind="Flatten", output_shape=[784], parameters=0),
        Layer(name="hidden", kind="Dense", activation="relu", output_shape=[16], parameters=12_560),
        Layer(name="output", kind="Dense", activation="softmax", output_shape=[10], parameters=170),
    ]


def test_another_network_is_not_recognised(
    foreign: Callable[[str], Foreign], inspect: Inspect
) -> None:
    """A convolution has no layers of ours, and no weights."""
    survey, weights = inspect(foreign("convolution")[0])
    assert (survey.layers, survey.recognised, weights) == ([], False, None)


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_parameters_are_counted(
    foreign: Callable[[str], Foreign], inspect: Inspect, name: str, parameters: int
) -> None:
    """The variables' values, or the constants' where a graph is frozen."""
    assert inspect(foreign(name)[0])[0].parameters == parameters


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        ("image", ["no manifest", "pixels as 0..1"]),
        ("rescaling", ["no manifest", "pixels as 0..255"]),
        ("logits", ["no manifest", "pixels as 0..1", "softmax is applied"]),
        ("uint8", ["no manifest"]),
    ],
)
def test_what_nobody_could_check_is_said(
    foreign: Callable[[str], Foreign], inspect: Inspect, name: str, sentences: list[str]
) -> None:
    """One sentence for each doubt, and none for what is certain."""
    unchecked = inspect(foreign(name)[0])[0].unchecked
    assert len(unchecked) == len(sentences)
    for said, sentence in zip(unchecked, sentences, strict=True):
        assert sentence in said


def test_outputs_that_do_not_sum_to_1_are_served_as_they_are(
    keras: SimpleNamespace, export_keras: Callable[..., Foreign], inspect: Inspect
) -> None:
    """A sigmoid for each class is no softmax: its values stay, and a sentence says so."""
    folder, predict = export_keras(
        keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(5, activation="sigmoid")
    )
    survey, _ = inspect(folder)
    golden = survey.golden
    np.testing.assert_allclose(golden.outputs(), predict(golden.inputs()), rtol=0, atol=1e-5)
    assert survey.output_kind == "probabilities"
    assert "do not sum to 1" in survey.unchecked[-1]


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"x": ((None, 32, 32), "float32")}, r"takes x of shape \(None, 32, 32\); expected"),
        ({"x": ((None, 16, 49), "float32")}, r"takes x of shape \(None, 16, 49\); expected"),
        ({"x": ((None, None), "float32")}, r"takes x of shape \(None, None\); expected"),
        ({"x": ((784,), "float32")}, r"takes x of shape \(784,\); expected"),
        ({"x": (None, "float32")}, "takes x of shape <unknown>; expected"),
        ({"x": ((8, 784), "float32")}, "a fixed batch of 8; expected any number of images"),
        ({"x": ((None, 784), "float64")}, "takes x as float64; expected float32 or uint8"),
        ({"x": ((None, 784), "string")}, "takes x as string; expected float32 or uint8"),
        (
            {"x": ((None, 784), "float32"), "y": ((None, 1), "float32")},
            r"signature s has 2 inputs \(x, y\); expected one",
        ),
    ],
)
def test_an_input_that_takes_no_images_is_refused(
    export_module: Callable[..., Foreign],
    inspect: Inspect,
    inputs: dict[str, tuple[object, str]],
    reason: str,
) -> None:
    """The shape, the dtype or the number of inputs is named, and what was expected."""
    folder, _ = export_module(lambda x, *_: {"y": x}, signature="s", **inputs)
    with pytest.raises(EngineError, match=reason) as caught:
        inspect(folder)
    assert str(caught.value).startswith(f"the SavedModel in {folder} cannot be served: ")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda _tf, x: {"y": x[:, :11]}, "output y has 11 classes; expected 1 to 10"),
        (lambda _tf, x: {"y": x[:, 0]}, r"0 of its outputs .*y: float32 \[32\]"),
        (lambda tf, x: {"y": tf.argmax(x, axis=1)}, r"0 of its outputs .*y: int64 \[32\]"),
        (lambda _tf, x: {"y": x[:, :5], "z": x[:, :5]}, r"2 of its outputs .*y: .*z: "),
        (lambda _tf, x: {"y": x[:9, :5]}, r"0 of its outputs .*y: float32 \[9, 5\]"),
        (lambda _tf, x: {"y": x[:, :5] / x[:, :1]}, "gives NaN or infinity"),
        (lambda _tf, x: {"y": x[:, 350:351] * 3}, "it is no classifier"),
        (lambda tf, x: {"y": tf.nn.dropout(x[:, 350:360], 0.5)}, "the same answer twice"),
        (
            lambda tf, x: {"y": tf.nn.softmax(x[:, 350:360] - tf.reduce_mean(x, axis=0)[350:360])},
            "not beside other images",
        ),
        (
            lambda tf, x: {"y": tf.reshape(x, (32, -1))[:, :5]},
            "cannot run it on 1 images: Input to reshape is a tensor with 784 values",
        ),
    ],
)
def test_an_answer_that_gives_no_classes_is_refused(
    export_module: Callable[..., Foreign],
    inspect: Inspect,
    answer: Callable[..., dict[str, object]],
    reason: str,
) -> None:
    """Too many classes, none, ambiguous ones, no numbers, or others each time."""
    import tensorflow as tf  # noqa: PLC0415 -- seconds

    folder, _ = export_module(lambda x: answer(tf, x))
    with pytest.raises(EngineError, match=reason) as caught:
        inspect(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("scale", "full_ink"),
    [
        (lambda x: x / 255, 255),
        (lambda x: x * (1 / 255), 255),
        (lambda x: x / 127.5 - 1, 255),
        (lambda x: x * 255, 1),
        (lambda x: x * 2 - 1, 1),
        (lambda x: (x - 0.1307) / 0.3081, 1),
    ],
)
def test_the_range_of_float32_pixels_is_read_from_the_graph(
    export_module: Callable[..., Foreign],
    inspect: Inspect,
    scale: Callable[[object], object],
    full_ink: int,
) -> None:
    """A graph that brings 0..255 to 0..1 or to -1..1 is given 0..255; any other one 0..1."""
    folder, _ = export_module(lambda x: export_module.network(scale(x)))
    assert inspect(folder)[0].input_full_ink == full_ink


def test_of_several_outputs_the_one_named_probabilities_is_served(
    export_module: Callable[..., Foreign], inspect: Inspect
) -> None:
    """However many of its kind stand beside it."""
    folder, _ = export_module(
        lambda x: {"before": x[:, :5], "probabilities": export_module.network(x)["zz/top"]}
    )
    assert inspect(folder)[0].output_name == "probabilities"


@pytest.mark.parametrize("count", [0, 2])
def test_signatures_of_no_known_name_are_refused(
    inspect: Inspect, tmp_path: Path, count: int
) -> None:
    """Of none, or of several, nobody can say which: they are named."""
    import tensorflow as tf  # noqa: PLC0415 -- seconds

    module = tf.Module()
    function = tf.function(lambda x: {"y": x}).get_concrete_function(tf.TensorSpec((None, 784)))
    names = ["alpha", "beta"][:count]
    tf.saved_model.save(module, str(tmp_path), signatures=dict.fromkeys(names, function))
    with pytest.raises(EngineError, match="only alpha, beta" if count else "none at all"):
        inspect(tmp_path)
