"""
What each worker has in its hands, asked by an operator: a broker tells neither what waits longest nor, alone, what is handed out.

The question goes to every worker at once (`topology.WORKERS`), the answers to a queue of the asker's. Both are sealed (D-7) and
say lanes, numbers and instants only. Nothing depends on an answer but what an operator is shown.
"""

import os
import secrets
import socket
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

import msgspec
from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from gateway.model.base import Model
from gateway.queue.errors import KeysUnusable, Unopened
from gateway.queue.keys import Keys
from gateway.queue.rabbitmq.consumer import Share
from gateway.queue.rabbitmq.link import Link, LoopThread
from gateway.queue.rabbitmq.topology import EXCHANGE, PREFIX, WORKERS
from gateway.queue.receipt import issued_at
from gateway.queue.seal import open_sealed, seal
from gateway.telemetry import points

ASKED: Final = "workers.asked"
ANSWERED: Final = "workers.answered"
#: Answers go nowhere else: a lane is no place for them.
ANSWERS: Final = f"{PREFIX}.answers."
#: After so long a queue that somebody deleted is made again.
_AGAIN_SECONDS: Final = 1.0


class Holding(Model, frozen=True, kw_only=True):
    """What a worker was given of one lane and has not acknowledged."""

    lane: str
    count: int
    #: Reception of the one that has waited longest, ISO 8601 UTC; None where none of them says.
    oldest: str | None = None


class WorkerState(Model, frozen=True, kw_only=True):
    """One worker's answer."""

    worker: int
    of: int
    host: str
    pid: int
    #: What the names of its connections begin with.
    connection: str
    #: The lanes that it takes from, or stands by for.
    takes: tuple[str, ...] = ()
    holds: tuple[Holding, ...] = ()
    #: What keeps it from its work, in ids and codes.
    problem: str | None = None

    @property
    def name(self) -> str:
        """Return how it is called in a list."""
        return f"worker {self.worker} of {self.of}, pid {self.pid} on {self.host}"


class Answering:
    """
    A worker's ear for the question; it lives as long as the worker.

    Args:
        thread: Where its connection lives.
        url: The broker.
        keys: The keys of this machine.
        state: Tells number and count of the workers, what is held, and what is wrong.
        name: Shown in the broker's list of connections.
        heartbeat: Seconds.
    """

    def __init__(
        self,
        thread: LoopThread,
        url: str,
        keys: Keys,
        state: Callable[[], WorkerState],
        *,
        name: str,
        heartbeat: int,
    ) -> None:
        """Begin to connect."""
        self._keys = keys
        self._state = state
        self._thread = thread
        self._channel: Channel | None = None
        self.link = Link(thread, url, name, self, heartbeat=heartbeat)

    def close(self) -> None:
        """Answer no more."""
        self.link.close()
        self.link.ended()

    # -- on the loop

    def opened(self, channel: Channel) -> None:
        """Listen on another channel: where the broker refuses it, the worker works on and answers nothing."""
        self._channel = channel
        self._listen(channel)

    def _listen(self, channel: Channel) -> None:
        if channel is not self._channel or not channel.is_open or not channel.connection.is_open:
            return
        name = f"{PREFIX}.workers.{secrets.token_hex(8)}"

        def opened(listening: Channel) -> None:
            points.reach("broker.replies.consume")
            listening.add_on_cancel_callback(lambda _: gone(listening))
            listening.queue_declare(name, exclusive=True, auto_delete=True, callback=lambda _: declared(listening))

        def declared(listening: Channel) -> None:
            points.reach("broker.replies.consume")
            listening.queue_bind(name, EXCHANGE, WORKERS, callback=lambda _: bound(listening))

        def bound(listening: Channel) -> None:
            points.reach("broker.replies.consume")
            listening.basic_consume(name, self._on_message, auto_ack=True, exclusive=True)

        def gone(listening: Channel) -> None:
            listening.close()
            self._thread.loop.call_later(_AGAIN_SECONDS, self._listen, channel)

        channel.connection.channel(on_open_callback=opened)

    def lost(self) -> None:
        """Nothing is kept: another queue is made on the next channel."""
        self._channel = None

    def blocked(self, *, by_broker: bool) -> None:
        """An answer that waits for the end of an alarm is none: whoever asked is told of the alarm."""

    def _on_message(self, channel: Channel, _how: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        asked, reply_to = properties.message_id, properties.reply_to
        if not isinstance(asked, str) or not isinstance(reply_to, str) or not reply_to.startswith(ANSWERS):
            return
        try:
            open_sealed(body, keys=self._keys, lane=ASKED, receipt=asked)
            answer = seal(msgspec.json.encode(self._state()), keys=self._keys, lane=ANSWERED, receipt=asked)
        except (Unopened, KeysUnusable):
            return  # nobody of ours asked, or nobody could read the answer
        points.reach("broker.reply")
        # Not by the publisher: whoever asked may be gone, and nobody waits for this one's confirm.
        channel.basic_publish("", reply_to, answer, BasicProperties(message_id=asked))  # type: ignore[no-untyped-call]


def this_worker(
    connection: str, share: Share, takes: Iterable[str], held: Iterable[tuple[str, str]], problem: str | None
) -> WorkerState:
    """
    Return the state of the worker that this process is.

    Args:
        connection: What the names of its connections begin with.
        share: Which worker it is, of how many.
        takes: The lanes that it takes from, or stands by for.
        held: Lane and receipt of every delivery that is not acknowledged.
        problem: What keeps it from its work.
    """
    return WorkerState(
        worker=share.number + 1,
        of=share.of,
        host=socket.gethostname(),
        pid=os.getpid(),
        connection=connection,
        takes=tuple(sorted(takes)),
        holds=holdings(held),
        problem=problem,
    )


def holdings(held: Iterable[tuple[str, str]]) -> tuple[Holding, ...]:
    """Return what is held of each lane, from lane and receipt of every delivery that is not acknowledged."""
    since: dict[str, list[datetime | None]] = {}
    for lane, receipt in held:
        since.setdefault(lane, []).append(issued_at(receipt))
    return tuple(_holding(lane, instants) for lane, instants in sorted(since.items()))


def _holding(lane: str, since: list[datetime | None]) -> Holding:
    oldest = min((each for each in since if each is not None), default=None)
    return Holding(lane=lane, count=len(since), oldest=None if oldest is None else oldest.isoformat(timespec="milliseconds"))
