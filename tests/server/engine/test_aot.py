"""The compiled library behind the Engine protocol."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_artifact import (
    LibraryUnusable,
    Manifest,
    VersionDamaged,
    Weights,
    find_shape,
    read_manifest,
    read_weights,
)
from flatdense_artifact.processor import processor_features
from flatdense_server.engine.aot import (
    AotEngine,
    OpenedLibrary,
    choose_ladder,
    count_pieces,
    open_library,
)
from flatdense_server.engine.ladder import Ladder
from flatdense_server.tensors import Rows
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.xdist_group("aot")


@pytest.fixture(scope="module")
def version(exported_model: Path) -> Path:
    """The repository's own version."""
    return exported_model / "1"


@pytest.fixture(scope="module")
def version_manifest(version: Path) -> Manifest:
    """Its manifest."""
    return read_manifest(version)


@pytest.fixture(scope="module")
def weights(version: Path) -> Weights:
    """Its weights."""
    return read_weights(version, ["hidden", "output"])


@pytest.fixture(scope="module")
def library(version_manifest: Manifest, compiled: Path) -> OpenedLibrary:
    """The compiled library, found in its cache."""
    return open_library(compiled.parents[1], find_shape(version_manifest.architecture.layers))


@pytest.fixture(scope="module")
def engine(weights: Weights, library: OpenedLibrary) -> Iterator[AotEngine]:
    """The engine with the whole ladder of the library, on two threads."""
    engine = AotEngine(weights, library=library, max_batch_rows=1024, threads=2)
    yield engine
    engine.close()


