"""A batch at the door: nothing of a wrong one, each message of a right one for itself, a batch for an answer."""

import asyncio

import pytest
from hypothesis import given

from gateway.adapters.hl7v2.answers import Answers
from gateway.mappers.hl7v2 import batch
from gateway.mappers.hl7v2.ack import Answered, read_ack
from gateway.model.outcome import Outcome
from gateway.model.verdict import Verdict
from tests.strategies.batches import Made, batches
from tests.unit.mllp.doubles import ADMITTED, Asking, asking, numbered, sample, unavailable

DEPOSIT, EVENT, WRONG = (numbered(sample(name), f"M-{name[:3]}") for name in ("oru/01", "adt/02", "bad/02"))
FOREIGN = numbered(sample("bad/22"), "M-FOREIGN")
FHS, BHS = (name + b"|^~\\&|SIL-V|CHU-VALMONT|DMP-GATEWAY|CHU-VALMONT|20260313||||%s-1\r" % name[:1] for name in (b"FHS", b"BHS"))


def whole(*messages: bytes, count: int | None = None) -> bytes:
    return FHS + BHS + b"".join(messages) + b"BTS|%d\rFTS|1\r" % (len(messages) if count is None else count)


def inside(answer: bytes | None) -> list[Answered]:
    """The acknowledgments of an answer, in order, however many there are."""
    assert answer is not None
    bundle = batch.cut(answer)
    return [read_ack(each) for each in (bundle.messages if bundle is not None else (answer,))]


def said(answer: bytes | None) -> list[tuple[str, str]]:
    return [(each.code, each.control_id) for each in inside(answer)]


def answers(door: Asking, payload: bytes) -> Answers:
    return asyncio.run(door.session.answers(payload))


def test_each_message_of_a_batch_is_answered_in_a_batch() -> None:
    door = Asking()
    found = answers(door, whole(DEPOSIT, WRONG, FOREIGN, EVENT)).first
    assert said(found) == [("AA", "M-oru"), ("AE", "M-bad"), ("AR", "M-FOREIGN"), ("AA", "M-adt")]
    assert found is not None
    first, *_, last, _ = found.split(b"\r")
    assert (first.split(b"|")[2:6], first.split(b"|")[11], last) == (
        [b"DMP-GATEWAY", b"CHU-VALMONT", b"SIL-V", b"CHU-VALMONT"], b"B-1", b"BTS|4",
    )  # fmt: skip
    assert door.deposits.ids == ["M-oru"]
    assert [reception.message_id for reception, *_ in door.events.submitted] == ["M-adt"]
    receipts = {each.reference for each in inside(found)}
    assert len(receipts) == 4


def test_bare_messages_are_answered_one_after_another() -> None:
    found = answers(Asking(), DEPOSIT + EVENT).first
    assert said(found) == [("AA", "M-oru"), ("AA", "M-adt")]
    assert found is not None
    assert found.startswith(b"MSH")


@pytest.mark.parametrize(
    ("payload", "answer", "code", "control_id"),
    [
        (whole(EVENT, DEPOSIT, count=3), "AE", "BATCH_COUNT", "F-1"),
        (whole(EVENT, DEPOSIT).removesuffix(b"FTS|1\r"), "AR", "MESSAGE_TRUNCATED", "F-1"),
        (BHS + EVENT + DEPOSIT, "AR", "MESSAGE_TRUNCATED", "B-1"),
        (BHS + whole(EVENT, DEPOSIT), "AE", "BATCH_INVALID", "B-1"),
        (EVENT + DEPOSIT + b"BTS|2\r", "AE", "BATCH_INVALID", "M-adt"),
        (whole(EVENT, EVENT, DEPOSIT), "AE", "CARDINALITY", "F-1"),
    ],
)
def test_of_a_wrong_batch_nothing_is_taken(payload: bytes, answer: str, code: str, control_id: str) -> None:
    door = Asking(batch_limit=2)
    (found,) = inside(answers(door, payload).first)
    assert (found.code, found.control_id, [error.code for error in found.errors]) == (answer, control_id, [code])
    assert found.errors[0].erl
    assert (door.deposits.published, door.events.submitted) == ([], [])
    assert len(door.deposits.reported) == (answer == "AE")


