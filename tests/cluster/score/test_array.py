"""An array on disk: all its rows, by slices; anything else is refused by name."""

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_cluster.errors import ClusterError
from flatdense_cluster.score.array import Array
from hypothesis import given
from hypothesis import strategies as st

Images = npt.NDArray[np.uint8]


def idx(rows: Images) -> bytes:
    """As MNIST keeps it."""
    return bytes([0, 0, 8, 3]) + np.array([len(rows), 28, 28], ">u4").tobytes() + rows.tobytes()


def npy(rows: npt.NDArray[Any]) -> bytes:
    """As numpy.save writes it."""
    file = io.BytesIO()
    np.save(file, rows)
    return file.getvalue()


def npz(**arrays: npt.NDArray[Any]) -> bytes:
    """As numpy.savez_compressed writes it."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


FORMS: dict[str, Callable[[Images], bytes]] = {
    "idx": idx,
    "idx.gz": lambda rows: gzip.compress(idx(rows)),
    "npy": npy,
    "npy of 28x28": lambda rows: npy(rows.reshape(-1, 28, 28)),
    "npy.gz": lambda rows: gzip.compress(npy(rows)),
    "npz": lambda rows: npz(images=rows),
}


@pytest.mark.parametrize("form", FORMS)
@given(count=st.integers(1, 40), part_rows=st.integers(1, 50))
def test_the_parts_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory, form: str, count: int, part_rows: int
) -> None:
    """Each row is in one part, in the order of the file."""
    folder = tmp_path_factory.mktemp("array")
    rows = np.random.default_rng(count).integers(0, 256, (count, 784), np.uint8)
    file = folder / "images"
    file.write_bytes(FORMS[form](rows))
    array = Array(file)
    assert array.take_inventory(folder, part_rows).rows == count
    parts = [array.read(folder, part, part_rows) for part in range(-(-count // part_rows))]
    assert all(len(part.sources) <= part_rows for part in parts)
    assert np.array_equal(np.concatenate([part.pixels for part in parts]), rows)
    assert {source for part in parts for source in part.sources} == {"images"}


def damaged_zip(rows: Images) -> bytes:
    """An .npz of which bytes in the middle are others."""
    data = bytearray(npz(images=rows))
    data[len(data) // 2] ^= 255
    return bytes(data)


def zip_of_text() -> bytes:
    """An archive without an array."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("read.me", "nothing")
    return file.getvalue()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda _rows: b"", "it begins with b''"),
        (lambda _rows: b"some text", "it begins with b'some tex'"),
        (lambda rows: idx(rows)[:-1], "is cut short"),
        (lambda rows: idx(rows) + b"0", "has bytes left over"),
        (lambda rows: idx(rows)[:10], "ends in its header"),
        (lambda _rows: bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]), "holds labels"),
        (lambda rows: gzip.compress(idx(rows))[:-20], "end-of-stream"),
        (lambda rows: gzip.compress(idx(rows)[:-1]), "is cut short"),
        (lambda _rows: gzip.compress(b"text"), "it begins with b'text'"),
        (lambda rows: npy(rows)[:-1], "images cannot be scored"),
        (lambda rows: npy(rows)[:20], "images cannot be scored"),
        (lambda rows: npy(rows / 255), "it holds float64 of the shape (100, 784)"),
        (lambda rows: npy(rows[:, :9]), "it holds uint8 of the shape (100, 9)"),
        (lambda rows: npy(np.asfortranarray(rows)), "save numpy.ascontiguousarray"),
        (lambda rows: npy(np.array([object(), rows], object)), "images cannot be scored"),
        (lambda rows: npz(a=rows, b=rows), "it holds a, b; expected one array"),
        (lambda _rows: zip_of_text(), "it holds no array; expected one array"),
        (damaged_zip, "images cannot be scored"),
        (lambda rows: npz(images=rows)[:-30], "images cannot be scored"),
    ],
)
def test_what_is_no_array_is_refused(
    tmp_path: Path, rows: Images, make: Callable[[Images], bytes], reason: str
) -> None:
    """With the file's name, and what was found and expected."""
    file = tmp_path / "images"
    file.write_bytes(make(rows))
    with pytest.raises(ClusterError) as refused:
        Array(file).take_inventory(tmp_path, 16)
    assert str(file) in str(refused.value)
    assert reason in str(refused.value)


def test_an_array_that_changes_ends_the_job(tmp_path: Path, rows: Images) -> None:
    """Its rows may be half old and half new."""
    file = tmp_path / "images"
    file.write_bytes(idx(rows))
    array = Array(file)
    before = array.take_inventory(tmp_path, 16).fingerprint
    os.utime(file, (0, 0))
    assert array.fingerprint() != before
