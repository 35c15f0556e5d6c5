"""From the bytes of a message to the bytes of its answer, without a port."""

import asyncio
import io
import json
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.hl7v2.session import Session
from gateway.mappers.hl7v2 import read as reader
from gateway.mappers.hl7v2.ack import Answered, read_ack
from gateway.mappers.hl7v2.header import digest, read_head
from gateway.model.event import PatientEvent
from gateway.model.outcome import Outcome
from gateway.model.place import Place
from gateway.model.problem import Answer, Problem, Severity, Unreadable
from gateway.model.verdict import Verdict
from gateway.telemetry import lines, metrics, points
from tests.unit.mllp.doubles import (
    ADMITTED,
    NOW,
    SAMPLES,
    CountedReceipts,
    FixedClock,
    KeptDeposits,
    KeptEvents,
    numbered,
    sample,
    unavailable,
)

EXPECTED = json.loads((SAMPLES / "expected.json").read_text(encoding="utf-8"))
DEPOSIT, EVENT = "oru/01", "adt/02"


class Door:
    """A session with its doubles."""

    def __init__(self, *, directory=ADMITTED, environment: str = "test", wait: float = 0.2) -> None:
        self.deposits, self.events, self.clock = KeptDeposits(), KeptEvents(), FixedClock()
        self.session = Session(
            directory=directory,
            environment=environment,
            deposits=self.deposits,
            events=self.events,
            receipts=CountedReceipts(),
            clock=self.clock,
            ack_wait_seconds=wait,
        )

    def answer(self, payload: bytes) -> Answered:
        return read_ack(self.raw(payload))

    def raw(self, payload: bytes) -> bytes:
        return asyncio.run(self.session.answer(payload))


@pytest.fixture
def log() -> Iterator[Callable[[], list[dict[str, object]]]]:
    stream = io.StringIO()
    lines.direct("debug", "json", stream, lambda: NOW)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    lines.direct("info", "json", None, None)


@pytest.mark.parametrize("row", [row for row in EXPECTED if not row["file"].endswith(".mllp")], ids=lambda row: row["file"])
def test_every_sample_is_answered_as_expected(row: dict[str, str | None]) -> None:
    door = Door()
    payload = sample(str(row["file"]))
    found = door.answer(payload)
    codes = {error.code: error for error in found.errors}
    assert found.code == row["answer"]
    assert row["code"] is None or row["code"] == "EVENT_UNKNOWN" or row["code"] in codes
    taken = len(door.deposits.published) + len(door.events.submitted)
    reported = [rejection.verdict for _, rejection in door.deposits.reported]
    if row["answer"] == "AR":
        assert (taken, reported) == (0, [])
    elif row["verdict"] in {"rejected", "ignored"}:
        assert (taken, reported) == (0, [row["verdict"]])
    else:
        assert (taken, reported) == (1, [])


def test_a_deposit_is_handed_over_with_the_facts_of_its_reception(log) -> None:
    door = Door()
    payload = sample(DEPOSIT)
    found = door.answer(payload)
    ((reception, submission, parts),) = door.deposits.published
    assert (found.code, found.control_id, found.reference, found.errors) == ("AA", "SILV-0001", reception.receipt, ())
    assert reception.receipt == "R0001-sil-valmont"
    assert reception.received_at == "2026-03-13T16:00:00.000000+00:00"
    assert (reception.door, reception.source, reception.establishment) == ("mllp", "sil-valmont", "chu-valmont")
    assert (reception.application, reception.facility, reception.message_id) == ("SIL-V", "CHU-VALMONT", "SILV-0001")
    assert (reception.message_type, reception.message_digest) == ("ORU^R01", digest(payload))
    assert parts
    assert submission.documents
    assert [line["event"] for line in log()] == ["message.received", "deposit.accepted", "message.answered"]


def test_an_event_has_until_the_deadline_and_is_answered_after_its_outcome(log) -> None:
    door = Door(wait=7)
    assert door.answer(sample(EVENT)).code == "AA"
    ((reception, event, left),) = door.events.submitted
    assert isinstance(event, PatientEvent)
    assert reception.source == "gam-valmont"
    assert left == timedelta(seconds=7)
    applied = next(line for line in log() if line["event"] == "event.applied")
    assert applied["kinds"] == ["feeding_opposes"]


def test_warnings_of_the_message_and_of_the_store_are_told_once_each() -> None:
    door = Door()
    again = Problem(code="ZFA_NULL", severity=Severity.WARNING, place=Place(path="ZFA[1]-9[1]"))
    door.events.outcome = Outcome(
        verdict=Verdict.APPLIED,
        problems=(Problem(code="IDENTITY_CONFLICT", severity=Severity.WARNING), again, again),
    )
    found = door.answer(sample("adt/10"))
    assert found.code == "AA"
    codes = [error.code for error in found.errors]
    assert "IDENTITY_CONFLICT" in codes
    assert {error.severity for error in found.errors} == {"W"}
    assert codes.count("ZFA_NULL") <= 2


