"""
What the routes that take deposits and events work with: threads on their side, the doors' ports on the event loop's.

A route reads its format and hands over what it read; what comes back is the record's decision, or 202 for whoever prefers not to
wait, or a refusal. Lines and counters are those of the HL7v2 door.
"""

import asyncio
import concurrent.futures
import hashlib
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn, Protocol, TypeVar

import msgspec

from gateway.adapters.hl7v2.session import Session
from gateway.adapters.http.call import Call, Refused
from gateway.model.event import PatientEvent
from gateway.model.outcome import Outcome, Rejection
from gateway.model.ports import Clock, Deposits, Events, Receipts, Unavailable
from gateway.model.problem import Answer, Problem, Severity, Unreadable
from gateway.model.problems import CODES
from gateway.model.source import Directory
from gateway.model.submission import Reception, Submission
from gateway.model.verdict import Verdict
from gateway.telemetry import events as told
from gateway.telemetry import points

#: When whoever is told 503 or 202 may ask again, in seconds.
RETRY_SECONDS: Final = 5
#: Beyond its own deadline the event loop is not waited for.
_GRACE_SECONDS: Final = 5.0
_LONGEST: Final = 199
#: As many large HL7v2 messages are read at once.
_READERS: Final = 2

_Found = TypeVar("_Found")


class Read(Protocol):
    """What the reader of a format gives: `gateway.mappers.common.reading.Read`."""

    @property
    def content(self) -> Submission | PatientEvent | Rejection:
        """What the request asks for, or why it is refused."""
        ...

    @property
    def parts(self) -> tuple[bytes, ...]:
        """Of a submission: the payload without the spans of its carriers, then its documents."""
        ...

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything for the answer, the deciding one first."""
        ...


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """A good answer: what became of a request, or that it is accepted and not yet decided."""

    receipt: str
    #: 201 for what is new in the record, 200 for what changed nothing or took something away, 202 for what is undecided.
    status: int
    #: None: accepted, not decided yet.
    verdict: Verdict | None
    #: Warnings of reading and deciding, each once.
    problems: tuple[Problem, ...]
    outcome: Outcome | None = None

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Where to ask for the decision of what is undecided (RFC 7240, FHIR R4 async), and when."""
        if self.status != 202:
            return ()
        return (("Content-Location", f"/deposits/{self.receipt}"), ("Retry-After", str(RETRY_SECONDS)))


