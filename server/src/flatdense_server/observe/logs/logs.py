"""Structured logs: one event a line, as text for people or JSON for machines.

An event is a short constant message; its particulars go in `extra`:

    log.info("ready", extra={"model": "mnist", "version": 1})
"""

import faulthandler
import json
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Final, Literal

from flatdense_server.observe.logs.log_writer import LogWriter

log = logging.getLogger(__name__)

LogFormat = Literal["text", "json"]

OWN_ATTRIBUTES: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "color_message"}


STDERR: Final = 2


def configure_logs(log_format: LogFormat, level: str, **particulars: object) -> LogWriter | None:
    """Sends every logger of this process to standard error in one form. Called once, at start.

    Every event has these `particulars`. Gives whoever writes them: nobody, where the process was
    started without standard error.
    """
    if not sys.stderr:  # it was closed when the process started
        logging.disable()
        return None

    faulthandler.enable()  # a crash, or kill -ABRT, writes where each thread stands

    def add(record: logging.LogRecord) -> bool:
        vars(record).update(particulars)
        return True

    writer = LogWriter(STDERR)
    writer.addFilter(add)
    writer.setFormatter(TextFormatter() if log_format == "text" else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[writer], force=True)
    logging.captureWarnings(capture=True)
    threading.excepthook = log_failure
    return writer


def log_failure(failed: threading.ExceptHookArgs) -> None:
    """What ended a thread that nothing should have ended."""
    name = failed.thread.name if failed.thread else ""
    log.error("a thread failed", exc_info=failed.exc_value, extra={"thread_name": name})


class TextFormatter(logging.Formatter):
    """`12:34:56.789 INFO  ready  model=mnist version=1`, and below it a traceback if any.

    What an exception says may come from a stranger: no line of a traceback begins like an event.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line, unless there is a traceback."""
        time = datetime.fromtimestamp(record.created, UTC).astimezone()
        pairs = [f"{key}={quote(value)}" for key, value in particulars(record).items()]
        line = f"{time:%H:%M:%S}.{time.microsecond // 1000:03d} {record.levelname:<7} "
        line += "  ".join([one_line(record.getMessage()), " ".join(pairs)]).rstrip()
        if record.exc_info:
            lines = self.formatException(record.exc_info).splitlines()
            line = "\n".join([line, *(f"    {one_line(each)}" for each in lines)])
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, event, then the particulars."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, always."""
        time = datetime.fromtimestamp(record.created, UTC)
        event = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **particulars(record),
        }
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return json.dumps(event, default=str, ensure_ascii=False)


def particulars(record: logging.LogRecord) -> dict[str, object]:
    """What the caller gave in `extra`."""
    return {key: value for key, value in vars(record).items() if key not in OWN_ATTRIBUTES}


def quote(value: object) -> str:
    """The value as it stands in a text line: quoted where it would not read as one word."""
    return one_line(str(value), special=' "=')


def one_line(text: str, *, special: str = "") -> str:
    """The text as it is; quoted where it is empty, has what would not print, or a special one."""
    plain = text.isprintable() and not set(text) & set(special)
    return text if text and plain else json.dumps(text, ensure_ascii=not text.isprintable())
