"""Every event: its name, its line, its counters."""

import gc
import io
import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest

from gateway.telemetry import events, lines, log, metrics
from gateway.telemetry.redaction import FIELDS

NOW = datetime(2026, 3, 13, 16, 0, tzinfo=UTC)
VALUES: dict[str, object] = {
    "receipt": "r-1", "door": "mllp", "source": "sil-valmont", "establishment": "chu-valmont", "message": "MSG-0001",
    "type": "ORU^R01", "act": "add", "answer": "AE", "verdict": "stored", "rule": "O-2", "statement": "s-1",
    "codes": ("INS_KEY",),
    "code": "INS_KEY", "places": ("PID[1]-3",), "place": "gateway.store:12", "kinds": ("feeding_opposes",), "reason": "idle",
    "error": "ValueError", "reference": "0123abcd", "logger": "pika.connection",
    "certificate": "0123456789ab", "peer": "127.0.0.1", "host": "127.0.0.1",
    "version": "0.1.0",
    "environment": "test", "sample": True, "connection": 3, "port": 2575, "messages": 2, "documents": 1, "submissions": 4,
    "lane": "deposits.3", "lanes": ("deposits.3", "bulk"), "verb": "queue setup",
    "ring": "flow", "day": "2026-03-12", "size": 100, "count": 2, "job": "receipts",
    "role": "mllp", "request": "req-0001", "route": "cda", "status": -9, "wait": 0.5, "seconds": 0.25, "at": NOW,
}  # fmt: skip


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    log.configure("debug", "json", stream=stream, now=lambda: NOW)
    yield stream
    sys.excepthook, threading.excepthook, sys.unraisablehook = before
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    lines.direct("info", "json", None, None)


