"""`gateway.queue.port.Queue` on RabbitMQ."""

import asyncio
import os
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.model.lane_day import LanePassed
from gateway.model.outcome import Outcome
from gateway.model.ports import Clock, Unavailable
from gateway.model.submission import Deposit
from gateway.queue import lanes, wire
from gateway.queue.errors import Damaged, KeyMissing, KeysUnusable, Unopened
from gateway.queue.keys import Keys
from gateway.queue.markers import marked_day
from gateway.queue.port import Delivery, Depth
from gateway.queue.rabbitmq.consumer import PREFETCH, Consumer, Share, Taken
from gateway.queue.rabbitmq.door import DoorLimits, DoorSide
from gateway.queue.rabbitmq.link import CallersLoop, LoopThread
from gateway.queue.rabbitmq.marks import Marks
from gateway.queue.rabbitmq.publisher import Message
from gateway.queue.rabbitmq.replies import sealed_reply
from gateway.queue.rabbitmq.serving import Last, Note, Pass, ReportTaker, Requests, Serving, Submit
from gateway.queue.rabbitmq.setup import BrokerUnusable, counts, parameters
from gateway.queue.rabbitmq.workers import Answering, WorkerState, this_worker
from gateway.queue.receipt import shown
from gateway.queue.request import Erasable, EventReply
from gateway.queue.seal import label, open_sealed
from gateway.queue.telling import UNAVAILABLE
from gateway.telemetry import points

_REPORTED: Final = 5
#: How many that could not be opened are kept in mind.
_UNOPENED: Final = 1_000
#: How long the end waits for the broker to see what was acknowledged.
_FLUSH_SECONDS: Final = 2.0


class Settings(DoorLimits, frozen=True, kw_only=True):
    """Limits of the queue on a broker."""

    #: Seconds between two signs of life of a connection.
    heartbeat_seconds: int = 5
    #: Unacknowledged deliveries of a lane at most; in the lane of large ones two.
    prefetch: int = PREFETCH


def _silent(_receipt: str, _reason: str) -> None:
    """Tell nobody."""


def _unheard(*, taken: bool) -> None:
    """Nobody waits: an outcome that does not get back is asked for at the store."""


