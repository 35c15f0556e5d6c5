"""
From the bytes of a payload to the bytes of its answer: the HL7v2 engine, without a port.

`Session.answers` is for a connection that stays: the answer at once, application acknowledgments later (enhanced mode).
`Session.answer` is for whoever asks once and waits (HTTP): the last word that comes in time.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final

import msgspec

from gateway.adapters.hl7v2 import modes
from gateway.adapters.hl7v2.answers import Answers, Later
from gateway.adapters.hl7v2.judge import Found, Judge
from gateway.mappers.hl7v2 import ack, batch
from gateway.mappers.hl7v2.batch import Bundle
from gateway.mappers.hl7v2.header import Header, salvage
from gateway.model.outcome import Outcome
from gateway.model.ports import Clock, Deposits, Events, Receipts, Unavailable
from gateway.model.problem import Answer, Problem, Unreadable
from gateway.model.source import Directory
from gateway.telemetry import events as told
from gateway.telemetry import points

#: What the next message of a batch would meet as well: it is not waited for again.
_AWAY: Final = frozenset({"QUEUE_UNAVAILABLE", "STORE_UNAVAILABLE", "DRAINING"})
#: In the log, of a message whose sender asked for no answer of its kind.
_UNASKED: Final = "NE"


class _Given(msgspec.Struct, frozen=True):
    """What goes back for one message."""

    first: bytes | None
    later: Later | None = None
    #: What was found of it; None if not even a receipt could be given.
    found: Found | None = None


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
        batch_limit: int = batch.MOST_MESSAGES,
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
            ack_wait_seconds: What is not durable or committed by then is answered AR; where the answer is withheld until the
                record has decided, what is not decided.
            batch_limit: As many messages of one payload are taken.
            readers: Threads that read large messages; None takes those of the event loop.
        """
        self._judge = Judge(
            directory=directory,
            environment=environment,
            deposits=deposits,
            events=events,
            receipts=receipts,
            clock=clock,
            door=door,
            ack_wait_seconds=ack_wait_seconds,
            readers=readers,
        )
        self._clock = clock
        self._door = door
        self._wait = ack_wait_seconds
        self._batch_limit = batch_limit

    async def answers(self, payload: bytes) -> Answers:
        """
        Answer one payload: a message, a batch, or several messages.

        Args:
            payload: What came in one frame, without framing.

        Returns:
            What goes back at once, in the message's character set, and the application acknowledgments that follow. In original
            mode the first is always there, whatever happens in between, and nothing follows. To a batch a batch is answered, to
            several messages their acknowledgments one after another.

        Source: ANS Trans. CDA en HL7v2 2.1, interactions-acteurs; HL7 v2.5 § 2.9, § 2.10.3; D-2.
        """
        bundle, given = await self._taken(payload)
        later = tuple(each.later for each in given if each.later is not None)
        return Answers(self._joined(bundle, [each.first for each in given]), later)

    async def answer(self, payload: bytes) -> bytes:
        """
        Answer one payload once, as whoever waits for one answer needs it (HTTP).

        Args:
            payload: As `answers`.

        Returns:
            Of each message the application acknowledgment where one follows in `ack_wait_seconds` of all, else the first answer:
            always one, even where MSH-15 and MSH-16 ask for none.
        """
        deadline = asyncio.get_running_loop().time() + self._wait
        bundle, given = await self._taken(payload)
        return self._joined(bundle, [await self._last(each, deadline) for each in given]) or b""

    def refuse(self, code: str, head: bytes, size: int) -> bytes | None:
        """
        Answer a frame that could not be received whole.

        Args:
            code: Why, a code of the table of problems.
            head: Its first bytes.
            size: How many of its bytes were received.

        Returns:
            The acknowledgment, without framing; MSA-2 is empty where not even an MSH segment could be found. None if its sender
            asked for none.
        """
        header = salvage(head) or batch.salvaged(head)
        arrival = self._judge.arrive(header, size)
        return self._given(self._judge.refuse(arrival, Problem(code=code))).first

    # -- one payload

    async def _taken(self, payload: bytes) -> tuple[Bundle | None, list[_Given]]:
        points.reach("door.received")
        try:
            bundle = await self._judge.aside(len(payload), batch.cut, payload, self._batch_limit)
        except Unreadable as refused:
            header = batch.salvaged(payload) or salvage(payload)
            return None, [self._refused(header, len(payload), refused.problems)]
        if bundle is None:
            return None, [await self._one(payload)]
        given: list[_Given] = []
        away: str | None = None
        for message in bundle.messages:
            each = await self._one(message, away)
            given.append(each)
            away = away or _away(each)
        return bundle, given

    async def _one(self, payload: bytes, away: str | None = None) -> _Given:
        header = salvage(payload)
        try:
            arrival = self._judge.arrive(header, len(payload))
        except Exception as error:  # noqa: BLE001 - not even a receipt could be given: the sender is told to send again
            return _Given(self._speechless(header, error))
        if away is not None:
            return self._given(self._judge.put_off(arrival, away))
        return self._given(await self._judge.judge(arrival, payload))

    def _refused(self, header: Header | None, size: int, problems: tuple[Problem, ...]) -> _Given:
        """Refuse a batch whole, by one acknowledgment."""
        try:
            arrival = self._judge.arrive(header, size)
        except Exception as error:  # noqa: BLE001 - as above
            return _Given(self._speechless(header, error))
        return self._given(self._judge.refuse(arrival, *problems))

    def _joined(self, bundle: Bundle | None, answers: Sequence[bytes | None]) -> bytes | None:
        if bundle is None:
            return answers[0]
        rest = iter(answers)
        groups = [[ack for _, ack in zip(group.messages, rest, strict=False) if ack is not None] for group in bundle.groups]
        now = self._clock.now()
        seed = b"".join(ack for group in groups for ack in group) or now.isoformat().encode()
        return batch.render(bundle, groups, control_id=hashlib.sha256(seed).hexdigest()[:16].upper(), at=now)

    # -- what goes back

    def _given(self, found: Found) -> _Given:
        """Return what goes back for a message, as its sender asks for it."""
        asked = modes.enhanced(found.arrival.header)
        if asked is None:
            return _Given(self._rendered(found, found.answer), found=found)
        success = found.answer is Answer.AA
        if success and asked.application_wanted:
            first = None
            if asked.accept.wants(success=True):
                first = self._rendered(msgspec.structs.replace(found, problems=()), ack.Accept.CA)
            else:
                self._tell_answered(found, _UNASKED)
            return _Given(
                first, Later(found.outcome, partial(self._application, found, asked), partial(self._drop, found)), found
            )
        if asked.accept.wants(success=success):
            return _Given(self._rendered(found, ack.ACCEPT[found.answer]), found=found)
        if asked.application.wants(success=success):  # a refusal is said once: here, where MSH-15 does not ask for it
            return _Given(self._rendered(found, found.answer), found=found)
        self._tell_answered(found, _UNASKED)
        return _Given(None, found=found)

    async def _last(self, given: _Given, deadline: float) -> bytes | None:
        if given.later is not None:
            try:
                async with asyncio.timeout_at(deadline):
                    last = await given.later.answer()
            except (TimeoutError, Unavailable):
                given.later.dropped("late")
                last = None
            if last is not None:
                return last
        if given.first is not None or given.found is None:
            return given.first
        found = given.found
        if given.later is not None and found.outcome is not None and not _is_done(found):
            found = Found(found.arrival, Answer.AR, (*found.problems, Problem(code="STORE_UNAVAILABLE")))
        return self._written(found, ack.ACCEPT[found.answer])

    def _application(self, found: Found, asked: modes.Enhanced, outcome: Outcome | None) -> bytes | None:
        """Write an application acknowledgment, if one of its kind is wanted."""
        last = found if outcome is None else found.once_decided(outcome)
        if not asked.application.wants(success=last.answer is Answer.AA):
            return None
        arrival = last.arrival
        told.MessageDecided(
            receipt=arrival.reception.receipt,
            door=self._door,
            source=arrival.reception.source,
            message=arrival.reception.message_id,
            answer=last.answer,
            codes=last.codes,
            seconds=self._judge.since(arrival.at),
        ).emit()
        return self._written(last, last.answer, control_id=arrival.later_control_id)

    def _drop(self, found: Found, reason: str) -> None:
        reception = found.arrival.reception
        told.AnswerDropped(
            receipt=reception.receipt, door=self._door, source=reception.source, message=reception.message_id, reason=reason
        ).emit()

    def _rendered(self, found: Found, code: Answer | ack.Accept) -> bytes:
        self._tell_answered(found, code.value)
        return self._written(found, code)

    def _tell_answered(self, found: Found, answer: str) -> None:
        arrival = found.arrival
        told.MessageAnswered(
            receipt=arrival.reception.receipt,
            door=self._door,
            source=arrival.reception.source,
            message=arrival.reception.message_id,
            answer=answer,
            codes=found.codes,
            seconds=self._judge.since(arrival.at),
        ).emit()

    def _written(self, found: Found, code: Answer | ack.Accept, control_id: str = "") -> bytes:
        arrival = found.arrival
        return ack.render(
            arrival.header,
            code,
            found.problems,
            control_id=control_id or arrival.control_id,
            at=self._clock.now(),
            reference=arrival.reception.receipt,
            enhanced=modes.enhanced(arrival.header) is not None,
        )

    def _speechless(self, header: Header | None, error: Exception) -> bytes:
        happened = told.InternalError.of(error, door=self._door, reason="receipt")
        happened.emit()
        problem = Problem(code="INTERNAL", detail=f"reference {happened.reference}")
        return ack.render(header, Answer.AR, (problem,), control_id=happened.reference, at=self._clock.now())


def _away(given: _Given) -> str | None:
    """Return the code of a circumstance that the next message would meet as well."""
    if given.found is None:
        return "STORE_UNAVAILABLE"
    if given.found.answer is not Answer.AR:
        return None
    return next((code for code in given.found.codes if code in _AWAY), None)


def _is_done(found: Found) -> bool:
    """Tell whether the outcome of a deposit is known."""
    outcome = found.outcome
    return isinstance(outcome, asyncio.Future) and outcome.done() and not outcome.cancelled() and outcome.exception() is None
