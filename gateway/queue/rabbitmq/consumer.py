"""Taking deliveries: kept in order until they are acknowledged, one batch in hand, never given back politely (D-9)."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
from pika import BasicProperties
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.spec import Basic

from gateway.queue import lanes
from gateway.queue.rabbitmq.absent import Absent
from gateway.queue.rabbitmq.link import Link, LoopThread
from gateway.queue.rabbitmq.topology import RECEIVED_AT, queue_of
from gateway.telemetry import points

#: Unacknowledged deliveries of a lane at most, by lane; each up to 1 MiB, in `large` up to the cap (D-10).
PREFETCH: Final = 32
PREFETCH_LARGE: Final = 2
#: Fewer deliveries than these wait so long for others, of several senders; within the 50 ms that a batch may (D-13).
_FEW: Final = 16
_GATHER_SECONDS: Final = 0.01
#: After so long a worker stands by for the lanes of the others.
STANDBY_SECONDS: Final = 30.0
#: Waits between two looks whether a queue that is missing is there.
_LOOK_SECONDS: Final = (1.0, 2.0, 5.0)


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Worker `number` of `of`: whose lanes it takes at once; the others' it stands by for."""

    number: int = 0
    of: int = 1
    standby_seconds: float = STANDBY_SECONDS

    @property
    def role(self) -> str:
        """Return its name in the log."""
        return f"worker {self.number + 1}"

    def own(self) -> tuple[str, ...]:
        """Return the lanes to take at once."""
        return tuple(lane for place, lane in enumerate(lanes.CARRYING) if place % self.of == self.number)

    def others(self) -> tuple[str, ...]:
        """Return the lanes to stand by for."""
        own = self.own()
        return tuple(lane for lane in lanes.CARRYING if lane not in own)


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as it came."""

    #: Grows with each; never the same again, in no process.
    id: int
    tag: int
    #: Which channel it came by: on another one the tag means another delivery.
    epoch: int
    lane: str
    receipt: str
    reply_to: str | None
    received_at: str
    body: bytes


class _Unsettled(msgspec.Struct, kw_only=True):
    """What is kept of a delivery until it is acknowledged."""

    lane: str
    receipt: str
    #: Settled, and something before it is not.
    done: bool = False


class Consumer:
    """
    One connection that only consumes.

    Deliveries come on its loop; one thread takes and acknowledges. When the channel is gone, whatever was not acknowledged comes
    again, in order: what waits here is forgotten, what is in hand is found by its receipt when it comes again (D-6).
    """

    def __init__(
        self,
        thread: LoopThread,
        url: str,
        own: Sequence[str],
        others: Sequence[str] = (),
        *,
        name: str,
        heartbeat: int,
        prefetch: int = PREFETCH,
        standby_seconds: float = STANDBY_SECONDS,
        role: str = "worker",
    ) -> None:
        """
        Begin to connect.

        Args:
            thread: Where the connection lives.
            url: The broker.
            own: Lanes to take at once.
            others: Lanes to stand by for.
            name: Shown in the broker's list of connections.
            heartbeat: Seconds.
            prefetch: Unacknowledged deliveries of a lane at most.
            standby_seconds: When to begin to stand by.
            role: Which process it is, for the log.
        """
        self._thread = thread
        self._absent = Absent(role)
        self._own = tuple(own)
        self._others = tuple(others)
        self._prefetch = prefetch
        self._standby_seconds = standby_seconds
        self._changed = threading.Condition()
        # Under `_changed`.
        self._ready: deque[Taken] = deque()
        self._unsettled: dict[int, _Unsettled] = {}
        self._epoch = 0
        self._closed = False
        self._number = time.time_ns()
        self._missing: set[str] = set()
        # The taking thread's alone.
        self._several = False
        # The loop's alone.
        self._channel: Channel | None = None
        self._taken_from: set[str] = set()
        self._looks = 0
        self._looking = False
        self.link = Link(thread, url, name, self, heartbeat=heartbeat)

    @property
    def missing(self) -> frozenset[str]:
        """Lanes that the broker does not give to us: their queue is not there."""
        with self._changed:
            return frozenset(self._missing)

    def next(self, limit: int, byte_limit: int, deadline: float) -> list[Taken]:
        """
        Return the next deliveries in order; none when the time is up or it is closed.

        While several senders are at work, and the batch before was of several, a few wait a moment for more: a transaction costs
        as much for one as for ten. A lone one waits for nobody.

        Args:
            limit: At most so many.
            byte_limit: At most so many bytes, the first one excepted.
            deadline: `time.monotonic` until which a first one is waited for.
        """
        with self._changed:
            while not self._ready and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return []
            few = len(self._ready) < min(limit, _FEW) and not self._closed
        if few and self._several:
            time.sleep(_GATHER_SECONDS)
        with self._changed:
            batch: list[Taken] = []
            size = 0
            while self._ready and len(batch) < limit and not self._closed:
                size += len(self._ready[0].body)
                if batch and size > byte_limit:
                    break
                batch.append(self._ready.popleft())
            self._several = len(batch) > 1
            return batch

    @property
    def epoch(self) -> int:
        """Which channel is open: what came by another one comes again, or has."""
        with self._changed:
            return self._epoch

    def give_back(self, batch: Sequence[Taken]) -> None:
        """Put what was just taken back in front: for the same thread to take again."""
        with self._changed:
            self._ready.extendleft(taken for taken in reversed(batch) if self._is_held(taken))

    def acknowledge(self, settled: Sequence[Taken]) -> None:
        """Acknowledge deliveries: in one go where nothing before them is left; those of a lost channel come again anyway."""
        with self._changed:
            tags = [taken.tag for taken in settled if self._is_held(taken)]
            for tag in tags:
                self._unsettled[tag].done = True
            prefix = 0
            for tag, unsettled in self._unsettled.items():
                if not unsettled.done:
                    break
                prefix = tag
            single = [tag for tag in tags if tag > prefix]
            for tag in [*(tag for tag in self._unsettled if tag <= prefix), *single]:
                del self._unsettled[tag]
            # Under the lock: what is told to the broker leaves in the order in which it was decided here.
            if tags:
                self._thread.call(partial(self._acknowledge, self._epoch, prefix, single))

    def dead_letter(self, taken: Taken) -> None:
        """Hand a delivery that no door of ours sealed to the queue of what was given up: it is in nobody's way there."""
        with self._changed:
            if not self._is_held(taken):
                return
            del self._unsettled[taken.tag]
            self._thread.call(partial(self._reject, taken))

    def _is_held(self, taken: Taken) -> bool:
        """Whether a delivery is unsettled on the present channel; settled twice, a tag would close the channel."""
        return taken.epoch == self._epoch and taken.tag in self._unsettled

    def flush(self, seconds: float) -> bool:
        """Wait until the broker has seen what was acknowledged; tell whether it answered in time."""
        seen = threading.Event()

        def ask() -> None:
            channel = self._channel
            if channel is None or not channel.is_open:
                seen.set()  # nobody to tell: what was acknowledged comes again, and is found by its receipt
            else:
                points.reach("broker.flush")
                channel.basic_qos(prefetch_count=self._prefetch, callback=lambda _: seen.set())

        with self._changed:
            if self._closed:
                return False
        self._thread.call(ask)
        return seen.wait(seconds)

    def held(self) -> dict[str, list[str]]:
        """Return by lane when the deliveries that wait here were received."""
        found: dict[str, list[str]] = {}
        with self._changed:
            for taken in self._ready:
                found.setdefault(taken.lane, []).append(taken.received_at)
        return found

    @property
    def takes(self) -> frozenset[str]:
        """Lanes that are subscribed; the loop's alone to ask."""
        return frozenset(self._taken_from)

    def unacknowledged(self) -> list[tuple[str, str]]:
        """Return lane and receipt of every delivery that is not acknowledged: those that wait here, and those in hand."""
        with self._changed:
            return [(each.lane, each.receipt) for each in self._unsettled.values()]

    def close(self) -> None:
        """Take nothing more and let go of the socket: whatever is unacknowledged comes again, in order."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.link.drop()

    # -- on the loop

    def opened(self, channel: Channel) -> None:
        """Consume the own lanes, and later those of the others; one that is missing keeps nothing from the rest."""
        with self._changed:
            self._epoch += 1
        self._channel = channel
        self._taken_from.clear()
        self._looks, self._looking = 0, False
        channel.add_on_cancel_callback(self._on_cancelled)
        self._ask_for(channel, self._own)
        if self._others:
            self._thread.loop.call_later(self._standby_seconds, self._ask_for, channel, self._others)

    def lost(self) -> None:
        """Forget what waits: it comes again."""
        self._channel = None
        with self._changed:
            self._epoch += 1
            self._ready.clear()
            self._unsettled.clear()

    def blocked(self, *, by_broker: bool) -> None:
        """An alarm of the broker stops only those who publish."""

    def _is_current(self, channel: Channel) -> bool:
        return channel is self._channel and channel.is_open and channel.connection.is_open

    def _ask_for(self, channel: Channel, asked: Sequence[str]) -> None:
        """
        Take from those lanes that are there.

        Each is asked for on another channel: the broker closes one that asks in vain, and what is unacknowledged with it.
        """
        if not self._is_current(channel):
            return
        left = deque(asked)

        def ask(looking: Channel) -> None:
            if left and self._is_current(channel):
                points.reach("broker.looked")
                looking.queue_declare(queue_of(left[0]), passive=True, callback=lambda _: there(looking))
            else:
                if looking.is_open:
                    looking.close()
                self._asked_for(channel)

        def there(looking: Channel) -> None:
            self._consume(channel, left.popleft())
            ask(looking)

        def closed(_looking: Channel, reason: BaseException) -> None:
            if isinstance(reason, ChannelClosedByBroker) and left:
                self._lack(left.popleft())
                self._thread.loop.call_soon(self._ask_for, channel, tuple(left))

        def opened(looking: Channel) -> None:
            looking.add_on_close_callback(closed)
            ask(looking)

        if left:
            channel.connection.channel(on_open_callback=opened)
        else:
            self._asked_for(channel)

    def _consume(self, channel: Channel, lane: str) -> None:
        with self._changed:
            self._missing.discard(lane)
        if lane in self._taken_from or not self._is_current(channel):
            return
        self._taken_from.add(lane)
        points.reach("broker.consume")
        channel.basic_qos(prefetch_count=PREFETCH_LARGE if lane == lanes.LARGE else self._prefetch)
        channel.basic_consume(queue_of(lane), partial(self._on_message, lane, self._epoch), consumer_tag=f"{lane}.{self._epoch}")

    def _lack(self, lane: str) -> None:
        with self._changed:
            self._missing.add(lane)
        self._taken_from.discard(lane)

    def _asked_for(self, channel: Channel) -> None:
        """Say what is missing, and ask for it again after a while."""
        missing = self.missing
        self._absent.look(missing)
        if missing and not self._looking and channel is self._channel:
            self._looking = True
            wait = _LOOK_SECONDS[min(self._looks, len(_LOOK_SECONDS) - 1)]
            self._looks += 1
            self._thread.loop.call_later(wait, self._ask_again, channel)

    def _ask_again(self, channel: Channel) -> None:
        if channel is self._channel:
            self._looking = False
            self._ask_for(channel, sorted(self.missing))

    def _on_message(
        self, lane: str, epoch: int, _channel: Channel, how: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        points.reach("broker.delivered")
        received_at = (properties.headers or {}).get(RECEIVED_AT, "")
        with self._changed:
            if epoch != self._epoch:
                return
            self._number += 1
            taken = Taken(
                id=self._number,
                tag=how.delivery_tag,
                epoch=epoch,
                lane=lane,
                # What is no text was written by a stranger: it opens under no receipt.
                receipt=properties.message_id if isinstance(properties.message_id, str) else "",
                reply_to=properties.reply_to if isinstance(properties.reply_to, str) else None,
                received_at=received_at if isinstance(received_at, str) else "",
                body=body,
            )
            self._unsettled[how.delivery_tag] = _Unsettled(lane=lane, receipt=taken.receipt)
            self._ready.append(taken)
            self._changed.notify_all()

    def _on_cancelled(self, frame: object) -> None:
        method = getattr(frame, "method", None)
        self._lack(str(getattr(method, "consumer_tag", "")).rpartition(".")[0])
        self._looks = 0
        if self._channel is not None:
            self._asked_for(self._channel)

    def _acknowledge(self, epoch: int, prefix: int, single: Sequence[int]) -> None:
        channel = self._channel
        if channel is None or not channel.is_open or epoch != self._epoch:
            return
        points.reach("broker.ack")
        if prefix:
            channel.basic_ack(prefix, multiple=True)
        for tag in single:
            channel.basic_ack(tag)
        points.reach("broker.acked")

    def _reject(self, taken: Taken) -> None:
        if self._channel is not None and self._channel.is_open and taken.epoch == self._epoch:
            points.reach("broker.reject")
            self._channel.basic_reject(taken.tag, requeue=False)
