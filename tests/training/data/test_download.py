"""Files from mirrors."""

import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from flatdense_training.data.download import download
from flatdense_training.errors import DataDamaged, DownloadFailed


class Listener:
    """Keeps what a download reported."""

    def __init__(self) -> None:
        self.reports = []

    def __call__(self, *, file: str, received_bytes: int, total_bytes: int | None) -> None:
        """Keeps one report."""
        self.reports.append((file, received_bytes, total_bytes))


def expect_good(data: bytes) -> None:
    """Accepts one content alone."""
    if data != b"good":
        raise DataDamaged("it is not good")


def fetch(folder: Path, *mirrors: str, timeout_s: float = 5) -> Path:
    """Downloads `file` with everything else at hand."""
    return download(
        "file",
        mirrors=mirrors,
        folder=folder,
        verify=expect_good,
        progress=Listener(),
        timeout_s=timeout_s,
    )


def test_first_mirror_that_has_it(
    serve: Callable[[Mapping[str, bytes]], tuple[str, list[str]]], tmp_path: Path
) -> None:
    """Mirrors without the file or with a corrupt one are passed over; later ones are unasked."""
    mirrors = [serve(files) for files in ({}, {"/file": b"bad"}, {"/file": b"good"}, {})]
    path = fetch(tmp_path / "new" / "folder", *(url for url, _ in mirrors))
    assert path.read_bytes() == b"good"
    assert [len(requests) for _, requests in mirrors] == [1, 1, 1, 0]
    assert list(path.parent.iterdir()) == [path]


def test_all_fail(
    serve: Callable[[Mapping[str, bytes]], tuple[str, list[str]]], tmp_path: Path
) -> None:
    """Where no mirror helps, the message says what each of them said, and nothing is written."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(DownloadFailed) as caught:
        fetch(tmp_path, serve({})[0], serve({"/file": b"bad"})[0], closed, "no address")
    lines = str(caught.value).splitlines()
    assert lines[0] == "No mirror gave file:"
    for line, reason in zip(
        lines[1:], ("Not Found", "it is not good", "refused", "unknown url type"), strict=True
    ):
        assert reason in line
    assert list(tmp_path.iterdir()) == []


def test_short_answer(tmp_path: Path) -> None:
    """A mirror that hangs up before it sent what it announced is passed over."""
    with pytest.raises(DownloadFailed, match=r"2 of 9 bytes|2 bytes read, 7 more expected"):
        fetch(tmp_path, answer_once(b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\ngo"))


def answer_once(answer: bytes) -> str:
    """The address of a server that says one thing to one caller and hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, listening.accept()[0] as caller:
            caller.recv(4096)
            caller.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_silent_mirror(tmp_path: Path) -> None:
    """A mirror that takes the call and says nothing is given up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(DownloadFailed, match="timed out"):
            fetch(tmp_path, url, timeout_s=0.05)


def test_progress_is_reported(
    serve: Callable[[Mapping[str, bytes]], tuple[str, list[str]]], tmp_path: Path
) -> None:
    """The listener hears of the file from nothing to all of it."""
    listener = Listener()
    content = bytes(200_000)
    download(
        "file",
        mirrors=[serve({"/file": content})[0]],
        folder=tmp_path,
        verify=lambda _data: None,
        progress=listener,
    )
    received = [report[1] for report in listener.reports]
    assert received == sorted(received)
    assert (received[0], received[-1]) == (0, len(content))
    assert {(file, total) for file, _, total in listener.reports} == {("file", len(content))}


def test_folder_that_cannot_be_made(
    serve: Callable[[Mapping[str, bytes]], tuple[str, list[str]]], tmp_path: Path
) -> None:
    """A cache folder that cannot be written is named, with the option that changes it."""
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(DownloadFailed, match=r"taken/file cannot be written: .*--cache-dir"):
        fetch(tmp_path / "taken", serve({"/file": b"good"})[0])
