"""No name, identifier or result of a patient reaches a line, a counter or the reasons of an answer, on any path."""

import asyncio
import io
import logging
import re
import sys
import threading
from collections.abc import Iterator

import pytest

from gateway.adapters.hl7v2.session import Session
from gateway.mappers.hl7v2 import read as reader
from gateway.model.outcome import Outcome
from gateway.model.problem import Problem
from gateway.model.verdict import Verdict
from gateway.telemetry import lines, log, metrics, points
from tests.unit.mllp.doubles import ADMITTED, NOW, SAMPLES, CountedReceipts, FixedClock, KeptDeposits, KeptEvents, unavailable

NAME, INS, RESULT = "ZQMARKNAME", "284103523811464", "987654.321"
#: What the samples say of their patients, and what is put in on purpose.
MARKS = (NAME, INS, RESULT, "ESSAI", "ADELE", "Allée", "19841002", "2841035238114")
MESSAGES = sorted(path for folder in ("mdm", "oru", "adt", "bad") for path in (SAMPLES / folder).iterdir())


def marked(payload: bytes) -> bytes:
    """The message with a marked name, and a marked result in an OBX and a NTE of its own."""
    text = payload.replace(b"ESSAI-UN^ADELE", f"{NAME}^ADELE".encode()).replace(b"\n", b"\r")
    return text + f"OBX|99|NM|718-7^HB^LN||{RESULT}|g/L|||||F\rNTE|9||{NAME} {INS} {RESULT}\r".encode()


def shifted(payload: bytes) -> Iterator[bytes]:
    """The message with a mark in each field of MSH, one after the other: the mistakes of a sender's mapping."""
    head, _, rest = payload.replace(b"\n", b"\r").partition(b"\r")
    for mark in (NAME, INS, f"{NAME}^{INS}", f"{INS[:13]}"):
        for index in range(1, 20):
            fields = head.split(b"|")
            fields[index : index + 1] = [mark.encode()]
            yield b"|".join(fields) + b"\r" + rest


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    before, root = (sys.excepthook, threading.excepthook, sys.unraisablehook), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    log.configure("debug", "json", stream=stream, now=lambda: NOW)
    yield stream
    sys.excepthook, threading.excepthook, sys.unraisablehook = before
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    lines.direct("info", "json", None, None)


class Path:
    """One way that a message may go: what the doubles do, and what the connection admits."""

    def __init__(self, name: str, **doings: object) -> None:
        self.name, self.doings = name, doings

    def session(self) -> Session:
        deposits, events = KeptDeposits(), KeptEvents()
        deposits.error = events.error = self.doings.get("error")
        deposits.report_error = self.doings.get("report_error")
        events.outcome = self.doings.get("outcome", events.outcome)
        return Session(
            directory=ADMITTED.admitted(()) if self.doings.get("nobody") else ADMITTED,
            environment=str(self.doings.get("environment", "test")),
            deposits=deposits,
            events=events,
            receipts=CountedReceipts(),
            clock=FixedClock(),
        )


TEXT = f"duplicate key (name)=({NAME}) INS {INS} value {RESULT}"
PATHS = (
    Path("taken"),
    Path("production", environment="production"),
    Path("nobody admitted", nobody=True),
    Path("queue or store away", error=unavailable()),
    Path("driver's error", error=RuntimeError(TEXT)),
    Path("report fails", report_error=RuntimeError(TEXT)),
    Path("refused", outcome=Outcome(verdict=Verdict.REFUSED, problems=(Problem(code="EVENT_UNUSABLE"),))),
)


def told(output: io.StringIO) -> str:
    return output.getvalue() + "\n".join(metrics.snapshot())


def reasons(answer: bytes) -> str:
    return "\n".join(segment.decode("iso-8859-15") for segment in answer.split(b"\r") if segment.startswith(b"ERR"))


def check(text: str, marks: tuple[str, ...] = MARKS) -> None:
    found = [mark for mark in marks if mark in text]
    assert not found, next(line for line in text.splitlines() if found[0] in line)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_no_mark_on_any_path(path: Path, output: io.StringIO) -> None:
    session = path.session()

    async def scenario() -> None:
        for file in MESSAGES:
            answer = await session.answer(marked(file.read_bytes()))
            check(reasons(answer))
            check(reasons(session.refuse("TOO_LARGE", marked(file.read_bytes())[:4096], 5000)))

    asyncio.run(scenario())
    text = told(output)
    assert text.count('"event": "message.answered"') == 2 * len(MESSAGES)
    if path.name == "taken":
        assert all(f'"event": "{name}"' in text for name in ("deposit.accepted", "event.applied", "message.rejected"))
    check(text)


@pytest.mark.parametrize("file", ["oru/01-new-report.er7", "adt/02-a01-io.er7"])
def test_no_mark_from_a_shifted_header(file: str, output: io.StringIO) -> None:
    session = Path("taken").session()

    async def scenario() -> None:
        for payload in shifted((SAMPLES / file).read_bytes()):
            await session.answer(payload)
            session.refuse("MESSAGE_TRUNCATED", payload[:2000], 2000)

    asyncio.run(scenario())
    check(told(output))


def test_no_mark_from_errors_at_any_point(output: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError(TEXT)

    session, payload = Path("taken").session(), marked((SAMPLES / "oru" / "01-new-report.er7").read_bytes())
    points.hooks["door.read"] = fail
    try:
        answers = [asyncio.run(session.answer(payload))]
    finally:
        points.hooks.clear()
    monkeypatch.setattr(reader, "read", fail)
    answers.append(asyncio.run(session.answer(payload)))
    session._judge.receipts = type("NoReceipts", (), {"issue": fail})()
    answers.append(asyncio.run(session.answer(payload)))
    logging.getLogger("a.driver").error("row %s", TEXT)
    text = told(output)
    assert all(re.search(rb"MSA\|AR\|", answer) for answer in answers)
    assert text.count("internal.error") >= len(answers)
    check(text)
    check("\n".join(map(reasons, answers)))
