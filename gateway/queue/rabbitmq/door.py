"""What a process with doors does on the broker: deposits confirmed, events asked for, reports on their way."""

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import Awaitable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from gateway.model.base import Model
from gateway.model.event import RecordEvent
from gateway.model.outcome import Outcome, Rejection
from gateway.model.ports import Clock, Unavailable
from gateway.model.submission import Deposit, Reception
from gateway.queue import lanes, wire
from gateway.queue.errors import KeysUnusable
from gateway.queue.keys import Keys
from gateway.queue.markers import sealed_marker
from gateway.queue.rabbitmq.link import LoopThread
from gateway.queue.rabbitmq.publisher import Message, Publisher
from gateway.queue.rabbitmq.replies import Replies
from gateway.queue.request import ASK_ERASABLE, Erasable, EventRequest, Report, encode
from gateway.queue.seal import SEALED_LIMIT_BYTES, label, seal
from gateway.queue.telling import UNAVAILABLE, give, on_loops
from gateway.telemetry import points

#: A deposit over this many bytes is packed and sealed beside the loop, not on it.
_ASIDE_BYTES: Final = 256 * 1024
#: Rejections that wait for the broker; more are dropped and counted (ARCHITECTURE.md).
REPORTS_LIMIT: Final = 10_000
#: How many of them are on their way at once: nobody waits for them, and they must not keep a deposit waiting.
_REPORTS_IN_FLIGHT: Final = 10
#: After so long what could not be sent is tried again.
_AGAIN_SECONDS: Final = 1.0
#: How long a request that could not be asked for is said to be kept from: the store's answer is what is missing.
_NO_ANSWER: Final = "STORE_UNAVAILABLE"


class DoorLimits(Model, frozen=True, kw_only=True):
    """Limits of publishing."""

    #: Sealed bytes of one deposit (D-11).
    sealed_limit_bytes: int = SEALED_LIMIT_BYTES
    #: Silence after which a publish counts as failed (D-2).
    confirm_timeout_seconds: float = 10.0


class DoorSide:
    """
    Publishing from any loop, on two connections: one that publishes, one that takes replies.

    Args:
        thread: Where the connections live.
        url: The broker.
        keys: The keys of this machine.
        limits: Of publishing.
        name: Shown in the broker's list of connections.
        heartbeat: Seconds.
    """

    def __init__(self, thread: LoopThread, url: str, keys: Keys, limits: DoorLimits, *, name: str, heartbeat: int) -> None:
        """Begin to connect."""
        self._keys = keys
        self._limits = limits
        self._closed = False
        self.keys_failed = False
        self.publisher = Publisher(thread, url, name=f"{name} publish", heartbeat=heartbeat)
        self.replies = Replies(thread, url, keys, name=f"{name} replies", heartbeat=heartbeat)
        self.reports = Reports(self.publisher, keys, thread)

    @property
    def ready(self) -> bool:
        """Whether messages can be sent and replies taken."""
        return self.publisher.ready and self.replies.queue is not None

    async def publish(self, deposit: Deposit, *, waits: bool = True) -> Awaitable[Outcome]:
        """Make a deposit durable; see `gateway.queue.port.Queue.publish`."""
        lane, sealed = await self._sealed(deposit)
        receipt = deposit.reception.receipt
        outcome: asyncio.Future[Outcome]
        outcome = self.replies.expect(receipt) if waits else asyncio.get_running_loop().create_future()
        try:
            points.reach("queue.publish.begun")
            reply_to = self.replies.queue if waits else None
            await self._confirmed(lane, receipt, sealed, reply_to=reply_to, received_at=deposit.reception.received_at)
            points.reach("queue.publish.committed")
            self._require_day(sealed)
        except BaseException:
            outcome.cancel()
            raise
        return outcome

    async def submit(self, reception: Reception, event: RecordEvent, deadline: datetime, clock: Clock) -> Outcome:
        """
        Have an event applied by whichever worker is free; return once it is committed (D-2).

        Raises:
            Unavailable: no answer before the deadline; it is not begun after it, and one that was begun may commit: harmless.
        """
        seconds = (deadline - clock.now()).total_seconds()
        made = encode(EventRequest(reception=reception, event=event, deadline=deadline))
        sealed = self._seal(lanes.REQUESTS, reception.receipt, made)
        answer = self.replies.expect(reception.receipt)
        try:
            points.reach("broker.request.begun")
            async with asyncio.timeout(max(seconds, 0)):
                await self._confirmed(
                    lanes.REQUESTS, reception.receipt, sealed, reply_to=self.replies.queue, received_at=None, persistent=False
                )
                points.reach("broker.request.waited")
                return await answer
        except TimeoutError:
            raise Unavailable(_NO_ANSWER) from None
        finally:
            answer.cancel()

    def _require_day(self, sealed: bytes) -> None:
        """Acknowledge nothing that may stand behind the marker of its day: its key will not be waited for (D-7)."""
        if not self._keys.counts(label(sealed).day):
            raise Unavailable(UNAVAILABLE)

    async def mark(self, marked: Sequence[str], day: int) -> tuple[str, ...]:
        """
        Put the marker of a day into lanes, all at once; see `gateway.queue.markers.Marked.mark`.

        Raises:
            KeysUnusable: it cannot be sealed.
        """

        async def put(lane: str) -> bool:
            receipt, sealed = sealed_marker(self._keys, lane, day)
            points.reach("broker.marker.begun")
            try:
                await self._confirmed(lane, receipt, sealed, reply_to=None, received_at=None)
            except Unavailable:
                return False
            points.reach("broker.marker.confirmed")
            return True

        confirmed = await asyncio.gather(*map(put, marked))
        return tuple(lane for lane, there in zip(marked, confirmed, strict=True) if there)

    async def erasable(self) -> Erasable:
        """
        Ask a worker, which has the store, for the last days whose keys may go.

        Raises:
            Unavailable: no answer in time.
        """
        receipt = f"erasable-{secrets.token_hex(8)}"
        sealed = self._seal(lanes.REQUESTS, receipt, ASK_ERASABLE)
        answer = self.replies.expect_erasable(receipt)
        points.reach("broker.erasable.begun")
        try:
            async with asyncio.timeout(self._limits.confirm_timeout_seconds):
                await self._confirmed(
                    lanes.REQUESTS, receipt, sealed, reply_to=self.replies.queue, received_at=None, persistent=False
                )
                points.reach("broker.erasable.waited")
                return await answer
        except TimeoutError:
            raise Unavailable(_NO_ANSWER) from None
        finally:
            answer.cancel()

    async def _confirmed(
        self, lane: str, receipt: str, sealed: bytes, *, reply_to: str | None, received_at: str | None, persistent: bool = True
    ) -> None:
        """Send a message and wait until the broker has it; nothing is ever sent twice."""
        if self._closed:
            raise Unavailable(UNAVAILABLE)
        loop = asyncio.get_running_loop()
        confirmed: asyncio.Future[bool] = loop.create_future()
        message = Message(
            lane,
            receipt,
            sealed,
            lambda *, taken: on_loops([(loop, partial(give, confirmed, taken))]),
            reply_to=reply_to,
            received_at=received_at,
            persistent=persistent,
        )
        if not self.publisher.send(message):
            raise Unavailable(UNAVAILABLE)
        try:
            points.reach("broker.publish.waited")
            async with asyncio.timeout(self._limits.confirm_timeout_seconds):
                taken = await confirmed
        except TimeoutError:
            raise Unavailable(UNAVAILABLE) from None
        finally:
            self.publisher.withdraw(message)
        if not taken:
            raise Unavailable(UNAVAILABLE)

    async def _sealed(self, deposit: Deposit) -> tuple[str, bytes]:
        aside = sum(map(len, deposit.parts)) > _ASIDE_BYTES
        return await asyncio.to_thread(self._pack, deposit) if aside else self._pack(deposit)

    def _pack(self, deposit: Deposit) -> tuple[str, bytes]:
        written = wire.encode(deposit)
        lane = lanes.lane(deposit, len(written))
        return lane, self._seal(lane, deposit.reception.receipt, written)

    def _seal(self, lane: str, receipt: str, written: bytes) -> bytes:
        try:
            sealed = seal(written, keys=self._keys, lane=lane, receipt=receipt, limit=self._limits.sealed_limit_bytes)
        except KeysUnusable:
            self.keys_failed = True
            raise Unavailable(UNAVAILABLE) from None
        self.keys_failed = False
        return sealed

    def close(self) -> None:
        """Let everybody go and close both connections."""
        self._closed = True
        self.publisher.close()
        self.replies.close()
        self.publisher.link.ended()
        self.replies.link.ended()


