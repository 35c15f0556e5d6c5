"""The queues that keep the contract: how each is opened, opened again, and looked into."""

import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pika

from gateway.queue.embedded import EmbeddedQueue, Settings
from gateway.queue.keys import Keys, initialise
from gateway.queue.port import Delivery, Queue
from gateway.queue.rabbitmq import queue as rabbit
from gateway.queue.rabbitmq.consumer import Share
from gateway.queue.rabbitmq.queue import RabbitQueue
from gateway.queue.rabbitmq.setup import counts, lanes_of
from gateway.queue.rabbitmq.topology import EXCHANGE, queue_of
from tests.harness import rabbitmq


class Standing:
    """A clock that stands still."""

    def now(self) -> datetime:
        return datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


class Embedded:
    """One file in a folder of the test."""

    #: What no door of ours sealed stays queued; else it is given up, into a queue of its own.
    keeps_damaged = True
    #: What was written when the queue was closed has been confirmed; else it may be there unconfirmed.
    closing_answers = True
    #: A settle is durable when it returns; else when the broker has read it, which is soon.
    settles_at_once = True
    environment: Mapping[str, str] = MappingProxyType({})

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "queue.db"
        if not (folder / "keys").exists():
            initialise(folder / "keys", Standing())
        self.unopened: list[tuple[str, str]] = []
        self._open: list[Queue] = []

    def open(self, **limits: float) -> Queue:
        """Open the queue, for the first time or after a restart."""
        keys = Keys.open(self.folder / "keys", Standing())
        settings = Settings(**limits)
        queue = EmbeddedQueue(self.path, keys, settings, unopened=lambda *seen: self.unopened.append(seen))
        self._open.append(queue)
        return queue

    def close(self) -> None:
        """Close what a test left open."""
        for queue in self._open:
            queue.close()

    def stored(self) -> bytes:
        """Every byte that the queue holds anywhere, keys apart."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.iterdir()) if path.is_file())

    def rewrite(self, change: Callable[[str, str, bytes], tuple[str, str, bytes]]) -> None:
        """Let somebody change what is queued behind the queue's back: lane, receipt and sealed bytes of each."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            for number, *row in connection.execute("SELECT id, lane, receipt, sealed FROM queued").fetchall():
                connection.execute("UPDATE queued SET lane = ?, receipt = ?, sealed = ? WHERE id = ?", (*change(*row), number))


class Arrived(RabbitQueue):
    """What was confirmed has come from the broker before anybody asks: an embedded file has nothing on its way."""

    def take(self, limit: int, byte_limit: int, wait_seconds: float) -> list[Delivery]:
        if self._closed or self._in_hand:
            return super().take(limit, byte_limit, wait_seconds)
        assert self._consumer is not None
        until = time.monotonic() + 10
        while any(counts(self._url).values()) and time.monotonic() < until:
            time.sleep(0.01)
        self._consumer.flush(5)
        return super().take(limit, byte_limit, wait_seconds + 0.05)


class Rabbit(Embedded):
    """The lanes of a broker, empty at the start."""

    keeps_damaged = False
    closing_answers = False
    settles_at_once = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.broker = rabbitmq.for_contracts()
        self.broker.empty()
        self.environment = {"TEST_AMQP_URL": self.broker.url}

    def open(self, **limits: float) -> RabbitQueue:
        self._left()
        keys = Keys.open(self.folder / "keys", Standing())
        settings = rabbit.Settings(**{"prefetch": 1000} | limits)
        queue = Arrived(self.broker.url, keys, settings, share=Share(), unopened=lambda *seen: self.unopened.append(seen))
        self._open.append(queue)
        assert queue.connected(20), queue.problem()
        return queue

    def close(self) -> None:
        super().close()
        self.broker.empty()

    def _left(self) -> None:
        """Wait until the broker has noticed that the consumer before is gone: then its deliveries are back."""
        until = time.monotonic() + 10
        while any(lane.consumers for lane in lanes_of(self.broker.url)) and time.monotonic() < until:
            time.sleep(0.01)

    def rewrite(self, change: Callable[[str, str, bytes], tuple[str, str, bytes]]) -> None:
        self._left()
        connection = pika.BlockingConnection(pika.URLParameters(self.broker.url))
        try:
            channel = connection.channel()
            for lane, number in counts(self.broker.url).items():
                found = [
                    each for _, each in zip(range(number), channel.consume(queue_of(lane), inactivity_timeout=5), strict=False)
                ]
                channel.cancel()
                for how, properties, sealed in found:
                    to, receipt, changed = change(lane, properties.message_id, sealed)
                    again = pika.BasicProperties(message_id=receipt, headers=properties.headers, delivery_mode=2)
                    channel.basic_publish(EXCHANGE, to, changed, again)
                    channel.basic_ack(how.delivery_tag)
        finally:
            connection.close()

    def given_up(self) -> int:
        return next(lane.ready or 0 for lane in lanes_of(self.broker.url) if lane.lane == "dead")

    def stored(self) -> bytes:
        assert isinstance(self.broker, rabbitmq.Node)
        return b"".join(path.read_bytes() for path in sorted(self.broker.data.rglob("*")) if path.is_file())


BACKENDS = {"embedded": Embedded, "rabbitmq": Rabbit}