@pytest.mark.parametrize(
    ("outcome", "answer", "code"),
    [
        (Outcome(verdict=Verdict.APPLIED, problems=(Problem(code="EVENT_UNUSABLE"),)), "AE", "EVENT_UNUSABLE"),
        (Outcome(verdict=Verdict.REFUSED, problems=(Problem(code="ZFA_NOT_ALLOWED"),)), "AR", "ZFA_NOT_ALLOWED"),
        (Outcome(verdict=Verdict.REJECTED, problems=(Problem(code="STORE_UNAVAILABLE"),)), "AR", "STORE_UNAVAILABLE"),
        (Outcome(verdict=Verdict.PARKED), "AR", "STORE_UNAVAILABLE"),
        (Outcome(verdict=Verdict.DUPLICATE), "AA", None),
    ],
)
def test_the_outcome_of_an_event_is_its_answer(outcome: Outcome, answer: str, code: str | None) -> None:
    door = Door()
    door.events.outcome = outcome
    found = door.answer(sample(EVENT))
    assert (found.code, [error.code for error in found.errors]) == (answer, [code] if code else [])


@pytest.mark.parametrize("error", [unavailable("QUEUE_UNAVAILABLE"), TimeoutError()])
def test_a_deposit_that_is_not_durable_is_sent_again(error: BaseException) -> None:
    door = Door()
    door.deposits.error = error
    found = door.answer(sample(DEPOSIT))
    assert (found.code, found.errors[0].code) == ("AR", "QUEUE_UNAVAILABLE")
    assert door.deposits.reported == []


def test_silence_of_the_queue_is_no_acceptance() -> None:
    async def silent() -> bytes:
        door = Door(wait=0.05)
        door.deposits.gate = asyncio.Event()
        return await door.session.answer(sample(DEPOSIT))

    found = read_ack(asyncio.run(silent()))
    assert (found.code, found.errors[0].code) == ("AR", "QUEUE_UNAVAILABLE")


def test_an_event_is_never_ae_for_a_circumstance() -> None:
    door = Door(wait=0.05)
    door.events.never = True
    assert [(a.code, a.errors[0].code) for a in [door.answer(sample(EVENT))]] == [("AR", "STORE_UNAVAILABLE")]
    door = Door()
    door.events.error = unavailable("DRAINING")
    assert [(a.code, a.errors[0].code) for a in [door.answer(sample(EVENT))]] == [("AR", "DRAINING")]


def test_over_the_cap_of_the_queue_is_the_content_s_fault() -> None:
    door = Door()
    door.deposits.error = Unreadable(Problem(code="TOO_LARGE"))
    found = door.answer(sample(DEPOSIT))
    assert (found.code, found.errors[0].code) == ("AE", "TOO_LARGE")
    ((_, rejection),) = door.deposits.reported
    assert rejection.document_ids


