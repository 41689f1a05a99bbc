"""Log lines are written on a thread: whoever logs never waits, whatever becomes of the lines."""

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from flatdense_server.observe.logs import access_log
from flatdense_server.observe.logs.log_writer import MOST_BYTES, MOST_PLENTIFUL_BYTES, LogWriter

PATIENCE_S = 20.0


class Pipe:
    """A pipe, and what writes lines to it."""

    def __init__(self) -> None:
        reader, self.descriptor = os.pipe()
        self.reader: IO[str] = os.fdopen(reader, encoding="utf-8")
        self.writer = LogWriter(self.descriptor)

    def close(self) -> None:
        """Ends both ends, the writing one when all that waits was written in vain.

        A line that came later would go to whoever has the descriptor's number by then.
        """
        self.reader.close()
        self.writer.flush()
        os.close(self.descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe with its writer."""
    pipe = Pipe()
    yield pipe
    pipe.close()


def read_lines(lines: IO[str], count: int) -> list[str]:
    """So many lines, waiting for them."""
    return [lines.readline().removesuffix("\n") for _ in range(count)]


def line(text: str, name: str = "test") -> logging.LogRecord:
    """A record whose line is the text."""
    return logging.makeLogRecord({"name": name, "msg": text, "levelname": "INFO"})


class Dropped:
    """Counts what is dropped, and lets it be waited for."""

    def __init__(self) -> None:
        self.lines = 0
        self._changed = threading.Condition()

    def count(self, lines: int) -> None:
        """So many more."""
        with self._changed:
            self.lines += lines
            self._changed.notify_all()

    def wait_for(self, lines: int) -> None:
        """Until so many were dropped."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.lines >= lines, PATIENCE_S), self.lines


def test_lines_come_in_their_order(pipe: Pipe) -> None:
    """Each once, and all of them before flush() is over."""
    reader, writer = pipe.reader, pipe.writer
    for number in range(500):
        writer.handle(line(f"line {number}"))
    writer.flush()
    assert read_lines(reader, 500) == [f"line {number}" for number in range(500)]


def test_a_reader_that_does_not_read_keeps_nobody_waiting(pipe: Pipe) -> None:
    """What finds no place is dropped and counted, and told of when there is a reader again."""
    reader, writer, dropped = pipe.reader, pipe.writer, Dropped()
    writer.report_to(dropped.count)
    text = "x" * 9_999
    offered = 3 * MOST_BYTES // len(text)
    for _ in range(offered):
        writer.handle(line(text))
    assert dropped.lines > 0
    lost = dropped.lines
    read = read_lines(reader, offered - lost)
    writer.flush()
    writer.handle(line("again"))
    while read[-1] != "again":
        read += read_lines(reader, 1)
    assert read.count(text) == offered - lost
    assert set(read) == {text, "log lines were dropped", "again"}
    assert dropped.lines == lost


def test_lines_of_the_access_log_leave_room_for_others(pipe: Pipe) -> None:
    """However many come, a line of another kind finds its place behind them."""
    reader, writer, dropped = pipe.reader, pipe.writer, Dropped()
    writer.report_to(dropped.count)
    text = "x" * 9_999
    for _ in range(2 * MOST_PLENTIFUL_BYTES // len(text)):
        writer.handle(line(text, access_log.log.name))
    before = dropped.lines
    assert before > 0
    writer.handle(line("draining"))
    assert dropped.lines == before
    while "draining" not in read_lines(reader, 1):
        continue


def test_a_closed_pipe_costs_lines_alone(pipe: Pipe) -> None:
    """They are counted, and whoever logs hears nothing of it."""
    pipe.reader.close()
    writer, dropped = pipe.writer, Dropped()
    writer.handle(line("before anybody counts"))
    writer.flush()
    writer.report_to(dropped.count)
    writer.handle(line("one more"))
    dropped.wait_for(2)


def test_a_full_disk_costs_lines_alone() -> None:
    """/dev/full takes nothing, for as long as anybody tries."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        writer, dropped = LogWriter(full.fileno()), Dropped()
        writer.report_to(dropped.count)
        for _ in range(10):
            writer.handle(line("lost"))
        dropped.wait_for(10)
        writer.flush()


def test_a_descriptor_that_does_not_wait_is_waited_for(pipe: Pipe) -> None:
    """Whoever made it so, for all who have it: no line is lost."""
    reader, writer = pipe.reader, pipe.writer
    os.set_blocking(pipe.descriptor, False)
    text = "x" * 9_999
    for _ in range(50):
        writer.handle(line(text))
    assert read_lines(reader, 50) == [text] * 50


def test_a_flush_is_bounded(pipe: Pipe) -> None:
    """A process whose reader does not read ends all the same."""
    writer = pipe.writer
    for _ in range(100):
        writer.handle(line("x" * 9_999))
    flushed = threading.Thread(target=writer.flush, daemon=True)
    flushed.start()
    flushed.join(PATIENCE_S)
    assert not flushed.is_alive()


def test_a_line_that_cannot_be_made_is_dropped(pipe: Pipe) -> None:
    """The fault stays with it: nothing is raised, and the next line is written."""
    reader, writer, dropped = pipe.reader, pipe.writer, Dropped()
    writer.report_to(dropped.count)
    broken = line("%d of what?")
    broken.args = ("no number",)
    writer.handle(broken)
    writer.handle(line("good"))
    assert dropped.lines == 1
    assert "good" in read_lines(reader, 2)
