"""
One message judged: who sends it, what it asks for, and what becomes of that.

AA is given only for what is durable (a deposit) or committed (an event), AE only for what the content is. Everything else is AR:
the sender sends again (D-2).
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar, TypeVarTuple, Unpack, assert_never

import msgspec

from gateway.adapters.hl7v2 import modes
from gateway.adapters.hl7v2.arrival import Arrival, arrived
from gateway.adapters.hl7v2.outcomes import answer_of, asks_again, codes_of, decided, kinds_of, problems_of, who
from gateway.mappers.hl7v2 import read
from gateway.mappers.hl7v2.header import Header, digest, read_header
from gateway.mappers.hl7v2.reading import Reading
from gateway.mappers.hl7v2.tokens import Message
from gateway.model.event import FileMerge, IdentifierChange, PatientEvent
from gateway.model.outcome import Outcome, Rejection
from gateway.model.place import Place, er7_path
from gateway.model.ports import Clock, Deposits, Events, Receipts, Unavailable
from gateway.model.problem import Answer, Problem, Unreadable
from gateway.model.problems import CODES
from gateway.model.source import AnswerMode, Directory, Source
from gateway.model.submission import Submission
from gateway.model.verdict import Verdict
from gateway.telemetry import events as told
from gateway.telemetry import points

#: A longer message is read in a thread, so that the other connections are heard meanwhile.
_ASIDE_BYTES: Final = 32 * 1024

_Given = TypeVarTuple("_Given")
_Found = TypeVar("_Found")


class Found(msgspec.Struct, frozen=True):
    """What was found of a message, and what is answered to it."""

    arrival: Arrival
    answer: Answer
    problems: tuple[Problem, ...]
    #: What becomes of a deposit that was made durable, where somebody wants to hear it afterwards.
    outcome: Awaitable[Outcome] | None = None

    @property
    def codes(self) -> tuple[str, ...]:
        """Each code of its problems once."""
        return codes_of(self.problems)

    def once_decided(self, outcome: Outcome) -> "Found":
        """Return what is answered now that the deposit has been decided: what its reader found, and why it was refused."""
        problems = tuple(dict.fromkeys((*self.problems, *problems_of(outcome))))
        return Found(self.arrival, decided(outcome), problems)


class Judge:
    """Judges the messages of those whom a connection admits; see `Session` for what it works with."""

    def __init__(
        self,
        *,
        directory: Directory,
        environment: str,
        deposits: Deposits,
        events: Events,
        receipts: Receipts,
        clock: Clock,
        door: str,
        ack_wait_seconds: float,
        readers: Executor | None,
    ) -> None:
        """Take what it works with."""
        self._directory = directory
        self._environment = environment
        self._deposits = deposits
        self._events = events
        self.receipts = receipts
        self._clock = clock
        self._door = door
        self._wait = ack_wait_seconds
        self._readers = readers

    async def judge(self, arrival: Arrival, payload: bytes) -> Found:
        """
        Judge a message: read it, hand it over, and say what is answered to it. Whatever happens in between is AR.

        Args:
            arrival: Its header and source, as far as they are known yet.
            payload: The message without MLLP framing.
        """
        try:
            return await self._judge(arrival, payload)
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender is told to send again
            return self._failed(arrival, error)

    def refuse(self, arrival: Arrival, *problems: Problem) -> Found:
        """Refuse what could not be received whole; whoever is not admitted is not told why."""
        if arrival.header is not None and arrival.source is None:
            return self._not_admitted(arrival)
        self._tell_received(arrival)
        if CODES[problems[0].code].answer is Answer.AR:
            return self._deferred(arrival, *problems)
        return self._rejected(arrival, problems)

    def put_off(self, arrival: Arrival, code: str) -> Found:
        """Answer AR unread, for a circumstance that the message before it met a moment ago."""
        if arrival.source is None:
            return self._not_admitted(arrival)
        self._tell_received(arrival)
        return self._deferred(arrival, Problem(code=code))

    def arrive(self, header: Header | None, size: int) -> Arrival:
        """Give a message its receipt; what the receipts raise where none can be given."""
        at = self._clock.now()
        source = self._directory.source(header.application, header.facility) if header else None
        receipt = self.receipts.issue(source.id if source else "unknown", at)
        return arrived(door=self._door, at=at, receipt=receipt, header=header, source=source, digest="", size=size)

    async def aside(self, size: int, work: Callable[[Unpack[_Given]], _Found], *given: *_Given) -> _Found:
        """Do what takes as long as the message is large: for a large one in a thread of the readers."""
        if size <= _ASIDE_BYTES:
            return work(*given)
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *given)

    def since(self, instant: datetime) -> float:
        """Return the seconds since an instant; none if the clock was set back meanwhile."""
        return max(0.0, (self._clock.now() - instant).total_seconds())

    async def _judge(self, arrival: Arrival, payload: bytes) -> Found:
        source = arrival.source
        if arrival.header is not None and source is None:
            return self._not_admitted(arrival)
        summed = await self.aside(len(payload), digest, payload)
        arrival = msgspec.structs.replace(arrival, reception=msgspec.structs.replace(arrival.reception, message_digest=summed))
        try:
            header, message = await self.aside(len(payload), partial(_read, source), payload)
        except Unreadable as unreadable:
            self._tell_received(arrival)
            return self._rejected(arrival, unreadable.problems)
        source = self._directory.source(header.application, header.facility)
        if source is None:
            return self._not_admitted(msgspec.structs.replace(arrival, header=header))
        arrival = self._known(arrival, header, source)
        self._tell_received(arrival)
        try:
            reading = await self.aside(len(payload), read.read, message, header, source, self._directory, self._environment)
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

    async def _deposited(self, arrival: Arrival, submission: Submission, reading: Reading) -> Found:
        begun = self._clock.now()
        asked = modes.enhanced(arrival.header)
        withheld = asked is None and arrival.source is not None and arrival.source.answer is AnswerMode.DECIDED
        waits = withheld or (asked is not None and asked.application_wanted)
        outcome: Awaitable[Outcome] | None = None
        taken: Outcome | None = None
        try:
            async with asyncio.timeout(self._wait):
                outcome = await self._deposits.publish(arrival.reception, submission, reading.parts, waits=waits)
                self._tell_accepted(arrival, submission, reading, begun)
                taken = await outcome if withheld else None
        except Unreadable as unreadable:
            rejection = Rejection(
                verdict=Verdict.REJECTED,
                document_ids=tuple(document.entry.unique_id for document in submission.documents),
                act=submission.act,
                problems=unreadable.problems,
            )
            return self._reported(arrival, rejection, Answer.AE, unreadable.problems)
        except (Unavailable, TimeoutError) as error:
            code = "QUEUE_UNAVAILABLE" if outcome is None else "STORE_UNAVAILABLE"
            return self._deferred(arrival, Problem(code=error.code if isinstance(error, Unavailable) else code))
        found = Found(arrival, Answer.AA, reading.problems, outcome if waits and not withheld else None)
        return found if taken is None else found.once_decided(taken)

    def _tell_accepted(self, arrival: Arrival, submission: Submission, reading: Reading, begun: datetime) -> None:
        told.DepositAccepted(
            **who(arrival),
            establishment=arrival.reception.establishment,
            act=submission.act,
            documents=len(submission.documents),
            codes=codes_of(reading.problems),
            size=arrival.size,
            seconds=self.since(begun),
        ).emit()

    async def _submitted(self, arrival: Arrival, event: PatientEvent | IdentifierChange | FileMerge, reading: Reading) -> Found:
        begun = self._clock.now()
        try:
            async with asyncio.timeout(self._wait):
                outcome = await self._events.submit(arrival.reception, event, begun + timedelta(seconds=self._wait))
        except (Unavailable, TimeoutError) as error:
            return self._deferred(arrival, Problem(code=error.code if isinstance(error, Unavailable) else "STORE_UNAVAILABLE"))
        problems = tuple(dict.fromkeys((*reading.problems, *outcome.problems)))
        answer = answer_of(outcome)
        establishment = arrival.reception.establishment
        if answer is Answer.AR:
            again = next((problem for problem in outcome.problems if asks_again(problem)), None)
            return self._deferred(arrival, Problem(code=again.code if again else "STORE_UNAVAILABLE"))
        if answer is Answer.AE:
            told.EventRefused(
                **who(arrival), establishment=establishment, verdict=outcome.verdict, codes=codes_of(problems)
            ).emit()
        else:
            told.EventApplied(
                **who(arrival),
                establishment=establishment,
                verdict=outcome.verdict,
                kinds=kinds_of(event),
                codes=codes_of(problems),
                seconds=self.since(begun),
            ).emit()
        return Found(arrival, answer, problems)

    def _turned_away(self, arrival: Arrival, rejection: Rejection, reading: Reading) -> Found:
        if reading.answer is Answer.AR:  # an AR is counted, not reported: the message comes again
            told.MessageDeferred(**who(arrival), codes=codes_of(reading.problems)).emit()
            return Found(arrival, Answer.AR, reading.problems)
        return self._reported(arrival, rejection, reading.answer, reading.problems)

    def _rejected(self, arrival: Arrival, problems: tuple[Problem, ...]) -> Found:
        answer = CODES[problems[0].code].answer if problems else Answer.AE
        return self._reported(arrival, Rejection(verdict=Verdict.REJECTED, problems=problems), answer, problems)

    def _reported(self, arrival: Arrival, rejection: Rejection, answer: Answer, problems: tuple[Problem, ...]) -> Found:
        establishment, codes = arrival.reception.establishment, codes_of(problems)
        if rejection.verdict is Verdict.IGNORED:
            told.MessageIgnored(**who(arrival), establishment=establishment, codes=codes).emit()
        else:
            places = tuple(problem.place.outermost.path for problem in problems if problem.place)
            told.MessageRejected(
                **who(arrival), establishment=establishment, codes=codes, places=places, size=arrival.size
            ).emit()
        try:
            self._deposits.report(arrival.reception, rejection)
        except Exception as error:  # noqa: BLE001 - a list that cannot be kept costs no answer
            told.InternalError.of(error, door=self._door, receipt=arrival.reception.receipt, reason="report").emit()
        return Found(arrival, answer, problems)

    def _not_admitted(self, arrival: Arrival) -> Found:
        self._tell_received(arrival)
        place = Place(path=er7_path("MSH", 1, 3))
        problem = Problem(code="SOURCE_UNKNOWN", place=place)
        told.MessageDeferred(**who(arrival), codes=(problem.code,)).emit()
        return Found(arrival, Answer.AR, (problem,))

    def _deferred(self, arrival: Arrival, *problems: Problem) -> Found:
        told.MessageDeferred(**who(arrival), codes=codes_of(problems)).emit()
        return Found(arrival, Answer.AR, problems)

    def _failed(self, arrival: Arrival, error: Exception) -> Found:
        happened = told.InternalError.of(
            error, door=self._door, source=arrival.reception.source, receipt=arrival.reception.receipt
        )
        happened.emit()
        problem = Problem(code="INTERNAL", detail=f"reference {happened.reference}")
        told.MessageDeferred(**who(arrival), codes=(problem.code,), reference=happened.reference).emit()
        return Found(arrival, Answer.AR, (problem,))

    def _known(self, arrival: Arrival, header: Header, source: Source) -> Arrival:
        """Return the arrival with the header as it is decoded, and the source that this one names."""
        same = arrival.source is not None and arrival.source.id == source.id
        receipt = arrival.reception.receipt if same else self.receipts.issue(source.id, arrival.at)
        return arrived(
            door=self._door,
            at=arrival.at,
            receipt=receipt,
            header=header,
            source=source,
            digest=arrival.reception.message_digest,
            size=arrival.size,
        )

    def _tell_received(self, arrival: Arrival) -> None:
        told.MessageReceived(**who(arrival), size=arrival.size, at=arrival.at).emit()


def _read(source: Source | None, payload: bytes) -> tuple[Header, Message]:
    """Read a message as far as its header, by the character set of its source where that is configured."""
    if source is None:
        return read_header(payload)
    return read_header(payload, source.charset, forced=source.charset_forced)