class Engine:
    """The doors' ports, for threads."""

    def __init__(
        self,
        *,
        deposits: Deposits,
        events: Events,
        receipts: Receipts,
        clock: Clock,
        environment: str,
        loop: asyncio.AbstractEventLoop,
        door: str = "http",
        wait_seconds: float = 10.0,
        waiting_limit: int = 24,
    ) -> None:
        """
        Take what the routes work with.

        Args:
            deposits: Where deposits and rejections go.
            events: Where events go.
            receipts: Gives receipt ids.
            clock: The time.
            environment: `production` or `test` (D-17).
            loop: Where the ports live.
            door: Way in, for receptions, lines and counters.
            wait_seconds: How long an answer waits for the decision before it is 503 (D-16).
            waiting_limit: How many wait at once; one more is told 503 at once, so that health is answered meanwhile.
        """
        self._deposits = deposits
        self._events = events
        self._receipts = receipts
        self.clock = clock
        self.environment = environment
        self._loop = loop
        self.door = door
        self.wait_seconds = wait_seconds
        self._readers = concurrent.futures.ThreadPoolExecutor(_READERS, thread_name_prefix=f"{door}-reader")
        self._room = threading.BoundedSemaphore(waiting_limit)

    @contextmanager
    def exchange(self, call: Call, message_type: str, message_id: str = "") -> "Iterator[Exchange]":
        """
        Receive a request of a source and tell how it was answered.

        Inside: what the mapper raises as `Unreadable` is a rejection; what is no refusal is an error of the program, told by its
        reference alone.

        Args:
            call: The request; its source is the sender.
            message_type: For reception, line and counters: `CDA`, `FHIR^Bundle`…
            message_id: The sender's own id of the request, where the format has one.

        Raises:
            Refused: whatever is not a good answer.
        """
        source, at = call.source, self.clock.now()
        reception = Reception(
            receipt=self._receipts.issue(source.id, at),
            received_at=at.isoformat(timespec="microseconds"),
            door=self.door,
            source=source.id,
            establishment=source.establishment,
            application=source.application,
            facility=source.facility,
            message_id=message_id[:_LONGEST],
            message_type=message_type,
            message_digest=hashlib.sha256(call.body).hexdigest(),
        )
        exchange = Exchange(self, reception, at, len(call.body), wants_async=call.wants_async)
        points.reach("door.received")
        told.MessageReceived(**exchange.who, size=exchange.size, at=at).emit()
        try:
            yield exchange
        except Unreadable as unreadable:
            with exchange.answering():
                exchange.reject(unreadable.problems)
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender is told to send again
            exchange.fail(error)
        finally:
            exchange.tell()

    def answer(self, admitted: Directory, payload: bytes) -> bytes:
        """
        Answer an HL7v2 payload by the engine of the MLLP door.

        Args:
            admitted: The sources that the request may speak for, and all establishments.
            payload: One message, or several.

        Returns:
            The acknowledgment, or several.

        Raises:
            Unavailable: see `run`.
        """
        session = Session(
            directory=admitted,
            environment=self.environment,
            deposits=self._deposits,
            events=self._events,
            receipts=self._receipts,
            clock=self.clock,
            door=self.door,
            ack_wait_seconds=self.wait_seconds,
            readers=self._readers,
        )
        # Durable first, then decided: each has its time.
        return self.run(session.answer(payload), 2 * self.wait_seconds)

    def close(self) -> None:
        """Read no more large messages."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    def run(self, work: Coroutine[Any, Any, _Found], seconds: float | None = None) -> _Found:
        """
        Do something on the event loop and wait for it.

        Args:
            work: Has a deadline of its own.
            seconds: Beyond which, and some grace, it is not waited for; None: `wait_seconds`.

        Raises:
            Unavailable: the loop has ended (DRAINING), or too many wait (OVERLOADED); what `work` raises.
        """
        if not self._room.acquire(blocking=False):
            work.close()
            raise Unavailable("OVERLOADED")
        try:
            try:
                future = asyncio.run_coroutine_threadsafe(work, self._loop)
            except RuntimeError:
                work.close()
                raise Unavailable("DRAINING") from None
            try:
                return future.result((seconds or self.wait_seconds) + _GRACE_SECONDS)
            except concurrent.futures.CancelledError:
                raise Unavailable("DRAINING") from None
            except TimeoutError:
                future.cancel()
                raise Unavailable("STORE_UNAVAILABLE") from None
        finally:
            self._room.release()

    async def publish(
        self, reception: Reception, submission: Submission, parts: tuple[bytes, ...], *, waits: bool
    ) -> Awaitable[Outcome]:
        """Make a deposit durable within the time of an answer; see `Deposits.publish`."""
        try:
            async with asyncio.timeout(self.wait_seconds):
                return await self._deposits.publish(reception, submission, parts, waits=waits)
        except TimeoutError:
            raise Unavailable("QUEUE_UNAVAILABLE") from None

    async def decide(
        self,
        reception: Reception,
        submission: Submission,
        parts: tuple[bytes, ...],
        published: Callable[[], object],
    ) -> Outcome:
        """Make a deposit durable and wait for its outcome, both within the time of an answer (D-16)."""
        begun = self._loop.time()
        outcome = await self.publish(reception, submission, parts, waits=True)
        published()
        try:
            async with asyncio.timeout_at(begun + self.wait_seconds):
                return await asyncio.shield(asyncio.ensure_future(outcome))
        except TimeoutError:
            raise Unavailable("STORE_UNAVAILABLE") from None

    async def submit(self, reception: Reception, event: PatientEvent, deadline: datetime) -> Outcome:
        """Apply an event before the deadline; see `Events.submit`."""
        try:
            async with asyncio.timeout(self.wait_seconds):
                return await self._events.submit(reception, event, deadline)
        except TimeoutError:
            raise Unavailable("STORE_UNAVAILABLE") from None

    def report(self, reception: Reception, rejection: Rejection) -> None:
        """Note a rejection; it never costs an answer."""
        self._loop.call_soon_threadsafe(self._report, reception, rejection)

    def _report(self, reception: Reception, rejection: Rejection) -> None:
        try:
            self._deposits.report(reception, rejection)
        except Exception as error:  # noqa: BLE001 - a list that cannot be kept costs no answer
            told.InternalError.of(error, door=self.door, receipt=reception.receipt, reason="report").emit()


class Exchange:
    """One request of a source, from its reception to its answer."""

    def __init__(self, engine: Engine, reception: Reception, at: datetime, size: int, *, wants_async: bool) -> None:
        """Begin."""
        self._engine = engine
        self.reception = reception
        self.at = at
        self.size = size
        self._wants_async = wants_async
        self._answer = Answer.AR
        self._codes: tuple[str, ...] = ()

    @property
    def who(self) -> dict[str, str]:
        """The fields that every line about the request has."""
        return {
            "receipt": self.reception.receipt,
            "door": self.reception.door,
            "source": self.reception.source,
            "message": self.reception.message_id,
            "type": self.reception.message_type,
        }

    def settle(self, read: Read) -> Settled:
        """
        Hand over what was read and return the decision.

        Args:
            read: What the mapper gave.

        Raises:
            Refused: rejected at the door, refused by the record, or not decided in time (503, Retry-After).
        """
        points.reach("door.read")
        content = read.content
        if isinstance(content, Rejection):
            self.turn_away(content, read.problems)
        try:
            if isinstance(content, Submission):
                return self._deposit(content, read)
            return self._submit(content, read)
        except Unavailable as unavailable:
            self.defer(unavailable.code)

    def reject(self, problems: tuple[Problem, ...]) -> NoReturn:
        """Refuse the whole request for what is wrong in it; noted, without content (D-7)."""
        self.turn_away(Rejection(verdict=Verdict.REJECTED, problems=problems), problems)

    def turn_away(self, rejection: Rejection, problems: tuple[Problem, ...]) -> NoReturn:
        """Refuse what a mapper rejected; see `reject`."""
        deciding = next((p for p in problems if p.severity is Severity.ERROR), None)
        if deciding is not None and CODES[deciding.code].answer is Answer.AR:  # a circumstance: it comes again
            told.MessageDeferred(**self.who, codes=_codes(problems)).emit()
            self._refuse(Answer.AR, problems)
        places = tuple(problem.place.outermost.path for problem in problems if problem.place)
        told.MessageRejected(
            **self.who, establishment=self.reception.establishment, codes=_codes(problems), places=places, size=self.size
        ).emit()
        self._engine.report(self.reception, rejection)
        self._refuse(Answer.AE, problems)

    def defer(self, code: str) -> NoReturn:
        """Ask for the request again, later: a circumstance, not the content (D-2)."""
        told.MessageDeferred(**self.who, codes=(code,)).emit()
        self._refuse(Answer.AR, (Problem(code=code),))

    def fail(self, error: Exception) -> NoReturn:
        """Answer an error of the program by its reference alone."""
        happened = told.InternalError.of(
            error, door=self._engine.door, source=self.reception.source, receipt=self.reception.receipt
        )
        happened.emit()
        told.MessageDeferred(**self.who, codes=("INTERNAL",), reference=happened.reference).emit()
        self._refuse(Answer.AR, (Problem(code="INTERNAL"),), reference=happened.reference)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Let a refusal pass, and nothing else: used where an exception is being turned into one."""
        try:
            yield
        except Refused as refused:
            raise refused from None

    def tell(self) -> None:
        """Tell which answer was given."""
        told.MessageAnswered(
            receipt=self.reception.receipt,
            door=self.reception.door,
            source=self.reception.source,
            message=self.reception.message_id,
            answer=self._answer,
            codes=self._codes,
            seconds=self._seconds(),
        ).emit()

    def _deposit(self, submission: Submission, read: Read) -> Settled:
        def accepted() -> None:
            told.DepositAccepted(
                **self.who,
                establishment=self.reception.establishment,
                act=submission.act,
                documents=len(submission.documents),
                codes=_codes(read.problems),
                size=self.size,
                seconds=self._seconds(),
            ).emit()

        if self._wants_async:
            self._engine.run(self._engine.publish(self.reception, submission, read.parts, waits=False))
            accepted()
            return self._good(Settled(receipt=self.reception.receipt, status=202, verdict=None, problems=read.problems))
        outcome = self._engine.run(self._engine.decide(self.reception, submission, read.parts, accepted))
        return self._decided(outcome, read)

    def _submit(self, event: PatientEvent, read: Read) -> Settled:
        deadline = self.at + timedelta(seconds=self._engine.wait_seconds)
        outcome = self._engine.run(self._engine.submit(self.reception, event, deadline))
        problems = _all(read, outcome)
        if outcome.verdict in {Verdict.REFUSED, Verdict.REJECTED}:
            told.EventRefused(
                **self.who, establishment=self.reception.establishment, verdict=outcome.verdict, codes=_codes(problems)
            ).emit()
        elif outcome.verdict.final and not any(map(_asks_again, problems)):
            told.EventApplied(
                **self.who,
                establishment=self.reception.establishment,
                verdict=outcome.verdict,
                kinds=tuple(f"{statement.right}_{statement.position}" for statement in event.statements),
                codes=_codes(problems),
                seconds=self._seconds(),
            ).emit()
        return self._decided(outcome, read)

    def _decided(self, outcome: Outcome, read: Read) -> Settled:
        problems = _all(read, outcome)
        again = next(filter(_asks_again, problems), None)
        if again is not None:
            self.defer(again.code)
        if outcome.verdict in {Verdict.REFUSED, Verdict.REJECTED}:
            self._refuse(Answer.AE, tuple(sorted(problems, key=lambda problem: problem.severity is not Severity.ERROR)))
        status = _STATUS[outcome.verdict]
        return self._good(
            Settled(receipt=self.reception.receipt, status=status, verdict=outcome.verdict, problems=problems, outcome=outcome)
        )

    def _good(self, settled: Settled) -> Settled:
        self._answer, self._codes = Answer.AA, _codes(settled.problems)
        return settled

    def _refuse(self, answer: Answer, problems: tuple[Problem, ...], *, reference: str = "") -> NoReturn:
        self._answer, self._codes = answer, _codes(problems)
        headers = (("Retry-After", str(RETRY_SECONDS)),) if CODES[problems[0].code].http == 503 else ()
        raise Refused(*problems, headers=headers, receipt=self.reception.receipt, reference=reference)

    def _seconds(self) -> float:
        return max(0.0, (self._engine.clock.now() - self.at).total_seconds())


#: A deposit's status by its verdict; of an event that was applied, too.
_STATUS: Final = {
    Verdict.STORED: 201,
    Verdict.REPLACED: 201,
    Verdict.APPLIED: 201,
    Verdict.DELETED: 200,
    Verdict.DUPLICATE: 200,
    Verdict.UNCHANGED: 200,
    Verdict.IGNORED: 200,
    # Ours, sealed, and not decided: whoever sends it again is told the same.
    Verdict.PARKED: 202,
}


def _codes(problems: Sequence[Problem]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(problem.code for problem in problems))


def _asks_again(problem: Problem) -> bool:
    return problem.severity is Severity.ERROR and CODES[problem.code].answer is Answer.AR


def _all(read: Read, outcome: Outcome) -> tuple[Problem, ...]:
    """Return every problem once: what is told of a document is not told of the submission again."""
    of_documents = [problem for each in outcome.documents for problem in each.problems]
    told_there = {msgspec.structs.replace(problem, document=None) for problem in of_documents}
    of_whole = (problem for problem in outcome.problems if problem not in told_there)
    return tuple(dict.fromkeys((*read.problems, *of_whole, *of_documents)))
