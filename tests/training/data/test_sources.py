"""Which place the data comes from."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flatdense_training.data.datasets import DIGITS, TRAIN_LABELS, Dataset
from flatdense_training.data.idx import UInt8
from flatdense_training.data.sources import Source, find_source
from flatdense_training.errors import DataDamaged, DataMissing, DownloadFailed


def find(dataset: Dataset, data_dir: Path | None, cache_dir: Path) -> Source:
    """Looks for the data and ignores the progress."""

    def ignore(*, file: str, received_bytes: int, total_bytes: int | None) -> None:
        """Ignores a report."""

    return find_source(dataset, data_dir=data_dir, cache_dir=cache_dir, progress=ignore)


def test_named_folder_goes_before_the_cache(
    tiny: Dataset, write_idx: Callable[..., Path], tmp_path: Path
) -> None:
    """Where a folder is named, the cache is not looked at."""
    folder = write_idx(tmp_path / "named", gzipped=True)
    source = find(tiny, folder, tmp_path / "cache")
    assert source.origin == str(folder)
    assert not (tmp_path / "cache").exists()


def test_wrong_named_folder_is_an_error(
    tiny: Dataset,
    packed: dict[str, bytes],
    write_idx: Callable[..., Path],
    serve: Callable[[Mapping[str, bytes]], tuple[str, list[str]]],
    tmp_path: Path,
) -> None:
    """A named folder without the data never falls through to the cache or the mirrors."""
    url, requests = serve(packed)
    write_idx(tmp_path / "cache" / "tiny", gzipped=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataMissing, match="empty lacks"):
        find(replace(tiny, mirrors=(url,)), tmp_path / "empty", tmp_path / "cache")
    assert requests == []


def test_cache_goes_before_the_mirrors(
    tiny: Dataset,
    packed: dict[str, bytes],
    write_idx: Callable[..., Path],
    serve: Callable[[Mapping[str, bytes]], tuple[str, list[str]]],
    tmp_path: Path,
) -> None:
    """Data in the cache is not downloaded again."""
    url, requests = serve(packed)
    write_idx(tmp_path / "tiny", gzipped=False)
    source = find(replace(tiny, mirrors=(url,)), None, tmp_path)
    assert source.origin == f"the cache {tmp_path / 'tiny'}"
    assert requests == []


def test_download_fills_the_cache(
    tiny: Dataset,
    arrays: dict[str, UInt8],
    packed: dict[str, bytes],
    serve: Callable[[Mapping[str, bytes]], tuple[str, list[str]]],
    tmp_path: Path,
) -> None:
    """What the mirrors gave is in the cache the next time."""
    dataset = replace(tiny, mirrors=(serve(packed)[0],))
    first = find(dataset, None, tmp_path)
    second = find(replace(dataset, mirrors=()), None, tmp_path)
    assert "mirrors" in first.origin
    assert "cache" in second.origin
    assert all(np.array_equal(second.arrays[name], arrays[name]) for name in arrays)


@pytest.mark.parametrize("suffix", [".gz", ""])
def test_only_damaged_files_are_downloaded_again(
    tiny: Dataset,
    packed: dict[str, bytes],
    write_idx: Callable[..., Path],
    serve: Callable[[Mapping[str, bytes]], tuple[str, list[str]]],
    tmp_path: Path,
    suffix: str,
) -> None:
    """A damaged file of the cache is renewed, and the others are not asked for."""
    url, requests = serve(packed)
    write_idx(tmp_path / "tiny", gzipped=bool(suffix))
    (tmp_path / "tiny" / f"{TRAIN_LABELS}{suffix}").write_bytes(b"damaged")
    find(replace(tiny, mirrors=(url,)), None, tmp_path)
    assert requests == [f"/{TRAIN_LABELS}.gz"]


def test_corrupt_mirror_is_passed_over(
    tiny: Dataset,
    arrays: dict[str, UInt8],
    packed: dict[str, bytes],
    serve: Callable[[Mapping[str, bytes]], tuple[str, list[str]]],
    tmp_path: Path,
) -> None:
    """A mirror whose file is another array, or no gzip, is not believed."""
    wrong = dict.fromkeys(packed, packed[f"/{TRAIN_LABELS}.gz"])
    mirrors = [serve(wrong), serve(dict.fromkeys(wrong, b"<html>")), serve(packed)]
    dataset = replace(tiny, mirrors=tuple(url for url, _ in mirrors))
    source = find(dataset, None, tmp_path)
    assert source.arrays.keys() == arrays.keys()
    assert [len(requests) for _, requests in mirrors] == [4, 3, 3]


def test_ways_on(
    tiny: Dataset, serve: Callable[[Mapping[str, bytes]], tuple[str, list[str]]], tmp_path: Path
) -> None:
    """Where there is no data and no network, the message says what was tried and every way on."""
    dataset = replace(tiny, mirrors=(serve({})[0],))
    with pytest.raises(DownloadFailed) as caught:
        find(dataset, None, tmp_path)
    message = str(caught.value)
    for way in ("--data-dir", str(tmp_path / "tiny"), "--dataset digits", "Not Found"):
        assert way in message


def test_digits_need_nothing(tmp_path: Path) -> None:
    """The embedded digits come from the package, even where another folder is named."""
    source = find(DIGITS, tmp_path / "absent", tmp_path)
    assert source.arrays.keys() == DIGITS.sha256.keys()


def test_damaged_named_folder(
    tiny: Dataset, write_idx: Callable[..., Path], tmp_path: Path
) -> None:
    """A damaged file in a named folder is an error, and nothing is renewed there."""
    folder = write_idx(tmp_path / "named", gzipped=True)
    (folder / f"{TRAIN_LABELS}.gz").write_bytes(b"damaged")
    with pytest.raises(DataDamaged):
        find(tiny, folder, tmp_path)
    assert (folder / f"{TRAIN_LABELS}.gz").read_bytes() == b"damaged"