def test_whoever_is_not_admitted_is_not_told_what_is_wrong_with_a_batch() -> None:
    door = Asking(directory=ADMITTED.admitted(()))
    (found,) = inside(answers(door, whole(DEPOSIT, count=9)).first)
    assert (found.code, found.errors[0].code) == ("AR", "SOURCE_UNKNOWN")


def test_an_empty_batch_is_answered_by_an_empty_one() -> None:
    found = answers(Asking(), whole()).first
    assert found is not None
    assert [line[:5] for line in found.split(b"\r")] == [b"BHS|^", b"BTS|0", b""]


def test_a_batch_that_broke_off_on_its_way_is_answered_to_its_id() -> None:
    raw = Asking().session.refuse("MESSAGE_TRUNCATED", (FHS + BHS + DEPOSIT)[:600], 600)
    assert raw is not None
    found = read_ack(raw)
    assert (found.code, found.control_id) == ("AR", "F-1")


def test_a_queue_that_is_away_is_waited_for_once() -> None:
    door = Asking()
    door.deposits.error = unavailable()
    found = answers(door, whole(WRONG, DEPOSIT, EVENT, FOREIGN)).first
    assert said(found) == [("AE", "M-bad"), ("AR", "M-oru"), ("AR", "M-adt"), ("AR", "M-FOREIGN")]
    assert [[error.code for error in each.errors][-1] for each in inside(found)[1:]] == [
        "QUEUE_UNAVAILABLE", "QUEUE_UNAVAILABLE", "SOURCE_UNKNOWN",
    ]  # fmt: skip
    assert door.events.submitted == []


def test_messages_of_a_batch_ask_for_their_own_acknowledgments() -> None:
    door = Asking()
    door.deposits.outcome = Outcome(verdict=Verdict.STORED)
    enhanced = [asking(DEPOSIT, "AL", "AL"), asking(numbered(DEPOSIT, "M-2"), "NE", "AL"), asking(EVENT, "NE", "NE")]

    async def scenario() -> tuple[bytes | None, list[bytes | None]]:
        found = await door.session.answers(whole(*enhanced))
        return found.first, [await each.answer() for each in found.later]

    first, later = asyncio.run(scenario())
    assert said(first) == [("CA", "M-oru")]
    assert [said(each) for each in later] == [[("AA", "M-oru")], [("AA", "M-2")]]


def test_several_that_ask_for_no_answer_have_none() -> None:
    found = answers(Asking(), asking(DEPOSIT, "NE", "NE") + asking(EVENT, "NE", "NE"))
    assert (found.first, found.later) == (None, ())


def test_whoever_asks_once_hears_the_last_word_to_each() -> None:
    door = Asking(wait=0.1)
    payload = whole(asking(EVENT, "AL", "AL"), asking(DEPOSIT, "AL", "AL"), DEPOSIT)
    assert [code for code, _ in said(asyncio.run(door.session.answer(payload)))] == ["AA", "CA", "AA"]


@given(batches())
def test_whatever_batch_is_sent_each_message_has_its_answer_in_its_place(made: Made) -> None:
    door = Asking()
    found = asyncio.run(door.session.answer(made.payload))
    assert (
        [control_id for _, control_id in said(found)] == made.ids
        if made.ids
        else found.count(b"BTS|0") == max(1, len(made.groups))
    )
    assert {code for code, _ in said(found)} <= {"AA"} if made.ids else True
    assert [rejection.verdict for _, rejection in door.deposits.reported] == [Verdict.IGNORED] * len(made.ids)
