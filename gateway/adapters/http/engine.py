"""
What the routes that take deposits and events work with: threads on their side, the doors' ports on the event loop's.

A route reads its format and hands over what it read; what comes back is the record's decision, or 202 for whoever prefers not to
wait, or a refusal. Lines and counters are those of the HL7v2 door.
"""

import asyncio
import concurrent.futures
import hashlib
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, TypeVar

from gateway.adapters.hl7v2.session import Session
from gateway.adapters.http.call import Call, Refused
from gateway.adapters.http.exchange import Exchange
from gateway.model.event import PatientEvent
from gateway.model.outcome import Outcome, Rejection
from gateway.model.ports import Clock, Deposits, Events, Receipts, Unavailable
from gateway.model.problem import Unreadable
from gateway.model.source import Directory
from gateway.model.submission import Reception, Submission
from gateway.telemetry import events as told
from gateway.telemetry import points

#: Beyond its own deadline the event loop is not waited for.
_GRACE_SECONDS: Final = 5.0
_LONGEST: Final = 199
#: As many large HL7v2 messages are read at once.
_READERS: Final = 2

_Found = TypeVar("_Found")


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
