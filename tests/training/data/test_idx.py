"""IDX bytes to arrays and back."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from flatdense_training.data.idx import UInt8, format_idx, parse_idx, read_bytes, unpack
from flatdense_training.errors import DataDamaged, DataMissing
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

arrays = npst.arrays(np.uint8, npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6))


@given(arrays)
def test_round_trip(array: UInt8) -> None:
    """What was formatted parses to the same array."""
    parsed = parse_idx(format_idx(array), dimensions=array.ndim, name="file")
    assert parsed.shape == array.shape
    assert np.array_equal(parsed, array)


@given(arrays, st.data())
def test_every_truncation_is_found(array: UInt8, data: st.DataObject) -> None:
    """No proper beginning of an IDX file parses."""
    whole = format_idx(array)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DataDamaged, match=r"^file "):
        parse_idx(whole[:cut], dimensions=array.ndim, name="file")


@given(arrays, st.binary(min_size=1, max_size=9))
def test_trailing_bytes_are_found(array: UInt8, extra: bytes) -> None:
    """An IDX file with anything after its end does not parse."""
    with pytest.raises(DataDamaged, match="has bytes after its end"):
        parse_idx(format_idx(array) + extra, dimensions=array.ndim, name="file")


@given(st.binary(max_size=64), st.integers(1, 3))
def test_any_bytes_parse_or_are_refused(data: bytes, dimensions: int) -> None:
    """Arbitrary bytes give an array or DataDamaged, and nothing else."""
    try:
        array = parse_idx(data, dimensions=dimensions, name="file")
    except DataDamaged:
        return
    assert format_idx(array) == data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\x00\x00\x0d\x01" + bytes(4), "begins with the bytes 00 00 0d 01, expected 00 00 08 01"),
        (format_idx(np.zeros((2, 3), np.uint8)), "expected 00 00 08 01"),
        (b"\x00\x00\x08\x01\x00", "cut short inside its header"),
        (b"\x00\x00\x08\x01\xff\xff\xff\xff", "4,294,967,303 bytes in all"),
    ],
)
def test_messages(data: bytes, message: str) -> None:
    """A refusal says what was found and what was expected."""
    with pytest.raises(DataDamaged, match=message):
        parse_idx(data, dimensions=1, name="labels")


def test_gzip_is_told_by_content(tmp_path: Path) -> None:
    """A packed file and a plain one read the same, whatever their names say."""
    (tmp_path / "packed").write_bytes(gzip.compress(b"content"))
    (tmp_path / "plain.gz").write_bytes(b"content")
    assert read_bytes(tmp_path / "packed") == read_bytes(tmp_path / "plain.gz") == b"content"


@pytest.mark.parametrize("cut", [5, 12, 20, -1])
def test_cut_gzip(cut: int) -> None:
    """A gzip file that stops early is refused, wherever it stops."""
    with pytest.raises(DataDamaged, match="cut short"):
        unpack(gzip.compress(b"content" * 100)[:cut], name="file")


def test_corrupt_gzip() -> None:
    """A gzip file whose content does not fit its checksum is refused."""
    data = bytearray(gzip.compress(b"content" * 100))
    data[-6] ^= 1
    with pytest.raises(DataDamaged, match="corrupt gzip"):
        unpack(bytes(data), name="file")


def test_gzip_with_more_behind_it() -> None:
    """Bytes after the gzip data are refused."""
    with pytest.raises(DataDamaged, match="after the end of its gzip data"):
        unpack(gzip.compress(b"content") + b"x", name="file")


def test_gzip_bomb() -> None:
    """A small file that unpacks to more than any dataset has is refused."""
    with pytest.raises(DataDamaged, match="unpacks to more than"):
        unpack(gzip.compress(bytes(257 * 2**20), compresslevel=1), name="file")


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(DataMissing, match="absent cannot be read: No such file"):
        read_bytes(tmp_path / "absent")