def test_an_error_of_the_program_is_ar_with_a_reference(log, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("ESSAI-UN 284103523811464")

    monkeypatch.setattr(reader, "read", fail)
    found = Door().answer(sample(DEPOSIT))
    (error,) = found.errors
    assert (found.code, error.code, found.control_id) == ("AR", "INTERNAL", "SILV-0001")
    line = next(line for line in log() if line["event"] == "internal.error")
    assert error.diagnostic == f"reference {line['reference']}"
    assert (line["error"], line["source"]) == ("KeyError", "sil-valmont")
    assert str(line["place"]).startswith("gateway.adapters.hl7v2.judge:")
    assert "ESSAI-UN" not in json.dumps(log())


def test_a_receipt_that_cannot_be_given_is_ar(log) -> None:
    class NoReceipts:
        def issue(self, source: str, at: object) -> str:
            raise OSError("no key")

    door = Door()
    door.session._judge.receipts = NoReceipts()
    found = door.answer(sample(DEPOSIT))
    assert (found.code, found.control_id, found.errors[0].code) == ("AR", "SILV-0001", "INTERNAL")
    assert door.deposits.published == []


def test_a_report_that_fails_costs_no_answer(log) -> None:
    door = Door()
    door.deposits.report_error = RuntimeError("ESSAI-UN")
    assert door.answer(sample("bad/02")).code == "AE"
    assert [line["reason"] for line in log() if line["event"] == "internal.error"] == ["report"]


def test_a_source_beyond_the_connection_is_only_counted() -> None:
    door = Door(directory=ADMITTED.admitted(("gam-valmont",)))
    series = 'dmpgw_answers_total{answer="AR",door="mllp",source="unknown"}'
    before = metrics.snapshot().get(series, 0)
    found = door.answer(sample(DEPOSIT))
    assert (found.code, found.errors[0].code, found.errors[0].erl[:3]) == ("AR", "SOURCE_UNKNOWN", ("MSH", "1", "3"))
    assert (door.deposits.published, door.deposits.reported) == ([], [])
    assert metrics.snapshot()[series] == before + 1


def test_a_source_beyond_the_connection_is_not_told_what_else_is_wrong() -> None:
    door = Door(directory=ADMITTED.admitted(("gam-valmont",)))
    assert door.answer(sample("bad/18")).errors[0].code == "SOURCE_UNKNOWN"
    assert read_ack(door.session.refuse("TOO_LARGE", sample(DEPOSIT)[:4096], 99)).code == "AR"
    assert door.deposits.reported == []


def test_production_refuses_a_test_message() -> None:
    door = Door(environment="production")
    payload = sample(DEPOSIT).replace(b"|SILV-0001|P|", b"|SILV-0001|T|")
    assert door.answer(payload).errors[0].code == "PROCESSING_ID"


def charset_of(message: bytes, name: bytes) -> bytes:
    return message.replace(b"UNICODE UTF-8", name)


def latin9(message: bytes, declared: bytes) -> bytes:
    """The message with € and œ in PV1-3 (bytes A4 and BD), under some MSH-18."""
    text = message.decode().replace("\rPV1|1|I|", "\rPV1|1|I|Cœur 5 €")
    return charset_of(text.encode("iso-8859-15"), declared)


@pytest.mark.parametrize("declared", [b"8859/15", b""])
def test_the_charset_is_the_message_s_else_the_source_s(declared: bytes) -> None:
    directory = ADMITTED
    own = tuple(_with_charset(source, "8859/15") for source in directory.sources)
    door = Door(directory=type(directory)(establishments=directory.establishments, sources=own))
    raw = door.raw(latin9(sample(DEPOSIT), declared))
    assert read_ack(raw).code == "AA"
    assert read_head(raw)[0].charset == "8859/15"


def test_what_the_message_says_goes_over_the_source() -> None:
    directory = ADMITTED
    own = tuple(_with_charset(source, "ASCII") for source in directory.sources)
    door = Door(directory=type(directory)(establishments=directory.establishments, sources=own))
    assert door.answer(latin9(sample(DEPOSIT), b"8859/15")).code == "AA"
    found = door.answer(latin9(sample(DEPOSIT), b""))
    assert (found.code, found.errors[0].code) == ("AE", "CHARSET_INVALID")


def _with_charset(source, name: str):
    return type(source)(**{**{field: getattr(source, field) for field in source.__struct_fields__}, "charset": name})


def test_a_guessed_charset_is_a_warning() -> None:
    found = Door().answer(latin9(sample(DEPOSIT), b""))
    assert (found.code, found.errors[0].code, found.errors[0].severity) == ("AA", "CHARSET_ASSUMED", "W")


@pytest.mark.parametrize("payload", [b"", b"\r\n", b"PID|1", b"\x00\xff" * 50, b"MSH", b"MSH|", b"MSH|^~\\&|" + b"|" * 50])
def test_anything_is_answered(payload: bytes) -> None:
    found = Door().answer(payload)
    assert found.code in {"AE", "AR"}
    assert found.errors


CUTS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=12)), min_size=1, max_size=4)


@given(st.sampled_from([DEPOSIT, EVENT, "mdm/01"]), CUTS)
def test_whatever_is_damaged_the_answer_says_so_and_is_no_error_of_ours(name: str, cuts: list[tuple[float, int, bytes]]) -> None:
    payload = sample(name)
    for place, length, inserted in cuts:
        start = int(place * len(payload)) if length % 2 else int(place * 700)
        payload = payload[:start] + inserted + payload[start + length :]
    found = Door().answer(payload)
    assert found.code in {"AA", "AE", "AR"}
    assert "INTERNAL" not in {error.code for error in found.errors}
    assert found.code == "AA" or found.errors


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_line_ends_are_borne(end: bytes) -> None:
    assert Door().answer(sample(DEPOSIT).replace(b"\r", end)).code == "AA"


def test_a_byte_order_mark_is_borne() -> None:
    assert Door().answer(b"\xef\xbb\xbf" + sample(DEPOSIT)).code == "AA"


def test_a_large_message_is_read_aside_and_answered_alike() -> None:
    large = sample(DEPOSIT) + b"NTE|1||" + b"x" * 33_000 + b"\r"
    assert Door().answer(large).code == Door().answer(sample(DEPOSIT) + b"NTE|1||x\r").code == "AA"


