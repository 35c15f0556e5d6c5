"""
From the bytes of a message to the bytes of its answer: the HL7v2 engine, without a port.

AA is given only for what is durable (a deposit) or committed (an event), AE only for what the content is. Everything else is AR:
the sender sends again (D-2).
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from datetime import datetime, timedelta
from typing import Final, TypeVar, TypeVarTuple, Unpack, assert_never

import msgspec

from gateway.adapters.hl7v2.arrival import Arrival, arrived
from gateway.mappers.hl7v2 import ack, read
from gateway.mappers.hl7v2.header import Header, digest, read_header, salvage
from gateway.mappers.hl7v2.reading import Reading
from gateway.model.event import FileMerge, IdentifierChange, PatientEvent
from gateway.model.outcome import Outcome, Rejection
from gateway.model.place import Place, er7_path
from gateway.model.ports import Clock, Deposits, Events, Receipts, Unavailable
from gateway.model.problem import Answer, Problem, Severity, Unreadable
from gateway.model.problems import CODES
from gateway.model.source import Directory, Source
from gateway.model.submission import Submission
from gateway.model.verdict import Verdict
from gateway.telemetry import events as told
from gateway.telemetry import points

#: A longer message is read in a thread, so that the other connections are heard meanwhile.
_ASIDE_BYTES: Final = 32 * 1024

_Given = TypeVarTuple("_Given")
_Found = TypeVar("_Found")


class _Answered(msgspec.Struct, frozen=True):
    """What is answered to a message."""

    arrival: Arrival
    answer: Answer
    problems: tuple[Problem, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        return _codes(self.problems)


class Session:
    """Answers the messages of a connection, which admits some sources."""

    def __init__(
        self,
        *,
        directory: Directory,
        environment: str,
        deposits: Deposits,
        events: Events,
        receipts: Receipts,
        clock: Clock,
        door: str = "mllp",
        ack_wait_seconds: float = 10.0,
        readers: Executor | None = None,
    ) -> None:
        """
        Take what the session works with.

        Args:
            directory: The sources that the connection admits, and all establishments.
            environment: `production` or `test` (D-17).
            deposits: Where deposits and rejections go.
            events: Where events go.
            receipts: Gives receipt ids.
            clock: The time.
            door: Way in, for receptions, lines and counters.
            ack_wait_seconds: What is not durable or committed by then is answered AR.
            readers: Threads that read large messages; None takes those of the event loop.
        """
        self._directory = directory
        self._environment = environment
        self._deposits = deposits
        self._events = events
        self._receipts = receipts
        self._clock = clock
        self._door = door
        self._wait = ack_wait_seconds
        self._readers = readers

    async def answer(self, payload: bytes) -> bytes:
        """
        Answer one message.

        Args:
            payload: The message without MLLP framing.

        Returns:
            The acknowledgment, without framing, in the message's character set: always one, whatever happens in between.

        Source: ANS Trans. CDA en HL7v2 2.1, interactions-acteurs; D-2.
        """
        points.reach("door.received")
        header = salvage(payload)
        try:
            arrival = self._arrive(header, "", len(payload))
        except Exception as error:  # noqa: BLE001 - same, and not even a receipt could be given
            return self._speechless(header, error)
        try:
            found = await self._judge(arrival, payload)
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender is told to send again
            found = self._failed(arrival, error)
        return self._rendered(found)

    def refuse(self, code: str, head: bytes, size: int) -> bytes:
        """
        Answer a frame that could not be received whole.

        Args:
            code: Why, a code of the table of problems.
            head: Its first bytes.
            size: How many of its bytes were received.

        Returns:
            The acknowledgment, without framing; MSA-2 is empty where not even an MSH segment could be found.
        """
        header = salvage(head)
        arrival = self._arrive(header, "", size)
        if header is not None and arrival.source is None:
            return self._rendered(self._not_admitted(arrival))
        self._tell_received(arrival)
        if CODES[code].answer is Answer.AR:
            return self._rendered(self._deferred(arrival, code))
        return self._rendered(self._rejected(arrival, (Problem(code=code),)))

    async def _judge(self, arrival: Arrival, payload: bytes) -> _Answered:
        source = arrival.source
        if arrival.header is not None and source is None:
            return self._not_admitted(arrival)
        summed = await self._aside(len(payload), digest, payload)
        arrival = msgspec.structs.replace(arrival, reception=msgspec.structs.replace(arrival.reception, message_digest=summed))
        try:
            header, message = await self._aside(len(payload), read_header, payload, source.charset if source else None)
        except Unreadable as unreadable:
            self._tell_received(arrival)
            return self._rejected(arrival, unreadable.problems)
        source = self._directory.source(header.application, header.facility)
        if source is None:
            return self._not_admitted(msgspec.structs.replace(arrival, header=header))
        arrival = self._known(arrival, header, source)
        self._tell_received(arrival)
        try:
            reading = await self._aside(len(payload), read.read, message, header, source, self._directory, self._environment)
        except Unreadable as unreadable:
            return self._rejected(arrival, unreadable.problems)
        points.reach("door.read")
        match reading.content:
            case Submission():
                return await self._deposited(arrival, reading.content, reading)
            case PatientEvent() | IdentifierChange() | FileMerge():
                return await self._submitted(arrival, reading.content, reading)
            case Rejection():
                return self._turned_away(arrival, reading.content, reading)
            case _:
                assert_never(reading.content)

    async def _aside(self, size: int, work: Callable[[Unpack[_Given]], _Found], *given: *_Given) -> _Found:
        """Do what takes as long as the message is large: for a large one in a thread of the readers."""
        if size <= _ASIDE_BYTES:
            return work(*given)
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *given)

    async def _deposited(self, arrival: Arrival, submission: Submission, reading: Reading) -> _Answered:
        begun = self._clock.now()
        try:
            async with asyncio.timeout(self._wait):
                await self._deposits.publish(arrival.reception, submission, reading.parts)
        except Unreadable as unreadable:
            rejection = Rejection(
                verdict=Verdict.REJECTED,
                document_ids=tuple(document.entry.unique_id for document in submission.documents),
                act=submission.act,
                problems=unreadable.problems,
            )
            return self._reported(arrival, rejection, Answer.AE, unreadable.problems)
        except (Unavailable, TimeoutError) as error:
            return self._deferred(arrival, error.code if isinstance(error, Unavailable) else "QUEUE_UNAVAILABLE")
        told.DepositAccepted(
            **_who(arrival),
            establishment=arrival.reception.establishment,
            act=submission.act,
            documents=len(submission.documents),
            codes=_codes(reading.problems),
            size=arrival.size,
            seconds=self._since(begun),
        ).emit()
        return _Answered(arrival, Answer.AA, reading.problems)

    async def _submitted(
        self, arrival: Arrival, event: PatientEvent | IdentifierChange | FileMerge, reading: Reading
    ) -> _Answered:
        begun = self._clock.now()
        try:
            async with asyncio.timeout(self._wait):
                outcome = await self._events.submit(arrival.reception, event, begun + timedelta(seconds=self._wait))
        except (Unavailable, TimeoutError) as error:
            return self._deferred(arrival, error.code if isinstance(error, Unavailable) else "STORE_UNAVAILABLE")
        problems = tuple(dict.fromkeys((*reading.problems, *outcome.problems)))
        answer = _answer_of(outcome)
        establishment = arrival.reception.establishment
        if answer is Answer.AR:
            return self._deferred(arrival, next((p.code for p in outcome.problems if _asks_again(p)), "STORE_UNAVAILABLE"))
        if answer is Answer.AE:
            told.EventRefused(
                **_who(arrival), establishment=establishment, verdict=outcome.verdict, codes=_codes(problems)
            ).emit()
        else:
            told.EventApplied(
                **_who(arrival),
                establishment=establishment,
                verdict=outcome.verdict,
                kinds=_kinds(event),
                codes=_codes(problems),
                seconds=self._since(begun),
            ).emit()
        return _Answered(arrival, answer, problems)

    def _turned_away(self, arrival: Arrival, rejection: Rejection, reading: Reading) -> _Answered:
        if reading.answer is Answer.AR:  # an AR is counted, not reported: the message comes again
            told.MessageDeferred(**_who(arrival), codes=_codes(reading.problems)).emit()
            return _Answered(arrival, Answer.AR, reading.problems)
        return self._reported(arrival, rejection, reading.answer, reading.problems)

    def _rejected(self, arrival: Arrival, problems: tuple[Problem, ...]) -> _Answered:
        answer = CODES[problems[0].code].answer if problems else Answer.AE
        return self._reported(arrival, Rejection(verdict=Verdict.REJECTED, problems=problems), answer, problems)

    def _reported(self, arrival: Arrival, rejection: Rejection, answer: Answer, problems: tuple[Problem, ...]) -> _Answered:
        establishment, codes = arrival.reception.establishment, _codes(problems)
        if rejection.verdict is Verdict.IGNORED:
            told.MessageIgnored(**_who(arrival), establishment=establishment, codes=codes).emit()
        else:
            places = tuple(problem.place.outermost.path for problem in problems if problem.place)
            told.MessageRejected(
                **_who(arrival), establishment=establishment, codes=codes, places=places, size=arrival.size
            ).emit()
        try:
            self._deposits.report(arrival.reception, rejection)
        except Exception as error:  # noqa: BLE001 - a list that cannot be kept costs no answer
            told.InternalError.of(error, door=self._door, receipt=arrival.reception.receipt, reason="report").emit()
        return _Answered(arrival, answer, problems)

    def _not_admitted(self, arrival: Arrival) -> _Answered:
        self._tell_received(arrival)
        place = Place(path=er7_path("MSH", 1, 3))
        problem = Problem(code="SOURCE_UNKNOWN", place=place)
        told.MessageDeferred(**_who(arrival), codes=(problem.code,)).emit()
        return _Answered(arrival, Answer.AR, (problem,))

    def _deferred(self, arrival: Arrival, code: str) -> _Answered:
        told.MessageDeferred(**_who(arrival), codes=(code,)).emit()
        return _Answered(arrival, Answer.AR, (Problem(code=code),))

    def _failed(self, arrival: Arrival, error: Exception) -> _Answered:
        happened = told.InternalError.of(
            error, door=self._door, source=arrival.reception.source, receipt=arrival.reception.receipt
        )
        happened.emit()
        problem = Problem(code="INTERNAL", detail=f"reference {happened.reference}")
        told.MessageDeferred(**_who(arrival), codes=(problem.code,), reference=happened.reference).emit()
        return _Answered(arrival, Answer.AR, (problem,))

    def _speechless(self, header: Header | None, error: Exception) -> bytes:
        happened = told.InternalError.of(error, door=self._door, reason="receipt")
        happened.emit()
        problem = Problem(code="INTERNAL", detail=f"reference {happened.reference}")
        return ack.render(header, Answer.AR, (problem,), control_id=happened.reference, at=self._clock.now())

    def _arrive(self, header: Header | None, summed: str, size: int) -> Arrival:
        at = self._clock.now()
        source = self._directory.source(header.application, header.facility) if header else None
        receipt = self._receipts.issue(source.id if source else "unknown", at)
        return arrived(door=self._door, at=at, receipt=receipt, header=header, source=source, digest=summed, size=size)

    def _known(self, arrival: Arrival, header: Header, source: Source) -> Arrival:
        """Return the arrival with the header as it is decoded, and the source that this one names."""
        same = arrival.source is not None and arrival.source.id == source.id
        receipt = arrival.reception.receipt if same else self._receipts.issue(source.id, arrival.at)
        return arrived(
            door=self._door,
            at=arrival.at,
            receipt=receipt,
            header=header,
            source=source,
            digest=arrival.reception.message_digest,
            size=arrival.size,
        )

    def _since(self, instant: datetime) -> float:
        """Return the seconds since an instant; none if the clock was set back meanwhile."""
        return max(0.0, (self._clock.now() - instant).total_seconds())

    def _tell_received(self, arrival: Arrival) -> None:
        told.MessageReceived(**_who(arrival), size=arrival.size, at=arrival.at).emit()

    def _rendered(self, found: _Answered) -> bytes:
        arrival = found.arrival
        told.MessageAnswered(
            receipt=arrival.reception.receipt,
            door=self._door,
            source=arrival.reception.source,
            message=arrival.reception.message_id,
            answer=found.answer,
            codes=found.codes,
            seconds=self._since(arrival.at),
        ).emit()
        return ack.render(
            arrival.header,
            found.answer,
            found.problems,
            control_id=arrival.control_id,
            at=self._clock.now(),
            reference=arrival.reception.receipt,
        )


def _who(arrival: Arrival) -> dict[str, str]:
    """Return the fields that every line about a message has."""
    reception = arrival.reception
    return {
        "receipt": reception.receipt,
        "door": reception.door,
        "source": reception.source,
        "message": reception.message_id,
        "type": reception.message_type,
    }


def _kinds(event: PatientEvent | IdentifierChange | FileMerge) -> tuple[str, ...]:
    """Return what an event stated, for the log and the counters."""
    stated = () if isinstance(event, FileMerge) else event.statements
    return tuple(f"{statement.right}_{statement.position}" for statement in stated)


def _codes(problems: Sequence[Problem]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(problem.code for problem in problems))


def _asks_again(problem: Problem) -> bool:
    return problem.severity is Severity.ERROR and CODES[problem.code].answer is Answer.AR


def _answer_of(outcome: Outcome) -> Answer:
    """Return MSA-1 of an event's outcome: a circumstance is never the content's fault (D-2)."""
    if not outcome.verdict.final or any(map(_asks_again, outcome.problems)):
        return Answer.AR
    if outcome.verdict in {Verdict.REFUSED, Verdict.REJECTED}:
        return Answer.AE
    return Answer.AE if any(problem.severity is Severity.ERROR for problem in outcome.problems) else Answer.AA
