"""The JIT engine: XLA over a SavedModel, at the ladder's sizes and no other."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from flatdense_artifact import Weights
from flatdense_server.engine.engine import Engine, EngineError
from flatdense_server.engine.ladder import Ladder
from flatdense_server.engine.survey import Survey
from flatdense_server.tensors import FLOAT32, PIXELS, UINT8, DType, Outputs, Rows

pytestmark = pytest.mark.xdist_group("tensorflow")

LADDER: Final = Ladder((1, 2, 4, 8))
ONE_ROW: Final = Ladder((1,))

Predict = Callable[[Rows], Outputs]
Foreign = tuple[Path, Callable[[Rows], np.ndarray]]


@pytest.fixture(scope="module")
def save_model(weights: Weights) -> Callable[..., Path]:
    """Writes the network as a SavedModel, with the signatures that are named."""
    import tensorflow as tf  # noqa: PLC0415 -- seconds, for these tests alone

    network = tf.Module()
    network.variables_of_layers = [
        (tf.Variable(layer.kernel), tf.Variable(layer.bias)) for layer in weights.layers()
    ]

    def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
        """On float32 rows."""
        (kernel, bias), (out_kernel, out_bias) = network.variables_of_layers
        hidden = tf.nn.relu(images @ kernel + bias)
        probabilities = tf.nn.softmax(hidden @ out_kernel + out_bias)
        return {"probabilities": probabilities, "classes": tf.argmax(probabilities, axis=1)}

    def classify_uint8(images: tf.Tensor) -> dict[str, tf.Tensor]:
        """On uint8 rows."""
        return classify(tf.cast(images, tf.float32) / 255)

    bodies = {"serving_default": (classify, FLOAT32), "serving_uint8": (classify_uint8, UINT8)}

    def save(folder: Path, names: tuple[str, ...] = tuple(bodies)) -> Path:
        """Both signatures, unless told otherwise."""
        signatures = {
            name: tf.function(body).get_concrete_function(
                tf.TensorSpec((None, PIXELS), dtype, name="images")
            )
            for name, (body, dtype) in bodies.items()
            if name in names
        }
        tf.saved_model.save(network, str(folder), signatures)
        return folder

    return save


@pytest.fixture(scope="module")
def compilations() -> Counter[str]:
    """How often each phase compiled."""
    return Counter()


@pytest.fixture(scope="module")
def saved_model(save_model: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound SavedModel. Copy it before damaging it."""
    return save_model(tmp_path_factory.mktemp("saved_model"))


@pytest.fixture(scope="module")
def open_jit() -> Callable[..., Engine]:
    """Opens a folder as a JitEngine, by ladder and callback."""
    from flatdense_server.engine.jit import JitEngine  # noqa: PLC0415 -- imports TensorFlow

    def open_folder(
        folder: Path,
        ladder: Ladder = ONE_ROW,
        on_compile: Callable[[str], None] = lambda _phase: None,
        survey: Survey | None = None,
    ) -> JitEngine:
        """On the CPU."""
        return JitEngine(folder, ladder=ladder, device="cpu", on_compile=on_compile, survey=survey)

    return open_folder


@pytest.fixture(scope="module")
def engine(
    saved_model: Path, compilations: Counter[str], open_jit: Callable[..., Engine]
) -> Iterator[Engine]:
    """One engine for all tests that only run it."""
    opened = open_jit(saved_model, LADDER, lambda phase: compilations.update([phase]))
    yield opened
    opened.close()


@pytest.mark.parametrize("dtype", [UINT8, FLOAT32])
@pytest.mark.parametrize("rows", range(1, 21))
def test_it_agrees_with_numpy_for_every_number_of_rows(
    engine: Engine, predict: Predict, draw_rows: Callable[..., Rows], dtype: DType, rows: int
) -> None:
    """On the ladder, between its sizes and beyond its top, probabilities agree to 1e-5."""
    images = draw_rows(rows, dtype, seed=rows)
    outputs, expected = engine.run([images]), predict(images)
    assert outputs.probabilities.dtype == np.float32
    assert outputs.classes.dtype == np.int64
    np.testing.assert_allclose(outputs.probabilities, expected.probabilities, rtol=0, atol=1e-5)
    assert np.array_equal(outputs.classes, expected.classes)


def test_every_size_is_compiled_before_ready_and_nothing_after(
    engine: Engine, compilations: Counter[str], draw_rows: Callable[..., Rows]
) -> None:
    """One compilation for each size and dtype in warmup, none while serving any row count."""
    for rows in range(1, 40):
        engine.run([draw_rows(rows)])
        engine.run([draw_rows(rows, FLOAT32)])
    assert compilations == {"warmup": 2 * len(LADDER.sizes)}


def test_outputs_are_the_callers_own(engine: Engine, draw_rows: Callable[..., Rows]) -> None:
    """What a run gave is not touched by the runs after it."""
    outputs = engine.run([draw_rows(4, FLOAT32)])
    kept = outputs.probabilities.copy(), outputs.classes.copy()
    for seed in range(1, 30):
        engine.run([draw_rows(4, FLOAT32, seed=seed)])
    assert np.array_equal(outputs.probabilities, kept[0])
    assert np.array_equal(outputs.classes, kept[1])


