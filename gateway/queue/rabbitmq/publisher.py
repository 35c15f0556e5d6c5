"""Pipelined publishing with confirms: everybody waits for their own message only, and nothing is ever sent twice (D-2)."""

import threading
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Final, Protocol

import msgspec
from pika import BasicProperties, DeliveryMode
from pika.channel import Channel
from pika.frame import Method
from pika.spec import Basic

from gateway.queue.rabbitmq.link import Link, LoopThread
from gateway.queue.rabbitmq.topology import EXCHANGE, RECEIVED_AT
from gateway.telemetry import events, points

#: In flight at once: beyond it the rate grows little and everybody waits longer.
WINDOW_MESSAGES: Final = 100
WINDOW_BYTES: Final = 4 * 1024 * 1024
#: What may wait for the window, in memory.
_WAITING_BYTES: Final = 256 * 1024 * 1024


class Told(Protocol):
    """Who waits for a message's end."""

    def __call__(self, *, taken: bool) -> None:
        """Take note, on the broker's loop, whether the broker has it."""
        ...


class Message:
    """One message on its way, and who is told what became of it."""

    __slots__ = ("body", "exchange", "lane", "persistent", "receipt", "received_at", "reply_to", "sent", "told")

    def __init__(
        self,
        lane: str,
        receipt: str,
        body: bytes,
        told: Told,
        *,
        exchange: str = EXCHANGE,
        reply_to: str | None = None,
        received_at: str | None = None,
        persistent: bool = True,
    ) -> None:
        """
        Keep what is sent.

        Args:
            lane: Routing key.
            receipt: Message id: a returned message is known by it.
            body: Sealed.
            told: Called once on the loop.
            exchange: Where it is routed; the empty one routes to the queue of that name.
            reply_to: Queue that an outcome is wanted in.
            received_at: Instant of reception, in clear: what waits longest is told by it.
            persistent: Written to disk before it is confirmed.
        """
        self.lane = lane
        self.receipt = receipt
        self.body = body
        self.told = told
        self.exchange = exchange
        self.reply_to = reply_to
        self.received_at = received_at
        self.persistent = persistent
        self.sent = False