def test_events_wait_for_no_reader_of_large_messages() -> None:
    """Every thread of the readers and of the event loop is taken: a small message is answered all the same."""
    door, hold = Door(), threading.Event()
    with ThreadPoolExecutor(1) as readers:
        session = Session(
            directory=ADMITTED,
            environment="test",
            deposits=door.deposits,
            events=door.events,
            receipts=CountedReceipts(),
            clock=door.clock,
            readers=readers,
        )

        async def scenario() -> None:
            readers.submit(hold.wait, 20)
            large = asyncio.create_task(session.answer(sample(DEPOSIT) + b"NTE|1||" + b"x" * 33_000 + b"\r"))
            try:
                async with asyncio.timeout(5):
                    assert read_ack(await session.answer(sample(EVENT))).code == "AA"
                assert not large.done()
            finally:
                hold.set()
            assert read_ack(await large).code == "AA"

        asyncio.run(scenario())


@pytest.mark.parametrize("place", ["MSH-10", "MSH-21", "PID-3", "PID-5", "ZFA-9", "OBX-3", "OBX-5"])
@pytest.mark.parametrize("filling", [b"\\F\\", b"\\", b"^", b"~", b"&", b"|"])
def test_a_large_message_of_separators_is_answered_soon(filling: bytes, place: str) -> None:
    name, number = place.split("-")
    payload = sample(DEPOSIT if name == "OBX" else EVENT)
    line = next(line for line in payload.split(b"\r") if line.startswith(name.encode()))
    cells = line.split(b"|")
    cells += [b""] * 22
    cells[int(number) - (name == "MSH")] = filling * (16 * 1024 * 1024 // len(filling))
    door, payload = Door(), payload.replace(line, b"|".join(cells))
    tracemalloc.start()
    begun = time.perf_counter()
    found = door.answer(payload)
    seconds = time.perf_counter() - begun
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 5
    assert most < 100 * 1024 * 1024
    unread = place == "PID-5" and filling in {b"\\F\\", b"\\"}  # a name without a type is no name that is read
    assert found.code == ("AA" if unread else "AE")
    assert len(door.events.submitted) == unread


def test_nothing_of_an_unknown_source_is_read_but_its_head(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_nothing(*_: object) -> None:
        raise AssertionError("more was read")

    monkeypatch.setattr("gateway.adapters.hl7v2.judge.digest", read_nothing)
    monkeypatch.setattr("gateway.adapters.hl7v2.judge.read_header", read_nothing)
    found = Door(directory=ADMITTED.admitted(("gam-valmont",))).answer(sample(DEPOSIT))
    assert (found.code, found.errors[0].code) == ("AR", "SOURCE_UNKNOWN")


def test_the_answer_s_own_id_comes_from_the_receipt() -> None:
    first, second = Door(), Door()
    one, same = first.raw(sample(DEPOSIT)), second.raw(sample(DEPOSIT))
    assert one == same
    other = first.raw(sample(DEPOSIT))
    ids = {read_head(raw)[0].control_id for raw in (one, other)}
    assert len(ids) == 2
    assert all(len(each) == 20 for each in ids)


def test_the_points_are_reached_in_order() -> None:
    seen: list[str] = []
    points.hooks.update({name: lambda name=name: seen.append(name) for name in points.POINTS})
    try:
        Door().answer(sample(DEPOSIT))
    finally:
        points.hooks.clear()
    assert seen == ["door.received", "door.read"]


def test_a_frame_that_was_not_whole_is_reported_with_what_its_head_tells() -> None:
    door = Door()
    found = read_ack(door.session.refuse("TOO_LARGE", numbered(sample(DEPOSIT), "BIG-1")[:600], 33_000_000))
    assert (found.code, found.control_id, found.errors[0].code) == ("AE", "BIG-1", "TOO_LARGE")
    ((reception, rejection),) = door.deposits.reported
    assert (reception.source, reception.message_id, reception.message_digest) == ("sil-valmont", "BIG-1", "")
    assert [problem.code for problem in rejection.problems] == ["TOO_LARGE"]


def test_a_frame_that_broke_off_is_sent_again_and_no_rejection() -> None:
    """An opposition cut on its way is not refused for good: the cut is none of its content (D-2)."""
    door = Door()
    found = read_ack(door.session.refuse("MESSAGE_TRUNCATED", sample(EVENT)[:400], 400))
    assert (found.code, found.errors[0].code) == ("AR", "MESSAGE_TRUNCATED")
    assert found.control_id == read_head(sample(EVENT))[0].control_id
    assert door.deposits.reported == []


def test_a_frame_without_a_header_is_reported_as_unknown() -> None:
    door = Door()
    found = read_ack(door.session.refuse("MSH_ABSENT", b"", 0))
    assert (found.code, found.control_id) == (Answer.AE, "")
    ((reception, _),) = door.deposits.reported
    assert (reception.source, reception.establishment, reception.message_id) == ("unknown", "", "")
