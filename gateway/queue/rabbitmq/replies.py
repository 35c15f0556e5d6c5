"""Outcomes on their way back to the process that published: a queue of its own, as long as it lives (ARCHITECTURE.md)."""

import asyncio
import secrets
import threading
from functools import partial
from typing import Any, Final, cast

from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from gateway.model.outcome import Outcome
from gateway.queue.errors import Unopened
from gateway.queue.keys import Keys
from gateway.queue.rabbitmq.link import Link, LoopThread
from gateway.queue.rabbitmq.topology import PREFIX
from gateway.queue.request import Erasable, EventReply, decode_reply, encode
from gateway.queue.seal import open_sealed, seal
from gateway.queue.telling import UNAVAILABLE, fail, give, on_loops
from gateway.telemetry import points

#: What a reply is sealed for: one that was sealed for a lane opens nowhere else.
REPLIES: Final = "replies"

_Waiting = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


def sealed_reply(reply: EventReply, *, keys: Keys, receipt: str) -> bytes:
    """Return an outcome as it travels."""
    return seal(encode(reply), keys=keys, lane=REPLIES, receipt=receipt)


class Replies:
    """Who waits for which outcome."""

    def __init__(self, thread: LoopThread, url: str, keys: Keys, *, name: str, heartbeat: int) -> None:
        """Begin to connect."""
        self._keys = keys
        self._lock = threading.Lock()
        self._waiting: dict[str, _Waiting] = {}
        self._queue: str | None = None
        self._closed = False
        self.link = Link(thread, url, name, self, heartbeat=heartbeat)

    @property
    def queue(self) -> str | None:
        """Where replies are taken now; None while they cannot be."""
        return self._queue

    def expect(self, receipt: str) -> "asyncio.Future[Outcome]":
        """Return what an outcome will be given to; called on the loop of whoever waits."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Outcome] = loop.create_future()
        with self._lock:
            away = self._queue is None
            if not away:
                self._waiting[receipt] = (loop, waiting)
        if away:
            fail(waiting)
            return waiting
        # Whoever waits no longer is not kept in mind.
        waiting.add_done_callback(lambda _: self.forget(receipt))
        return waiting

    def expect_erasable(self, receipt: str) -> "asyncio.Future[Erasable]":
        """Return what the last days whose keys may go will be given to; as `expect`."""
        return cast("asyncio.Future[Erasable]", self.expect(receipt))

    def forget(self, receipt: str) -> None:
        """Wait for an outcome no longer."""
        with self._lock:
            self._waiting.pop(receipt, None)

    def close(self) -> None:
        """Let everybody go."""
        self._closed = True
        self.lost()
        self.link.close()

    # -- on the loop

    def opened(self, channel: Channel) -> None:
        """Make the queue: another one each time, for the broker may still hold the last one for a connection that died."""
        name = f"{PREFIX}.replies.{secrets.token_hex(8)}"

        def consuming(_: object) -> None:
            with self._lock:
                self._queue = None if self._closed else name

        def declared(_: object) -> None:
            points.reach("broker.replies.consume")
            channel.basic_consume(name, self._on_message, auto_ack=True, exclusive=True, callback=consuming)

        points.reach("broker.replies.consume")
        # Somebody deleted it: another channel, another queue, and those who wait know at once.
        channel.add_on_cancel_callback(lambda _: channel.close())
        channel.queue_declare(name, exclusive=True, auto_delete=True, callback=declared)

    def lost(self) -> None:
        """Let everybody go: what comes now comes to a queue that nobody reads."""
        with self._lock:
            self._queue = None
            gone = list(self._waiting.values())
            self._waiting.clear()
        on_loops((loop, partial(fail, future)) for loop, future in gone)

    def blocked(self, *, by_broker: bool) -> None:
        """Nothing is published here."""

    def _on_message(self, _channel: Channel, _how: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        points.reach("broker.reply.received")
        receipt = str(properties.message_id)
        with self._lock:
            waiting = self._waiting.get(receipt)
        if waiting is None:
            return
        try:
            reply = decode_reply(open_sealed(body, keys=self._keys, lane=REPLIES, receipt=receipt))
        except Unopened:
            return  # not a worker of ours: whoever waits goes on waiting
        loop, future = waiting
        told = reply.outcome if reply.outcome is not None else reply.erasable
        if told is not None:
            on_loops([(loop, partial(give, future, told))])
        else:
            on_loops([(loop, partial(fail, future, reply.unavailable or UNAVAILABLE))])