class State(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with publishing."""

    connected: bool
    #: The broker has an alarm and reads nothing.
    blocked: bool
    waiting: int
    in_flight: int
    #: Why the last messages were not taken; None where they were.
    refused: str | None


class Publisher:
    """
    One connection that only publishes: an alarm of the broker stops it, and must not stop the one that acknowledges.

    Any thread may hand over messages.
    """

    def __init__(self, thread: LoopThread, url: str, *, name: str, heartbeat: int) -> None:
        """Begin to connect."""
        self._thread = thread
        self._lock = threading.Lock()
        # Under the lock.
        self._waiting: deque[Message] = deque()
        self._waiting_bytes = 0
        self._woken = False
        self._closed = False
        # The loop's alone.
        self._channel: Channel | None = None
        self._tag = 0
        self._in_flight: dict[int, Message] = {}
        self._bytes = 0
        self._returned: set[str] = set()
        self._blocked = False
        self._refused: str | None = None
        self.link = Link(thread, url, name, self, heartbeat=heartbeat)

    def send(self, message: Message) -> bool:
        """Hand over a message; False if it cannot be sent now: it is not kept for later."""
        with self._lock:
            size = len(message.body)
            if self._closed or self._channel is None or self._blocked or self._waiting_bytes + size > _WAITING_BYTES:
                return False
            self._waiting.append(message)
            self._waiting_bytes += size
            woken, self._woken = self._woken, True
        if not woken:
            self._thread.call(self._pump)
        return True

    def withdraw(self, message: Message) -> bool:
        """Take a message back that still waits for the window; False if it was sent: then it may be there."""
        with self._lock:
            if message.sent or message not in self._waiting:
                return False
            self._waiting.remove(message)
            self._waiting_bytes -= len(message.body)
            return True

    @property
    def ready(self) -> bool:
        """Whether a message can be sent now."""
        return self._channel is not None and not self._blocked

    def state(self) -> State:
        """Tell how it stands."""
        with self._lock:
            return State(
                connected=self.link.is_open,
                blocked=self._blocked,
                waiting=len(self._waiting),
                in_flight=len(self._in_flight),
                refused=self._refused,
            )

    def close(self) -> None:
        """Take nothing more; what is in flight or waits is told that it failed."""
        with self._lock:
            self._closed = True
        self._thread.call(self.lost)
        self.link.close()

    # -- on the loop

    def opened(self, channel: Channel) -> None:
        """Take a new channel."""
        points.reach("broker.opened")
        channel.add_on_return_callback(self._on_returned)
        channel.confirm_delivery(partial(self._on_confirm, channel), callback=lambda _: self._ready(channel))

    def _ready(self, channel: Channel) -> None:
        self._tag = 0
        with self._lock:
            self._channel = channel

    def lost(self) -> None:
        """Tell everybody: no confirm will come any more (D-2)."""
        with self._lock:
            self._channel = None
            gone = [*self._in_flight.values(), *self._waiting]
            self._waiting.clear()
            self._waiting_bytes = 0
            self._in_flight.clear()
        self._bytes = 0
        self._returned.clear()
        _tell(gone, taken=False)

    def blocked(self, *, by_broker: bool) -> None:
        """Take nothing while the broker reads nothing."""
        with self._lock:
            self._blocked = by_broker

    def _pump(self) -> None:
        with self._lock:
            self._woken = False
        while message := self._next():
            self._tag += 1
            properties = BasicProperties(  # type: ignore[no-untyped-call]
                message_id=message.receipt,
                reply_to=message.reply_to,
                headers=None if message.received_at is None else {RECEIVED_AT: message.received_at},
                delivery_mode=DeliveryMode.Persistent if message.persistent else DeliveryMode.Transient,
            )
            channel = self._channel
            if channel is None or not channel.is_open:  # lost between two: `lost` has been told, or will be
                self._tag -= 1
                _tell([message], taken=False)
                continue
            self._in_flight[self._tag] = message
            self._bytes += len(message.body)
            try:
                points.reach("broker.publish")
                channel.basic_publish(message.exchange, message.lane, message.body, properties, mandatory=True)
            except Exception as failure:  # noqa: BLE001 - nothing of it was sent: it must not count as a tag, or confirms shift
                events.InternalError.of(failure, reason="publish").emit()
                del self._in_flight[self._tag]
                self._bytes -= len(message.body)
                self._tag -= 1
                _tell([message], taken=False)
            else:
                points.reach("broker.published")

    def _next(self) -> Message | None:
        with self._lock:
            if not self._waiting or len(self._in_flight) >= WINDOW_MESSAGES:
                return None
            size = len(self._waiting[0].body)
            if self._in_flight and self._bytes + size > WINDOW_BYTES:
                return None
            message = self._waiting.popleft()
            self._waiting_bytes -= size
            message.sent = True
            return message

    def _on_returned(self, _channel: Channel, returned: Basic.Return, properties: BasicProperties, _body: bytes) -> None:
        """No queue took it: it is acknowledged all the same, right after this."""
        points.reach("broker.returned")
        self._returned.add(str(properties.message_id))
        self._refused = f"{returned.reply_code} {returned.reply_text} ({returned.routing_key})"

    def _on_confirm(self, channel: Channel, frame: "Method[Basic.Ack | Basic.Nack]") -> None:
        """Confirms come in any order and in ranges."""
        if channel is not self._channel:
            return  # of another channel, where the tags meant other messages
        points.reach("broker.confirmed")
        confirm = frame.method
        tags = [tag for tag in self._in_flight if tag <= confirm.delivery_tag] if confirm.multiple else [confirm.delivery_tag]
        taken = isinstance(confirm, Basic.Ack)
        for tag in tags:
            with self._lock:
                message = self._in_flight.pop(tag, None)
            if message is None:
                continue
            self._bytes -= len(message.body)
            here = taken and message.receipt not in self._returned
            if here:
                self._refused = None
            elif not taken:
                self._refused = f"nack ({message.lane})"
            self._returned.discard(message.receipt)
            _tell([message], taken=here)
        points.reach("broker.told")
        if self._waiting:
            self._pump()


def _tell(gone: Iterable[Message], *, taken: bool) -> None:
    """Tell who waits; one that fails keeps nothing from the others."""
    for message in gone:
        try:
            message.told(taken=taken)
        except Exception as failure:  # noqa: BLE001 - the next one's confirm must not be lost with it
            events.InternalError.of(failure, reason="confirm").emit()
