"""The images that the calls of a load carry."""

from pathlib import Path

import numpy as np
import pytest
from flatdense_client import InvalidInput
from flatdense_client.cli.payload import TYPES, most_rows, read_pieces


@pytest.mark.parametrize("dtype", TYPES.values())
@pytest.mark.parametrize("rows", [1, 7, 256])
def test_made_up_pieces_have_the_rows_and_the_type(dtype: np.dtype[np.generic], rows: int) -> None:
    """Pieces without a file have so many rows of the type, and are not all the same."""
    pieces = read_pieces(None, rows=rows, dtype=dtype)
    assert len(pieces) > 1
    assert {(piece.shape, piece.dtype) for piece in pieces} == {((rows, 784), dtype)}
    assert len({piece.tobytes() for piece in pieces}) == len(pieces)
    assert max(piece.max() for piece in pieces) == (255 if dtype == np.uint8 else 1)


@pytest.mark.parametrize(("count", "rows", "pieces"), [(5, 2, 3), (5, 5, 1), (2, 5, 1), (6, 3, 2)])
def test_a_files_rows_come_in_turn(tmp_path: Path, count: int, rows: int, pieces: int) -> None:
    """A file's rows are sent in their order, and its first ones fill the last piece."""
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)
    np.save(tmp_path / "images.npy", images)
    sent = read_pieces(tmp_path / "images.npy", rows=rows, dtype=TYPES["uint8"])
    assert len(sent) == pieces
    expected = np.stack([images[n % count] for n in range(pieces * rows)]).reshape(-1, 784)
    assert np.array_equal(np.concatenate(sent), expected)


def test_types_are_converted_as_the_servers_graph_does(tmp_path: Path) -> None:
    """0 to 255 and 0 to 1 are the same images, whichever the file holds and whichever is sent."""
    images = np.arange(256, dtype=np.uint8).repeat(784).reshape(256, 784)
    np.save(tmp_path / "bytes.npy", images)
    np.save(tmp_path / "floats.npy", images / 255)
    for name in ("bytes", "floats"):
        file = tmp_path / f"{name}.npy"
        (sent,) = read_pieces(file, rows=256, dtype=TYPES["uint8"])
        assert np.array_equal(sent, images)
        (scaled,) = read_pieces(file, rows=256, dtype=TYPES["float32"])
        assert scaled.dtype == np.float32
        assert np.allclose(scaled, images / 255, atol=1e-7)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    """What is wrong with a file comes with its name."""
    file = tmp_path / "hello.txt"
    file.write_text("hello")
    with pytest.raises(InvalidInput, match=r"hello\.txt: this is no kind of file"):
        read_pieces(file, rows=1, dtype=TYPES["uint8"])


@pytest.mark.parametrize("dtype", TYPES.values())
def test_the_most_rows_fit_a_message(dtype: np.dtype[np.generic]) -> None:
    """As many rows as may be asked for fit the 4 MiB that a server takes, with their envelope."""
    assert most_rows(dtype) * 784 * dtype.itemsize <= 4 * 2**20 - 4096
