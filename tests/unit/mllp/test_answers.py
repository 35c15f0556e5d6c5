"""Who hears what, and when: enhanced mode, answers withheld until the record has decided, a source's forced charset."""

import asyncio
import itertools

import msgspec
import pytest

from gateway.adapters.hl7v2.answers import Answers
from gateway.adapters.hl7v2.modes import Condition, enhanced
from gateway.mappers.hl7v2.ack import Answered, read_ack
from gateway.mappers.hl7v2.header import Header, read_head, salvage
from gateway.model.outcome import DocumentOutcome, Outcome
from gateway.model.ports import Unavailable
from gateway.model.problem import Problem, Severity
from gateway.model.source import AnswerMode
from gateway.model.verdict import Verdict
from gateway.telemetry import metrics
from tests.unit.mllp.doubles import ADMITTED, Asking, asking, sample, unavailable

DEPOSIT, EVENT, WRONG, IGNORED = "oru/01", "adt/02", "bad/02", "oru/07"
CONDITIONS = ("AL", "NE", "ER", "SU")
STORED = Outcome(verdict=Verdict.STORED)
REFUSED = Outcome(
    verdict=Verdict.REFUSED,
    documents=(DocumentOutcome(unique_id="1.2", verdict=Verdict.REFUSED, problems=(Problem(code="OPPOSED", document=0),)),),
)


def codes(answered: Answered) -> list[str]:
    return [error.code for error in answered.errors]


class Heard(msgspec.Struct):
    """What a sender hears, in order."""

    first: Answered | None
    later: list[Answered]

    @property
    def said(self) -> tuple[str | None, list[str]]:
        return (self.first.code if self.first else None, [each.code for each in self.later])


async def heard(answers: Answers) -> Heard:
    later = [await each.answer() for each in answers.later]
    return Heard(read_ack(answers.first) if answers.first else None, [read_ack(each) for each in later if each is not None])


def hear(door: Asking, payload: bytes) -> Heard:
    async def scenario() -> Heard:
        return await heard(await door.session.answers(payload))

    return asyncio.run(scenario())


# -- which mode


@pytest.mark.parametrize(
    ("accept", "application", "found"),
    [
        ("", "", None),
        ('""', '""', None),
        ("FRA", "", None),
        ("AL", "", ("AL", "NE")),
        ("", "er", ("NE", "ER")),
        ("NE", "XX", ("NE", "AL")),
        ("su", "NE", ("SU", "NE")),
    ],
)
def test_the_mode_is_that_of_msh_15_and_16(accept: str, application: str, found: tuple[str, str] | None) -> None:
    asked = enhanced(Header(accept_ack=accept, application_ack=application))
    assert (None if asked is None else (asked.accept.value, asked.application.value)) == found
    assert enhanced(None) is None


def wanted(condition: str, *, success: bool) -> bool:
    return {"AL": True, "NE": False, "ER": not success, "SU": success}[condition]


@pytest.mark.parametrize(("accept", "application"), list(itertools.product(CONDITIONS, CONDITIONS)))
@pytest.mark.parametrize("outcome", [STORED, REFUSED], ids=["stored", "refused"])
def test_of_what_is_taken_each_acknowledgment_comes_as_it_is_asked_for(accept: str, application: str, outcome: Outcome) -> None:
    door = Asking()
    door.deposits.outcome = outcome
    found = hear(door, asking(sample(DEPOSIT), accept, application))
    last = "AA" if outcome is STORED else "AE"
    assert found.said == (
        "CA" if wanted(accept, success=True) else None,
        [last] if wanted(application, success=last == "AA") else [],
    )
    # Without anybody who wants to hear it, the outcome is not waited for.
    assert door.deposits.waited == [application != "NE"]


@pytest.mark.parametrize(("accept", "application"), list(itertools.product(CONDITIONS, CONDITIONS)))
@pytest.mark.parametrize("name", [WRONG, "bad/22"])
def test_what_is_not_taken_is_said_once(accept: str, application: str, name: str) -> None:
    door = Asking()
    found = hear(door, asking(sample(name), accept, application))
    original = "AE" if name == WRONG else "AR"
    expected = (
        original.replace("A", "C", 1)
        if wanted(accept, success=False)
        else original
        if wanted(application, success=False)
        else None
    )
    assert found.said == (expected, [])
    assert door.deposits.published == []


def test_an_event_s_acknowledgments_both_follow_its_commit() -> None:
    door = Asking()
    found = hear(door, asking(sample(EVENT), "AL", "AL"))
    assert found.said == ("CA", ["AA"])
    assert len(door.events.submitted) == 1
    door.events.error = unavailable("STORE_UNAVAILABLE")
    assert hear(door, asking(sample(EVENT), "AL", "AL")).said == ("CR", [])
    door.events.error, door.events.outcome = None, Outcome(verdict=Verdict.REFUSED, problems=(Problem(code="EVENT_UNUSABLE"),))
    assert hear(door, asking(sample(EVENT), "AL", "AL")).said == ("CE", [])


def test_what_is_ignored_is_accepted_and_decided_at_once() -> None:
    assert hear(Asking(), asking(sample(IGNORED), "AL", "AL")).said == ("CA", ["AA"])