class RabbitQueue:
    """
    Lanes on a broker. Doors publish from any loop; one thread takes and settles, where this process has a worker.

    Order is the order of confirms within a lane. A publish that timed out before it was sent is withdrawn; one that was sent may
    be there. What cannot be opened stays unacknowledged and comes again after a restart; what no door of ours sealed goes to the
    queue of what was given up.

    Args:
        url: The broker.
        keys: The keys of this machine.
        settings: Limits; the defaults if None.
        share: Which lanes this process takes; None: it has no worker.
        unopened: Called with receipt id and class of error for each deposit that cannot be opened.
        loop: Whose loop the connections live on: the caller's own, which publishes; None: on a thread beside everybody.
    """

    def __init__(
        self,
        url: str,
        keys: Keys,
        settings: Settings | None = None,
        *,
        share: Share | None = None,
        unopened: Callable[[str, str], None] = _silent,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Begin to connect; nothing is waited for."""
        self._url = url
        self._keys = keys
        self._settings = settings or Settings()
        self._unopened_seen: Callable[[str, str], None] = lambda receipt, reason: unopened(shown(receipt), reason)
        self._lock = threading.Lock()
        self._in_hand: dict[int, Taken] = {}
        #: By receipt why; what came by an earlier channel comes again, and is told again.
        self._unopened: dict[str, tuple[str, int]] = {}
        self._marks = Marks()
        self._closed = False
        parameters(url, name="")  # a bad URL leaves no thread behind
        name, heartbeat = f"dmp-gateway {os.getpid()}-{secrets.token_hex(2)}", self._settings.heartbeat_seconds
        role = "door" if share is None else share.role
        self._thread = LoopThread("broker", role) if loop is None else CallersLoop(loop, role)
        #: Deposits, requests and reports of this process.
        self.door = DoorSide(self._thread, url, keys, self._settings, name=name, heartbeat=heartbeat)
        self._name, self._role = name, role
        self._asked: Consumer | None = None
        self._reported: Consumer | None = None
        self._share = share or Share()
        self._consumer: Consumer | None = None
        if share is not None:
            self._consumer = Consumer(
                self._thread,
                url,
                share.own(),
                share.others(),
                name=f"{name} consume",
                heartbeat=heartbeat,
                prefetch=self._settings.prefetch,
                standby_seconds=share.standby_seconds,
                role=role,
            )

    # -- doors

    async def publish(self, deposit: Deposit, *, waits: bool = True) -> Awaitable[Outcome]:
        """Make a deposit durable; return once the broker has confirmed it. See `Queue.publish`."""
        return await self.door.publish(deposit, waits=waits)

    # -- worker

    def take(self, limit: int, byte_limit: int, wait_seconds: float) -> list[Delivery]:
        """Hand out the next deposits, each lane in its order; nothing is acknowledged. See `Queue.take`."""
        consumer = self._taking()
        deadline = time.monotonic() + wait_seconds
        with self._lock:
            if self._in_hand:
                raise RuntimeError("the batch before is not settled")
        while taken := consumer.next(limit, byte_limit, deadline):
            try:
                batch, left = self._open(consumer, taken)
                if batch:
                    points.reach("queue.taken")
                    if left:
                        consumer.give_back(left)
                    return batch
            except BaseException:
                with self._lock:
                    self._in_hand.clear()
                self._marks.drop(taken)
                consumer.give_back(taken)
                raise
        return []

    def _taking(self) -> Consumer:
        if self._closed:
            raise Unavailable(UNAVAILABLE)
        if self._consumer is None:
            raise RuntimeError("this process has no worker")
        return self._consumer

    def _open(self, consumer: Consumer, batch: Sequence[Taken]) -> tuple[list[Delivery], Sequence[Taken]]:
        """Open deliveries and take them in hand; what is left is too large beside them, what cannot be opened stays there."""
        opened, size = list[Delivery](), 0
        for place, taken in enumerate(batch):
            if size > wire.TOGETHER_LIMIT_BYTES:
                return opened, batch[place:]
            try:
                opened_bytes = open_sealed(taken.body, keys=self._keys, lane=taken.lane, receipt=taken.receipt)
                day = marked_day(opened_bytes, label(taken.body).day)
                if day is not None:
                    points.reach("broker.marker.taken")
                    self._marks.take(taken, day)
                    continue
                deposit = wire.decode(opened_bytes)
                if deposit.reception.receipt != taken.receipt:
                    raise Damaged("another receipt inside")
            except Unopened as reason:
                if isinstance(reason, Damaged):
                    consumer.dead_letter(taken)
                else:
                    self._marks.keep(taken, label(taken.body).day if isinstance(reason, KeyMissing) else None)
                self._remember(taken, type(reason).__name__)
                self._unopened_seen(taken.receipt, type(reason).__name__)
                continue
            with self._lock:
                self._in_hand[taken.id] = taken
            opened.append(Delivery(id=taken.id, receipt=taken.receipt, lane=taken.lane, size=len(taken.body), deposit=deposit))
            size += sum(map(len, deposit.parts))
        return opened, ()

    def _remember(self, taken: Taken, why: str) -> None:
        """Keep in mind what could not be opened, up to a number: whoever writes to the broker decides how many there are."""
        with self._lock:
            self._unopened[taken.receipt] = (why, taken.epoch)
            while len(self._unopened) > _UNOPENED:
                del self._unopened[next(iter(self._unopened))]

    def settle(self, settled: Sequence[tuple[Delivery, Outcome]]) -> None:
        """Acknowledge deliveries, then send their outcomes to whoever waits. See `Queue.settle`."""
        if not settled:
            return
        consumer = self._taking()
        outcomes = {delivery.id: outcome for delivery, outcome in settled}
        with self._lock:
            if not outcomes.keys() <= self._in_hand.keys():
                raise ValueError("a delivery is settled that is not in hand")
            gone = [self._in_hand[each] for each in outcomes]
        points.reach("queue.settle.written")
        with self._lock:
            for each in outcomes:
                del self._in_hand[each]
        consumer.acknowledge(gone)
        points.reach("queue.settle.committed")
        for taken in gone:
            if taken.reply_to:
                self._reply(taken, outcomes[taken.id])

    # -- markers: `gateway.queue.markers.Marked`

    @property
    def marked_lanes(self) -> tuple[str, ...]:
        """The lanes that a day must have passed before its keys may go."""
        return lanes.MARKED

    def mark(self, lanes: Sequence[str], day: int) -> tuple[str, ...]:
        """Put the marker of a day into lanes; see `Marked.mark`."""
        return asyncio.run(self.door.mark(lanes, day))

    def erasable(self) -> Erasable:
        """Ask a worker which keys may go; see `DoorSide.erasable`."""
        return asyncio.run(self.door.erasable())

    def passed(self) -> tuple[LanePassed, ...]:
        """Return the days that lanes have passed; see `Marked.passed`."""
        consumer = self._consumer
        if consumer is None or not self._marks.any(consumer.epoch):
            return ()
        with self._lock:
            in_hand = list(self._in_hand.values())
        ready = self._marks.ready(consumer.epoch, self._keys.today(), in_hand)
        # What was settled before them is gone at the broker too: else it could be delivered again after its key.
        if not ready or not consumer.flush(_FLUSH_SECONDS):
            return ()
        points.reach("broker.marker.passed")
        days: dict[str, int] = {}
        for taken, day in ready:
            if taken.epoch == consumer.epoch:
                days[taken.lane] = max(day, days.get(taken.lane, -1))
        return tuple(LanePassed(lane=lane, day=day) for lane, day in days.items())

    def settle_passed(self, passed: Sequence[LanePassed]) -> None:
        """Acknowledge the markers of what is on record; see `Marked.settle_passed`."""
        points.reach("broker.marker.settled")
        self._taking().acknowledge(self._marks.of(passed))

    def give_up(self, through: int) -> int:
        """
        Hand what cannot be opened to the queue of what was given up, where every lane has passed its day.

        Nobody was told that we have it: it came behind the marker of its day, or was settled before.

        Args:
            through: The last day that every lane has passed.

        Returns:
            How many deliveries.
        """
        late = self._marks.late(through)
        for taken in late:
            self._taking().dead_letter(taken)
            with self._lock:
                self._unopened.pop(taken.receipt, None)
        return len(late)

    def _reply(self, taken: Taken, outcome: Outcome) -> None:
        """Send an outcome back; one that cannot be sent is asked for at the store."""
        try:
            body = sealed_reply(EventReply(outcome=outcome), keys=self._keys, receipt=taken.receipt)
        except KeysUnusable:
            return
        points.reach("broker.reply")
        self.door.publisher.send(Message(taken.reply_to or "", taken.receipt, body, _unheard, exchange="", persistent=False))

    def serve(
        self, clock: Clock, submit: Submit, note: Note, *, passing: Pass = lambda _: False, last: Last = Erasable
    ) -> "Serving":
        """
        Take requests and reports beside the batches, until `stop` of what is returned.

        Args:
            clock: A request whose deadline has passed is not begun.
            submit: Applies an event; raises `Unavailable`.
            note: Writes a rejection down when there is time.
            passing: Puts on record that the lane of reports has passed a day.
            last: Tells which keys may go.
        """
        name, heartbeat = self._name, self._settings.heartbeat_seconds

        def consumer(lane: str, prefetch: int) -> Consumer:
            named = f"{name} {lane}"
            return Consumer(self._thread, self._url, (lane,), name=named, heartbeat=heartbeat, prefetch=prefetch, role=self._role)

        self._asked, self._reported = consumer(lanes.REQUESTS, 1), consumer(lanes.REPORTS, 100)
        publisher, seen = self.door.publisher, self._unopened_seen
        return Serving(
            Requests(self._asked, publisher, self._keys, clock=clock, submit=submit, unopened=seen, last=last),
            ReportTaker(self._reported, self._keys, note, seen, passing),
            Answering(self._thread, self._url, self._keys, self.state, name=f"{name} workers", heartbeat=heartbeat),
        )

    # -- operator

    def depth(self) -> tuple[Depth, ...]:
        """Return what every lane that carries deposits holds. See `Queue.depth`."""
        try:
            ready = counts(self._url)
        except BrokerUnusable:
            raise Unavailable(UNAVAILABLE) from None
        held: dict[str, list[str]] = {}
        if self._consumer is not None:
            held = self._consumer.held()
            kept = self._marks.kept(self._consumer.epoch)
            with self._lock:
                kept += self._in_hand.values()
            for taken in kept:
                held.setdefault(taken.lane, []).append(taken.received_at)
        return tuple(
            Depth(lane=lane, waiting=ready.get(lane, 0) + len(held.get(lane, ())), oldest=min(held.get(lane, ()), default=None))
            for lane in lanes.CARRYING
        )

    def state(self) -> WorkerState:
        """Return what this worker has in its hands, and what keeps it from its work. Called on the broker's loop."""
        consumers = [each for each in (self._consumer, self._asked, self._reported) if each is not None]
        takes = (lane for each in consumers for lane in each.takes)
        return this_worker(self._name, self._share, takes, self.unacknowledged(), self.problem())

    def unacknowledged(self) -> list[tuple[str, str]]:
        """Return lane and receipt of everything that this worker was given and has not acknowledged."""
        consumers = (each for each in (self._consumer, self._asked, self._reported) if each is not None)
        return [one for each in consumers for one in each.unacknowledged()]

    def stopped_by(self) -> list[str]:
        """Return what keeps this process from publishing and taking, in codes; single lanes and deposits are none of it."""
        state = self.door.publisher.state()
        found = []
        if self.door.keys_failed:
            found.append("cannot seal: keys unusable")
        if not state.connected:
            found.append(f"broker away: {self.door.publisher.link.problem}")
        if state.blocked:
            found.append("broker blocked: it has an alarm (memory or disk)")
        if self._consumer is not None and not self._consumer.link.is_open:
            found.append(f"nothing is taken: {self._consumer.link.problem}")
        return found

    def problem(self) -> str | None:
        """Return what keeps the queue from its work, in ids and codes, or None. See `Queue.problem`."""
        found = self.stopped_by()
        if refused := self.door.publisher.state().refused:
            found.append(f"broker refuses: {refused}")
        if missing := self.missing_lanes():
            found.append(f"lanes missing: {', '.join(missing)} (`dmp-gateway queue setup` makes them)")
        with self._lock:
            epoch = self._consumer.epoch if self._consumer is not None else 0
            unopened = {receipt: why for receipt, (why, by) in self._unopened.items() if by == epoch}
            if unopened:
                named = [f"{shown(receipt)} ({why})" for receipt, why in unopened.items()]
                more = f" and {len(named) - _REPORTED} more" if len(named) > _REPORTED else ""
                found.append(f"cannot open: {', '.join(named[:_REPORTED])}{more}")
        return "; ".join(found) or None

    def missing_lanes(self) -> tuple[str, ...]:
        """Return the lanes that this process takes from and that are not on the broker."""
        consumers = (each for each in (self._consumer, self._asked, self._reported) if each is not None)
        return tuple(sorted(set().union(*(each.missing for each in consumers))))

    def connected(self, seconds: float) -> bool:
        """Wait until this process can publish, and take where it has a worker; tell whether it can."""
        deadline = time.monotonic() + seconds
        while not (ready := self._ready()) and time.monotonic() < deadline:
            time.sleep(0.01)
        return ready

    def _ready(self) -> bool:
        return self.door.ready and (self._consumer is None or self._consumer.link.is_open)

    def close(self) -> None:
        """Let the waiting go; whatever is unacknowledged comes again. See `Queue.close`."""
        with self._lock:
            closed, self._closed = self._closed, True
        if closed:
            return
        consumers = [each for each in (self._consumer, self._asked, self._reported) if each is not None]
        for consumer in consumers:
            consumer.flush(_FLUSH_SECONDS)
            consumer.close()
        self.door.close()
        for consumer in consumers:
            consumer.link.ended()
        self._thread.stop()