@pytest.mark.parametrize("dtype", [UINT8, FLOAT32])
def test_a_row_does_not_see_its_neighbours(
    engine: Engine, draw_rows: Callable[..., Rows], dtype: DType
) -> None:
    """A row gets the same bits whatever stands beside it in a batch of one size."""
    row = draw_rows(1, dtype, seed=1)
    answers = [
        engine.run([draw_rows(3, dtype, seed=seed), row, draw_rows(4, dtype, seed=seed)])
        for seed in (2, 3)
    ]
    assert np.array_equal(answers[0].probabilities[3], answers[1].probabilities[3])


def test_the_spec_says_what_runs(engine: Engine) -> None:
    """Name, device, ladder and number of classes are those of the model."""
    spec = engine.spec
    assert (spec.name, spec.device, spec.ladder, spec.class_count) == ("jit", "cpu", LADDER, 10)


@pytest.fixture(scope="module")
def open_surveyed(open_jit: Callable[..., Engine]) -> Callable[..., Engine]:
    """Opens a SavedModel without a manifest, by what its survey finds out."""
    from flatdense_server.engine.inspection import inspect  # noqa: PLC0415 -- imports TensorFlow

    return lambda folder, *options: open_jit(folder, *options, survey=inspect(folder)[0])


@pytest.mark.parametrize(
    "name",
    [
        "image",
        "flat",
        "square",
        "logits",
        "rescaling",
        "centred",
        "uint8",
        "convolution",
        "module",
        "frozen",
    ],
)
def test_any_saved_model_gives_its_own_programs_answers(
    foreign: Callable[[str], Foreign],
    open_surveyed: Callable[..., Engine],
    draw_rows: Callable[..., Rows],
    name: str,
) -> None:
    """To 1e-5, for uint8 and for float32 rows, whatever the SavedModel takes; classes fit."""
    folder, predict = foreign(name)
    engine = open_surveyed(folder, LADDER)
    expected = predict(draw_rows(11))
    for dtype in (UINT8, FLOAT32):
        outputs = engine.run([draw_rows(11, dtype)])
        assert outputs.probabilities.dtype == np.float32
        assert outputs.classes.dtype == np.int64
        np.testing.assert_allclose(outputs.probabilities, expected, rtol=0, atol=1e-5)
        assert np.array_equal(outputs.classes, outputs.probabilities.argmax(axis=1))
    assert engine.spec.class_count == expected.shape[1]


def test_a_surveyed_saved_model_is_compiled_before_ready(
    foreign: Callable[[str], Foreign],
    open_surveyed: Callable[..., Engine],
    draw_rows: Callable[..., Rows],
) -> None:
    """As with one of our own: each size and dtype once, and nothing while serving."""
    phases: Counter[str] = Counter()
    engine = open_surveyed(foreign("uint8")[0], LADDER, lambda phase: phases.update([phase]))
    for rows in range(1, 20):
        engine.run([draw_rows(rows)])
        engine.run([draw_rows(rows, FLOAT32)])
    assert phases == {"warmup": 2 * len(LADDER.sizes)}


def test_float32_rows_out_of_range_are_the_nearest_uint8(
    foreign: Callable[[str], Foreign], open_surveyed: Callable[..., Engine]
) -> None:
    """A graph of uint8 gets 0 for less than 0 and 255 for more than 1, on every processor."""
    engine = open_surveyed(foreign("uint8")[0], LADDER)
    rows = np.array([[-3.0], [0.0], [7.0], [1.0]], np.float32).repeat(PIXELS, axis=1)
    probabilities = engine.run([rows]).probabilities
    assert np.array_equal(probabilities[::2], probabilities[1::2])


def test_a_graph_that_xla_cannot_compile_is_refused(
    export_module: Callable[..., Foreign], open_surveyed: Callable[..., Engine]
) -> None:
    """A graph that TensorFlow runs and XLA does not is refused in one line, with its folder."""
    import tensorflow as tf  # noqa: PLC0415 -- seconds

    folder, _ = export_module(lambda x: {"y": tf.strings.to_number(tf.strings.as_string(x[:, :7]))})
    with pytest.raises(EngineError, match="XLA cannot run the SavedModel in") as caught:
        open_surveyed(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_signature_is_named(
    tmp_path: Path, save_model: Callable[..., Path], open_jit: Callable[..., Engine]
) -> None:
    """A SavedModel without the uint8 signature is refused with its folder and what was expected."""
    folder = save_model(tmp_path / "partial", ("serving_default",))
    with pytest.raises(EngineError, match="no signature serving_uint8 that takes images") as caught:
        open_jit(folder)
    assert str(folder) in str(caught.value)


def damage_graph(folder: Path) -> None:
    """Overwrites the graph."""
    (folder / "saved_model.pb").write_bytes(b"this is no protobuf" * 20)


def cut_graph(folder: Path) -> None:
    """Cuts the graph short."""
    graph = folder / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:1000])


def lose_graph(folder: Path) -> None:
    """Removes the graph."""
    (folder / "saved_model.pb").unlink()


def lose_variables(folder: Path) -> None:
    """Removes the weights."""
    shutil.rmtree(folder / "variables")


@pytest.mark.parametrize("damage", [damage_graph, cut_graph, lose_graph, lose_variables])
def test_a_damaged_saved_model_is_refused_naming_its_folder(
    tmp_path: Path,
    saved_model: Path,
    open_jit: Callable[..., Engine],
    damage: Callable[[Path], None],
) -> None:
    """Whatever TensorFlow raises on a damaged file becomes one EngineError with the folder."""
    folder = shutil.copytree(saved_model, tmp_path / "damaged")
    damage(folder)
    with pytest.raises(EngineError, match="cannot load the SavedModel in") as caught:
        open_jit(folder)
    assert str(folder) in str(caught.value)
