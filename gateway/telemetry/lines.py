"""One line of the log: redacted, rendered, written. Called by events only."""

import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import structlog

from gateway.telemetry import metrics
from gateway.telemetry.redaction import safe

#: Level → its number.
LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
FORMATS: Final = ("auto", "json", "console")

_json_renderer: Final = structlog.processors.JSONRenderer(sort_keys=False)


def _json(line: Mapping[str, Any]) -> str:
    rendered = _json_renderer(None, "", dict(line))
    return rendered if isinstance(rendered, str) else rendered.decode()


def _console(*, colors: bool) -> Callable[[Mapping[str, Any]], str]:
    renderer = structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False)

    def render(line: Mapping[str, Any]) -> str:
        return str(renderer(None, "", dict(line)))

    return render


def _utc() -> datetime:
    return datetime.now(UTC)


class _Output:
    """Where lines go now; replaced piece by piece by `direct`."""

    def __init__(self) -> None:
        self.stream: TextIO | None = None
        self.level = LEVELS["info"]
        self.render: Callable[[Mapping[str, Any]], str] = _json
        self.now: Callable[[], datetime] = _utc
        self.lock = threading.Lock()


_output: Final = _Output()


def direct(level: str, written: str, stream: TextIO | None, now: Callable[[], datetime] | None) -> None:
    """
    Say where lines go and how.

    Args:
        level: One of `LEVELS`: lines below it are not written.
        written: One of `FORMATS`; `auto` is for people on a terminal and JSON otherwise.
        stream: Where to write; None is standard error, whatever it is when a line is written.
        now: The clock, for the time of a line; None is the system's.

    Raises:
        ValueError: no such level or format.
    """
    if level not in LEVELS or written not in FORMATS:
        raise ValueError(f"level is one of {', '.join(LEVELS)}; format is one of {', '.join(FORMATS)}")
    terminal = (stream or sys.stderr).isatty()
    _output.stream = stream
    _output.level = LEVELS[level]
    _output.render = _console(colors=terminal) if written == "console" or (written == "auto" and terminal) else _json
    _output.now = now or _utc


def write(level: str, event: str, fields: Mapping[str, object]) -> None:
    """
    Write one line.

    Args:
        level: One of `LEVELS`.
        event: Name of the event.
        fields: Values by field; those that `redaction.FIELDS` does not allow are hashed or left out.
    """
    if LEVELS[level] < _output.level:
        return
    line: dict[str, Any] = {"timestamp": _output.now().isoformat(timespec="milliseconds"), "level": level, "event": event}
    for name, value in fields.items():
        allowed = safe(name, value)
        if allowed is not None:
            line[name] = round(allowed, 6) if isinstance(allowed, float) else allowed
    text = _output.render(line)
    try:
        with _output.lock:
            stream = _output.stream or sys.stderr
            stream.write(text + "\n")
            stream.flush()
    except (OSError, ValueError):  # a closed or full standard error must not cost an answer
        metrics.LINES_LOST.inc()