def written(output: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def one(kind: type[events.Event]) -> events.Event:
    return kind(**{field.name: VALUES[field.name] for field in msgspec.structs.fields(kind)})


def subclasses(kind: type) -> set[type]:
    return {kind, *(lower for each in kind.__subclasses__() for lower in subclasses(each))}


def test_the_table_holds_every_event_once() -> None:
    assert set(events.EVENTS) == subclasses(events.Event) - {events.Event}
    names = [kind.name for kind in events.EVENTS]
    assert len(set(names)) == len(names)
    assert all(
        re.fullmatch(r"[a-z]+\.[a-z]+", name)
        and (name.endswith("ed") or name in {"queue.problem", "store.problem", "internal.error", "keys.problem"})
        for name in names
    )


@pytest.mark.parametrize("kind", events.EVENTS, ids=lambda kind: kind.name)
def test_an_event_writes_all_its_fields(kind: type[events.Event], output: io.StringIO) -> None:
    names = {field.name for field in msgspec.structs.fields(kind)} - {"at"}
    assert names <= FIELDS.keys()
    one(kind).emit()
    (line,) = written(output)
    assert line.pop("event") == kind.name
    assert line.pop("level") == kind.level
    assert line.pop("timestamp") == "2026-03-13T16:00:00.000+00:00"
    assert line.keys() == names


@pytest.mark.parametrize(
    "kind", [k for k in events.EVENTS if k.count_up is not events.Event.count_up], ids=lambda kind: kind.name
)
def test_an_event_moves_its_counter(kind: type[events.Event], output: io.StringIO) -> None:
    before = metrics.snapshot()
    one(kind).emit()
    after = metrics.snapshot()
    moved = {name for name in after if after[name] != before.get(name)}
    assert moved or kind in {events.MessageReceived, events.GatewayStarted}


def test_every_metric_has_the_prefix_and_a_help_text() -> None:
    families = list(metrics.REGISTRY.collect())
    assert families
    assert all(family.name.startswith("dmpgw_") and family.documentation for family in families)
    labels = {name for family in families for sample in family.samples for name in sample.labels}
    assert labels <= FIELDS.keys() | {"kind", "le", "check", "use"}


def test_a_refusal_is_counted_by_rule(output: io.StringIO) -> None:
    series = 'dmpgw_refusals_total{rule="O-2",source="sil-valmont"}'
    before = metrics.snapshot().get(series, 0)
    one(events.DepositRefused).emit()
    assert metrics.snapshot()[series] == before + 1


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    lines.direct("warning", "json", stream, None)
    one(events.DepositAccepted).emit()
    assert stream.getvalue() == ""
    one(events.MessageRejected).emit()
    assert "message.rejected" in stream.getvalue()
    lines.direct("info", "json", None, None)


def test_other_libraries_speak_without_their_text(output: io.StringIO) -> None:
    logging.getLogger("urllib3.connection").warning("cannot send %s", "MARTIN 279035121518989")
    logging.getLogger("urllib3.connection").info("below the level")
    try:
        int("MARTIN 279035121518989")
    except ValueError:
        logging.getLogger("asyncio").exception("never retrieved: MARTIN")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("MARTIN is deprecated", DeprecationWarning, stacklevel=1)
    found = written(output)
    assert [line["event"] for line in found] == ["library.warned", "library.failed", "library.warned"]
    assert [line["logger"] for line in found] == ["urllib3.connection", "asyncio", "py.warnings"]
    assert found[1]["error"] == "ValueError"
    assert re.fullmatch("[0-9a-f]{8}", str(found[1]["reference"]))
    assert "MARTIN" not in output.getvalue()
    assert "279035121518989" not in output.getvalue()


@pytest.mark.parametrize("logger", ["pika.adapters.utils.io_services_utils", "psycopg.pool"])
def test_libraries_that_tell_every_try_are_heard_at_debug(logger: str, output: io.StringIO) -> None:
    logging.getLogger(logger).warning("cannot connect as %s", "MARTIN")
    logging.getLogger(logger).error("MARTIN again", exc_info=ConnectionRefusedError("MARTIN"))
    logging.getLogger(logger).error("no fault of a connection: MARTIN", exc_info=ValueError("MARTIN"))
    found = written(output)
    assert [(line["event"], line["level"], line.get("error")) for line in found] == [
        ("library.noted", "debug", None),
        ("library.noted", "debug", "ConnectionRefusedError"),
        ("library.failed", "error", "ValueError"),
    ]
    assert "MARTIN" not in output.getvalue()


def test_an_uncaught_error_is_told_without_its_text(output: io.StringIO) -> None:
    def fail() -> None:
        raise RuntimeError("MARTIN 279035121518989")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    try:
        fail()
    except RuntimeError as error:
        sys.excepthook(RuntimeError, error, error.__traceback__)
    found = written(output)
    assert [(line["event"], line["error"], line["reason"]) for line in found] == [
        ("internal.error", "RuntimeError", "uncaught")
    ] * 2
    assert "MARTIN" not in output.getvalue()


def test_an_error_that_cannot_be_raised_is_told_without_its_text(output: io.StringIO) -> None:
    class Failing:
        def __del__(self) -> None:
            raise RuntimeError("MARTIN 279035121518989")

    Failing()
    gc.collect()
    assert [(line["error"], line["reason"]) for line in written(output)] == [("RuntimeError", "unraisable")]
    assert "MARTIN" not in output.getvalue()


def test_a_terminal_gets_readable_lines() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    lines.direct("info", "auto", stream, None)
    one(events.GatewayStarted).emit()
    assert "gateway.started" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
    lines.direct("info", "json", None, None)


def test_a_closed_standard_error_costs_no_answer() -> None:
    stream = io.StringIO()
    lines.direct("info", "json", stream, None)
    stream.close()
    before = metrics.snapshot()["dmpgw_log_lines_lost_total"]
    one(events.GatewayStarted).emit()
    assert metrics.snapshot()["dmpgw_log_lines_lost_total"] == before + 1
    lines.direct("info", "json", None, None)


@pytest.mark.parametrize(("level", "form"), [("loud", "json"), ("info", "xml")])
def test_an_unknown_level_or_format_is_refused(level: str, form: str) -> None:
    with pytest.raises(ValueError, match="one of"):
        lines.direct(level, form, None, None)
