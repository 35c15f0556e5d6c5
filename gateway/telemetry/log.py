"""
The log of a process: standard error, JSON unless a terminal reads it.

Other libraries' loggers and uncaught errors come to the same place as events of ours: who spoke, where, the class of the error.
Not the text, which may quote a message or a row.
"""

import logging
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Final, TextIO

from gateway.telemetry import lines
from gateway.telemetry.event import located
from gateway.telemetry.events import InternalError, LibraryFailed, LibraryNoted, LibraryWarned

#: Libraries that speak of every try while what they connect to is away: an outage is said once, by events of ours.
_TALKATIVE: Final = ("pika", "psycopg")


def configure(
    level: str = "info",
    format: str = "auto",  # noqa: A002 - the name of the setting
    *,
    stream: TextIO | None = None,
    now: Callable[[], datetime] | None = None,
) -> None:
    """
    Say where lines go, and bring other libraries' loggers and uncaught errors to the same place.

    Args:
        level: One of `lines.LEVELS`.
        format: One of `lines.FORMATS`; `auto` is for people on a terminal and JSON otherwise.
        stream: Where to write; None is standard error, whatever it is when a line is written.
        now: The clock, for the time of a line; None is the system's.

    Raises:
        ValueError: no such level or format.
    """
    lines.direct(level, format, stream, now)
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, Foreign)]:
        root.removeHandler(handler)
    root.addHandler(Foreign(level=logging.WARNING))
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


class Foreign(logging.Handler):
    """Brings the lines of other libraries: who spoke, where, what class of error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line for a record, without its text."""
        error = record.exc_info[1] if record.exc_info else None
        place = f"{record.module}:{record.lineno}"
        if record.name.partition(".")[0] in _TALKATIVE and (error is None or _of_connection(error)):
            LibraryNoted(logger=record.name, place=place, error=located(error)[0] if error is not None else None).emit()
        elif error is not None:
            LibraryFailed.of(error, logger=record.name, place=place).emit()
        else:
            LibraryWarned(logger=record.name, place=place).emit()


def _of_connection(error: BaseException) -> bool:
    """Whether an exception tells that a connection failed: the system's, or one of the libraries' own."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _TALKATIVE


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        InternalError.of(error.with_traceback(trace), reason="uncaught").emit()


def _uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None:
        _uncaught(found.exc_type, found.exc_value, found.exc_traceback)


def _unraisable(found: "sys.UnraisableHookArgs") -> None:
    if found.exc_value is not None:
        InternalError.of(found.exc_value, reason="unraisable").emit()