def forward(weights: Weights, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The network in numpy."""
    hidden = np.maximum(rows @ weights.hidden.kernel + weights.hidden.bias, 0)
    logits = hidden @ weights.output.kernel + weights.output.bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def draw(rows: int, dtype: str, seed: int = 0) -> Rows:
    """Seeded rows of one type."""
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, 784), dtype=np.uint8)
    return pixels if dtype == "uint8" else pixels.astype(np.float32) / np.float32(255)


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 300), min_size=1, max_size=6),
    dtype=st.sampled_from(["uint8", "float32"]),
)
def test_the_answers_are_those_of_numpy(
    engine: AotEngine, weights: Weights, counts: list[int], dtype: str
) -> None:
    """Any number of rows in any parts gives numpy's probabilities, in the order of the rows."""
    parts = [draw(count, dtype, seed) for seed, count in enumerate(counts)]
    outputs = engine.run(parts)
    rows = np.concatenate(parts)
    scaled = rows.astype(np.float32) / np.float32(255) if dtype == "uint8" else rows
    expected = forward(weights, scaled)
    np.testing.assert_allclose(outputs.probabilities, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(outputs.classes, outputs.probabilities.argmax(axis=1))


def test_more_rows_than_the_ladder_are_cut(engine: AotEngine, weights: Weights) -> None:
    """A batch beyond the biggest size runs as several."""
    rows = draw(2500, "float32")
    outputs = engine.run([rows])
    np.testing.assert_allclose(outputs.probabilities, forward(weights, rows), rtol=0, atol=1e-5)


def test_an_answer_outlives_the_next_run(engine: AotEngine) -> None:
    """Outputs belong to the caller: a later run does not change them."""
    first = engine.run([draw(64, "uint8", seed=1)])
    kept = first.probabilities.copy()
    engine.run([draw(64, "uint8", seed=2)])
    np.testing.assert_array_equal(first.probabilities, kept)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_row_does_not_depend_on_its_neighbours(engine: AotEngine, dtype: str) -> None:
    """The same row in the same batch size has the same bits, whatever is around it."""
    row = draw(1, dtype, seed=5)
    answers = [engine.run([draw(20, dtype, seed), row, draw(30, dtype, seed)]) for seed in (1, 2)]
    first, second = (answer.probabilities[20] for answer in answers)
    np.testing.assert_array_equal(first, second)


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(2, 1100), place=st.integers(0, 1 << 16), seed=st.integers(0, 99))
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_row_is_the_same_alone_and_in_any_batch(
    engine: AotEngine, dtype: str, rows: int, place: int, seed: int
) -> None:
    """Size, padding and pieces move a probability by no more than rounding: 1e-5."""
    batch = draw(rows, dtype, seed)
    row = place % rows
    alone = engine.run([batch[row : row + 1]]).probabilities[0]
    together = engine.run([batch]).probabilities[row]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def test_the_same_batch_gives_the_same_bits(
    engine: AotEngine, weights: Weights, library: OpenedLibrary
) -> None:
    """Again, and by another engine of the same library, on as many threads."""
    other = AotEngine(weights, library=library, max_batch_rows=1024, threads=2)
    for rows in (1, 7, 64, 300, 1024):
        batch = draw(rows, "float32", seed=rows)
        first, again, elsewhere = (
            each.run([batch]).probabilities.tobytes() for each in (engine, engine, other)
        )
        assert first == again == elsewhere
    other.close()


@pytest.mark.parametrize(
    ("size", "threads", "pieces"),
    [(1024, 1, 1), (1024, 2, 2), (1024, 3, 2), (1024, 64, 8), (256, 2, 2), (128, 8, 1), (1, 8, 1)],
)
def test_a_big_batch_is_cut_for_the_threads(size: int, threads: int, pieces: int) -> None:
    """Pieces are equal, sizes of the ladder, and never so small that a thread is not worth it."""
    assert count_pieces(size, Ladder.powers_of_two(1024), threads) == pieces


@pytest.mark.parametrize(
    ("rows", "threads", "pieces"),
    [
        (320, 1, [256, 64]),
        (500, 1, [500]),
        (192, 1, [128, 64]),
        # 256 rows, of which two threads compute half each, take no longer than 128.
        (192, 2, [192]),
    ],
)
def test_a_batch_is_cut_where_padding_would_cost_more(
    library: OpenedLibrary, rows: int, threads: int, pieces: list[int]
) -> None:
    """An execution costs a few rows more, and what threads share is as good as smaller."""
    ladder = choose_ladder(library.description, 1024, threads)
    assert [stop - start for start, stop in ladder.cut(rows)] == pieces


def test_a_size_that_cannot_be_cut_stays_whole() -> None:
    """The halves of 600 rows were not compiled."""
    assert count_pieces(600, Ladder.powers_of_two(600), 2) == 1


def test_weights_of_another_shape_never_reach_compiled_code(
    weights: Weights, library: OpenedLibrary
) -> None:
    """A file that does not fit its manifest is refused: the code would read beyond its end."""
    small = replace(weights.hidden, kernel=weights.hidden.kernel[:, :128])
    with pytest.raises(VersionDamaged, match=r"hidden/kernel is float32\[784, 128\].*784, 256"):
        AotEngine(Weights(small, weights.output), library=library, max_batch_rows=8, threads=1)
    half = replace(weights.output, bias=weights.output.bias.astype(np.float16))
    with pytest.raises(VersionDamaged, match="output/bias is float16"):
        AotEngine(Weights(weights.hidden, half), library=library, max_batch_rows=8, threads=1)


def test_the_ladder_ends_where_it_is_told(weights: Weights, library: OpenedLibrary) -> None:
    """max_batch_rows cuts the library's ladder."""
    engine = AotEngine(weights, library=library, max_batch_rows=100, threads=1)
    assert engine.spec.ladder.sizes == (1, 2, 4, 8, 16, 32, 64)
    assert len(engine.run([draw(101, "uint8")]).classes) == 101
    engine.close()


def test_a_cache_without_a_library_names_the_command(
    version_manifest: Manifest, tmp_path: Path
) -> None:
    """What is not there can be made, and the message says how."""
    with pytest.raises(LibraryUnusable, match="flatdense-compile makes one"):
        open_library(tmp_path, find_shape(version_manifest.architecture.layers))


@pytest.mark.parametrize("altered", ["lesser", "better"])
def test_the_best_library_that_is_whole_is_opened(
    version_manifest: Manifest, compiled: Path, tmp_path: Path, altered: str
) -> None:
    """Of two, the one that uses more of the processor is opened; if it was altered, the other."""
    folders = {name: tmp_path / "aot" / name for name in ("lesser", "better")}
    for name, folder in folders.items():
        shutil.copytree(compiled, folder)
        features = [] if name == "lesser" else [min(processor_features())]
        described = folder / "library.json"
        description = json.loads(described.read_bytes())
        description["target"]["features"] = features
        described.write_text(json.dumps(description))
    with (folders[altered] / "libflatdense_aot.so").open("ab") as file:
        file.write(b"more")
    opened = open_library(tmp_path, find_shape(version_manifest.architecture.layers))
    assert opened.folder == folders["better" if altered == "lesser" else "lesser"]


def test_two_versions_share_a_library_and_nothing_else(
    weights: Weights, library: OpenedLibrary, engine: AotEngine
) -> None:
    """Closing one engine leaves another of the same library as it was."""
    before = engine.run([draw(5, "uint8")]).probabilities
    other = AotEngine(weights, library=library, max_batch_rows=8, threads=1)
    other.run([draw(8, "uint8", seed=9)])
    other.close()
    np.testing.assert_array_equal(engine.run([draw(5, "uint8")]).probabilities, before)


def test_tensorflow_is_never_imported(version: Path, compiled: Path) -> None:
    """A process that serves by aot has no module of TensorFlow or Keras."""
    script = (
        "import sys; from pathlib import Path; import numpy as np;"
        "from flatdense_artifact import read_manifest, read_weights;"
        "from flatdense_server.__main__ import main;"
        "from flatdense_artifact import find_shape;"
        "from flatdense_server.engine.aot import AotEngine, open_library;"
        f"v = Path({str(version)!r}); m = read_manifest(v);"
        f"l = open_library(Path({str(compiled.parents[1])!r}), find_shape(m.architecture.layers));"
        "w = read_weights(v, ['hidden', 'output']);"
        "e = AotEngine(w, library=l, max_batch_rows=8, threads=2);"
        "e.run([np.zeros((3, 784), np.uint8)]);"
        "print([name for name in sys.modules if name.split('.')[0] in ('tensorflow', 'keras')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
