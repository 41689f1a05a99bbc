"""weights.safetensors: what is written is read, without TensorFlow."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from flatdense_artifact import DenseLayer, VersionDamaged, Weights, read_weights, write_weights
from hypothesis import given
from hypothesis import strategies as st

NAMES = ["hidden", "output"]


def same(one: Weights, other: Weights) -> bool:
    """Whether two networks are equal to the last bit."""
    return all(
        a.name == b.name
        and a.kernel.dtype == b.kernel.dtype == np.float32
        and np.array_equal(a.kernel, b.kernel)
        and np.array_equal(a.bias, b.bias)
        for a, b in zip(one.layers(), other.layers(), strict=True)
    )


@given(inputs=st.integers(1, 6), units=st.integers(1, 6), classes=st.integers(1, 4))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, inputs: int, units: int, classes: int
) -> None:
    """Every shape survives the file bit by bit, also from arrays that are not contiguous."""
    random = np.random.default_rng(inputs)

    def dense(name: str, rows: int, columns: int) -> DenseLayer:
        kernel = random.normal(size=(columns, rows)).astype(np.float32).T
        return DenseLayer(name=name, kernel=kernel, bias=kernel[0])

    weights = Weights(dense("hidden", inputs, units), dense("output", units, classes))
    folder = tmp_path_factory.mktemp("version")
    write_weights(folder, weights)
    assert same(read_weights(folder, NAMES), weights)


def test_any_safetensors_reader_can_have_them(version: Path) -> None:
    """The tensors are named by layer and variable."""
    tensors = safetensors.numpy.load_file(version / "weights.safetensors")
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "hidden/kernel": (4, 5),
        "hidden/bias": (5,),
        "output/kernel": (5, 3),
        "output/bias": (3,),
    }


def test_others_may_read_the_file_as_far_as_the_umask_lets_them(version: Path) -> None:
    """A server that runs as another user can read what the trainer wrote."""
    ordinary = version / "ordinary"
    ordinary.write_bytes(b"")
    mode = (version / "weights.safetensors").stat().st_mode
    assert mode == ordinary.stat().st_mode


def test_a_missing_tensor_is_named(version: Path) -> None:
    """A file without a layer's tensors says which one it lacks."""
    with pytest.raises(VersionDamaged, match=r"weights\.safetensors has no tensor 'logits/kernel'"):
        read_weights(version, ["hidden", "logits"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The message has the path and what to do."""
    with pytest.raises(VersionDamaged, match=r"weights\.safetensors cannot be read.*Export"):
        read_weights(tmp_path, NAMES)


@pytest.mark.parametrize("keep", [0, 4, 50, -1])
def test_a_file_that_was_cut_short_is_refused(version: Path, keep: int) -> None:
    """Wherever the file ends, it is damaged, not half a network."""
    path = version / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(VersionDamaged, match="cannot be read"):
        read_weights(version, NAMES)