def test_warnings_come_with_the_last_word() -> None:
    door = Asking()
    payload = asking(sample(DEPOSIT), "AL", "AL") + b"OBX|98|NM|718-7^Hb^LN||13|g/L|||||F\r"
    door.deposits.outcome = STORED
    found = hear(door, payload)
    assert found.first is not None
    assert (codes(found.first), codes(found.later[0])) == ([], ["PLAIN_RESULTS"])
    only = hear(door, payload.replace(b"|AL|AL|", b"|AL|NE|"))
    assert only.first is not None
    assert codes(only.first) == ["PLAIN_RESULTS"]


def test_each_acknowledgment_has_its_own_id_and_asks_for_none() -> None:
    async def scenario() -> tuple[bytes, bytes]:
        door = Asking()
        door.deposits.outcome = STORED
        answers = await door.session.answers(asking(sample(DEPOSIT), "AL", "AL"))
        last = await answers.later[0].answer()
        assert answers.first is not None
        assert last is not None
        return answers.first, last

    first, last = asyncio.run(scenario())
    heads = [read_head(each)[0] for each in (first, last)]
    assert len({head.control_id for head in heads}) == 2
    assert {(head.accept_ack, head.application_ack) for head in heads} == {("NE", "NE")}
    acks = [read_ack(each) for each in (first, last)]
    assert {(each.control_id, each.reference) for each in acks} == {("SILV-0001", "R0001-sil-valmont")}


def test_original_mode_says_nothing_of_acknowledging_the_answer() -> None:
    raw = asyncio.run(Asking().session.answer(sample(DEPOSIT)))
    assert (read_head(raw)[0].accept_ack, read_head(raw)[0].application_ack) == ("", "")


def test_the_application_acknowledgment_waits_for_the_record() -> None:
    async def scenario() -> None:
        door = Asking()
        answers = await door.session.answers(asking(sample(DEPOSIT), "AL", "AL"))
        waiting = asyncio.ensure_future(answers.later[0].answer())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        door.deposits.outcomes[0].set_result(REFUSED)
        last = await waiting
        assert last is not None
        found = read_ack(last)
        assert (found.code, codes(found), found.errors[0].condition) == ("AE", ["OPPOSED"], "207")

    asyncio.run(scenario())


def test_an_outcome_that_will_not_be_known_is_said_to_whoever_waits() -> None:
    async def scenario() -> None:
        door = Asking()
        answers = await door.session.answers(asking(sample(DEPOSIT), "AL", "AL"))
        door.deposits.outcomes[0].set_exception(Unavailable("QUEUE_UNAVAILABLE"))
        with pytest.raises(Unavailable):
            await answers.later[0].answer()

    asyncio.run(scenario())


def test_what_nobody_hears_is_counted_and_no_longer_waited_for() -> None:
    async def scenario() -> None:
        door = Asking()
        answers = await door.session.answers(asking(sample(DEPOSIT), "AL", "AL"))
        answers.later[0].dropped("gone")
        assert door.deposits.outcomes[0].cancelled()

    series = 'dmpgw_answers_dropped_total{door="mllp",reason="gone"}'
    before = metrics.snapshot().get(series, 0)
    asyncio.run(scenario())
    assert metrics.snapshot()[series] == before + 1


@pytest.mark.parametrize(("accept", "said"), [("AL", "CE"), ("NE", None), ("SU", None), ("ER", "CE")])
def test_a_frame_that_was_not_whole_is_answered_as_its_head_asks(accept: str, said: str | None) -> None:
    raw = Asking().session.refuse("TOO_LARGE", asking(sample(DEPOSIT), accept, "NE")[:600], 33_000_000)
    assert (read_ack(raw).code if raw else None) == said


# -- whoever asks once


@pytest.mark.parametrize(
    ("accept", "application", "outcome", "said"),
    [
        ("AL", "AL", STORED, "AA"),
        ("AL", "AL", REFUSED, "AE"),
        ("AL", "NE", None, "CA"),
        ("AL", "AL", None, "CA"),
        ("NE", "AL", None, "CR"),
        ("NE", "NE", None, "CA"),
        ("NE", "ER", STORED, "CA"),
    ],
)
def test_whoever_asks_once_hears_the_last_word_that_comes_in_time(
    accept: str, application: str, outcome: Outcome | None, said: str
) -> None:
    door = Asking(wait=0.05)
    door.deposits.outcome = outcome
    assert read_ack(asyncio.run(door.session.answer(asking(sample(DEPOSIT), accept, application)))).code == said


# -- withheld until the record has decided


def decided(wait: float = 0.2) -> Asking:
    sources = tuple(msgspec.structs.replace(source, answer=AnswerMode.DECIDED) for source in ADMITTED.sources)
    return Asking(directory=msgspec.structs.replace(ADMITTED, sources=sources), wait=wait)