class Reports:
    """
    Rejections on their way to the store's list: never waited for, kept in memory while the broker is away, up to a number.

    One that was sent and not confirmed is sent again: it is noted once, by its receipt.
    """

    def __init__(self, publisher: Publisher, keys: Keys, thread: LoopThread) -> None:
        """Begin with none."""
        self._publisher = publisher
        self._keys = keys
        self._thread = thread
        self._timed = False
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._in_flight = 0
        self.dropped = 0

    def report(self, reception: Reception, rejection: Rejection) -> None:
        """Let a rejection wait; see `gateway.model.ports.Deposits.report`."""
        with self._lock:
            if len(self._waiting) >= REPORTS_LIMIT:
                self.dropped += 1
                return
            self._waiting.append((reception.receipt, encode(Report(reception=reception, rejection=rejection))))
        self.pump()

    def pump(self) -> None:
        """Send what waits, as far as it can be sent; called again with each confirm, each rejection, and a while later."""
        while True:
            with self._lock:
                if not self._waiting or self._in_flight >= _REPORTS_IN_FLIGHT:
                    return
                if not self._publisher.ready:
                    self._later()
                    return
                receipt, made = self._waiting.popleft()
                self._in_flight += 1
            points.reach("broker.report.begun")
            try:
                sealed = seal(made, keys=self._keys, lane=lanes.REPORTS, receipt=receipt)
                told = partial(self._told, receipt, made, label(sealed).day)
                sent = self._publisher.send(Message(lanes.REPORTS, receipt, sealed, told))
            except KeysUnusable:
                sent = False
            if not sent:
                self._told(receipt, made, self._keys.today(), taken=False)
                return

    def _told(self, receipt: str, made: bytes, sealed_on: int, *, taken: bool) -> None:
        # As for a deposit: what may stand behind the marker of its day is sent again, under today's key.
        taken = taken and self._keys.counts(sealed_on)
        with self._lock:
            self._in_flight -= 1
            if not taken:
                self._waiting.appendleft((receipt, made))
                self._later()
        if taken:
            self.pump()

    def _later(self) -> None:
        """Under the lock: nobody else may come by whom the rest would be sent."""
        if not self._timed:
            self._timed = True
            self._thread.call(lambda: self._thread.loop.call_later(_AGAIN_SECONDS, self._on_time))

    def _on_time(self) -> None:
        with self._lock:
            self._timed = False
        self.pump()
