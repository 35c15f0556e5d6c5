"""One request of a source, from its reception to its answer."""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn, Protocol, TypeVar

import msgspec

from gateway.adapters.hl7v2.outcomes import asks_again, codes_of, kinds_of
from gateway.adapters.http.call import Refused
from gateway.model.event import PatientEvent
from gateway.model.outcome import Outcome, Rejection
from gateway.model.ports import Clock, Unavailable
from gateway.model.problem import Answer, Problem, Severity
from gateway.model.problems import CODES
from gateway.model.submission import Reception, Submission
from gateway.model.verdict import Verdict
from gateway.telemetry import events as told
from gateway.telemetry import points

#: When whoever is told 503 or 202 may ask again, in seconds.
RETRY_SECONDS: Final = 5

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


class Ports(Protocol):
    """What an exchange works with: the doors' ports, for threads (`Engine`)."""

    door: str
    clock: Clock
    wait_seconds: float

    def run(self, work: Coroutine[Any, Any, _Found], seconds: float | None = None) -> _Found:
        """Do something on the event loop and wait for it."""
        ...

    async def publish(
        self, reception: Reception, submission: Submission, parts: tuple[bytes, ...], *, waits: bool
    ) -> Awaitable[Outcome]:
        """Make a deposit durable."""
        ...

    async def decide(
        self,
        reception: Reception,
        submission: Submission,
        parts: tuple[bytes, ...],
        published: Callable[[], object],
    ) -> Outcome:
        """Make a deposit durable and wait for its outcome."""
        ...

    async def submit(self, reception: Reception, event: PatientEvent, deadline: datetime) -> Outcome:
        """Apply an event before the deadline."""
        ...

    def report(self, reception: Reception, rejection: Rejection) -> None:
        """Note a rejection."""
        ...


class Exchange:
    """One request of a source, from its reception to its answer."""

    def __init__(self, engine: Ports, reception: Reception, at: datetime, size: int, *, wants_async: bool) -> None:
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
            told.MessageDeferred(**self.who, codes=codes_of(problems)).emit()
            self._refuse(Answer.AR, problems)
        places = tuple(problem.place.outermost.path for problem in problems if problem.place)
        told.MessageRejected(
            **self.who, establishment=self.reception.establishment, codes=codes_of(problems), places=places, size=self.size
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
                codes=codes_of(read.problems),
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
                **self.who, establishment=self.reception.establishment, verdict=outcome.verdict, codes=codes_of(problems)
            ).emit()
        elif outcome.verdict.final and not any(map(asks_again, problems)):
            told.EventApplied(
                **self.who,
                establishment=self.reception.establishment,
                verdict=outcome.verdict,
                kinds=kinds_of(event),
                codes=codes_of(problems),
                seconds=self._seconds(),
            ).emit()
        return self._decided(outcome, read)

    def _decided(self, outcome: Outcome, read: Read) -> Settled:
        problems = _all(read, outcome)
        again = next(filter(asks_again, problems), None)
        if again is not None:
            self.defer(again.code)
        if outcome.verdict in {Verdict.REFUSED, Verdict.REJECTED}:
            self._refuse(Answer.AE, tuple(sorted(problems, key=lambda problem: problem.severity is not Severity.ERROR)))
        status = _STATUS[outcome.verdict]
        return self._good(
            Settled(receipt=self.reception.receipt, status=status, verdict=outcome.verdict, problems=problems, outcome=outcome)
        )

    def _good(self, settled: Settled) -> Settled:
        self._answer, self._codes = Answer.AA, codes_of(settled.problems)
        return settled

    def _refuse(self, answer: Answer, problems: tuple[Problem, ...], *, reference: str = "") -> NoReturn:
        self._answer, self._codes = answer, codes_of(problems)
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


def _all(read: Read, outcome: Outcome) -> tuple[Problem, ...]:
    """Return every problem once: what is told of a document is not told of the submission again."""
    of_documents = [problem for each in outcome.documents for problem in each.problems]
    told_there = {msgspec.structs.replace(problem, document=None) for problem in of_documents}
    of_whole = (problem for problem in outcome.problems if problem not in told_there)
    return tuple(dict.fromkeys((*read.problems, *of_whole, *of_documents)))