@pytest.mark.parametrize(
    ("outcome", "answer", "code"),
    [
        (STORED, "AA", None),
        (Outcome(verdict=Verdict.REPLACED), "AA", None),
        (Outcome(verdict=Verdict.DELETED), "AA", None),
        (Outcome(verdict=Verdict.DUPLICATE, first="R0000-sil-valmont"), "AA", None),
        (Outcome(verdict=Verdict.UNCHANGED), "AA", None),
        (REFUSED, "AE", "OPPOSED"),
        (Outcome(verdict=Verdict.REFUSED, problems=(Problem(code="RECORD_CLOSED"),)), "AE", "RECORD_CLOSED"),
        (Outcome(verdict=Verdict.REFUSED, problems=(Problem(code="QUEUE_UNAVAILABLE"),)), "AR", "QUEUE_UNAVAILABLE"),
        (Outcome(verdict=Verdict.PARKED, problems=(Problem(code="INTERNAL"),)), "AR", "PARKED"),
        (
            Outcome(verdict=Verdict.STORED, problems=(Problem(code="PARENT_UNKNOWN", severity=Severity.WARNING),)),
            "AA",
            "PARENT_UNKNOWN",
        ),
    ],
)
def test_a_source_that_waits_for_the_decision_hears_it(outcome: Outcome, answer: str, code: str | None) -> None:
    door = decided()
    door.deposits.outcome = outcome
    found = hear(door, sample(DEPOSIT))
    assert found.first is not None
    assert (found.first.code, codes(found.first), found.later) == (answer, [code] if code else [], [])
    assert found.first.control_id == "SILV-0001"
    if answer == "AE":
        assert found.first.errors[0].condition == "207"


def test_what_is_said_of_the_whole_is_not_said_again_of_each_document() -> None:
    door = decided()
    parts = tuple(
        DocumentOutcome(unique_id=name, verdict=Verdict.REFUSED, problems=(Problem(code=code, document=number),))
        for number, (name, code) in enumerate((("1.2", "RECORD_ABSENT"), ("1.3", "OTHER_CONTENT")))
    )
    door.deposits.outcome = Outcome(verdict=Verdict.REFUSED, problems=(Problem(code="RECORD_ABSENT"),), documents=parts)
    found = hear(door, sample(DEPOSIT))
    assert found.first is not None
    assert codes(found.first) == ["RECORD_ABSENT", "OTHER_CONTENT"]


def test_what_is_not_decided_in_time_is_sent_again() -> None:
    door = decided(wait=0.05)
    found = hear(door, sample(DEPOSIT))
    assert found.first is not None
    assert (found.first.code, codes(found.first)) == ("AR", ["STORE_UNAVAILABLE"])
    assert door.deposits.outcomes[0].cancelled()
    door.deposits.gate = asyncio.Event()
    found = hear(door, sample(DEPOSIT))
    assert found.first is not None
    assert (found.first.code, codes(found.first)) == ("AR", ["QUEUE_UNAVAILABLE"])


def test_enhanced_mode_accepts_before_the_decision_whatever_the_source_s_setting() -> None:
    door = decided()
    door.deposits.outcome = REFUSED
    assert hear(door, asking(sample(DEPOSIT), "AL", "AL")).said == ("CA", ["AE"])


def test_a_source_that_takes_the_durable_answer_waits_for_nothing() -> None:
    door = Asking()
    assert hear(door, sample(DEPOSIT)).said == ("AA", [])
    assert door.deposits.waited == [False]


# -- a charset that is forced


def forced(name: str) -> Asking:
    sources = tuple(msgspec.structs.replace(source, charset=name, charset_forced=True) for source in ADMITTED.sources)
    return Asking(directory=msgspec.structs.replace(ADMITTED, sources=sources))


def written(declared: str, codec: str) -> bytes:
    text = sample(DEPOSIT).decode().replace("\rPV1|1|I|", "\rPV1|1|I|Cœur 5 €").replace("UNICODE UTF-8", declared)
    return text.encode(codec)


@pytest.mark.parametrize("declared", ["UNICODE UTF-8", "8859/1", "code1"])
def test_a_forced_charset_goes_over_what_msh_18_says(declared: str) -> None:
    raw = asyncio.run(forced("8859/15").session.answer(written(declared, "iso-8859-15")))
    found = read_ack(raw)
    assert (found.code, codes(found), found.errors[0].severity) == ("AA", ["CHARSET_FORCED"], "W")
    assert found.errors[0].erl[:3] == ("MSH", "1", "18")
    header = salvage(raw)
    assert header is not None
    assert header.charset == "8859/15"


@pytest.mark.parametrize("declared", ["8859/15", ""])
def test_a_forced_charset_that_is_declared_or_left_out_is_no_warning(declared: str) -> None:
    found = read_ack(asyncio.run(forced("8859/15").session.answer(written(declared, "iso-8859-15"))))
    assert (found.code, codes(found)) == ("AA", [])


def test_a_forced_charset_is_kept_to_strictly() -> None:
    found = read_ack(asyncio.run(forced("UNICODE UTF-8").session.answer(written("8859/15", "iso-8859-15"))))
    assert (found.code, codes(found)) == ("AE", ["CHARSET_INVALID"])


def test_the_table_of_conditions_is_that_of_the_standard() -> None:
    assert {condition.value for condition in Condition} == set(CONDITIONS)
