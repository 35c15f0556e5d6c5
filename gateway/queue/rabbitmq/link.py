"""A connection to the broker that comes back by itself, on a loop of its own or on that of its caller."""

import asyncio
import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel
from pika.exceptions import AMQPError, StreamLostError

from gateway.queue.rabbitmq.presence import Presence
from gateway.queue.rabbitmq.setup import parameters, told
from gateway.telemetry import points

#: Seconds before another try; drawn between half of it and all of it, so that a hundred doors do not come back at once.
_RETRY_SECONDS: Final = (0.2, 0.5, 1.0, 2.0)
#: A channel that lived for so long begins again with the first of them: one that the broker closes at once does not.
_LIVED_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 5.0
#: How long a polite end is waited for.
_POLITE_SECONDS: Final = 2.0


class LoopThread:
    """
    A loop that runs on a thread of its own: the only one that touches connections and channels.

    Args:
        name: Of the thread.
        role: Which process this is, for what is said of its broker: `door`, or `worker` and its number.
    """

    def __init__(self, name: str, role: str = "door") -> None:
        """Start the thread."""
        self.loop = asyncio.new_event_loop()
        #: Told of every loss and return.
        self.presence = Presence(self.loop, role)
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], object]) -> None:
        """Run something on the loop; nothing where the loop is gone."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function)

    def stop(self) -> None:
        """End the thread, after what is due now."""
        self.call(self.presence.end)
        self.call(lambda: self.loop.call_soon(self.loop.stop))
        self._thread.join(_STOP_SECONDS)
        if not self._thread.is_alive():
            self.loop.close()


class CallersLoop(LoopThread):
    """
    The loop that publishes: no thread stands between a session and its confirm, each waiting for the other's turn.

    For a process whose loop never works for long without a pause: it also gives the broker its signs of life.

    Args:
        loop: Runs already, and until after `stop`; made there.
        role: As for a thread of its own.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, role: str = "door") -> None:
        """Take the loop."""
        self.loop = loop
        self.presence = Presence(loop, role)
        self._own = threading.get_ident()

    def call(self, function: Callable[[], object]) -> None:
        """Run something on the loop, after what is due now; nothing where the loop is gone."""
        if threading.get_ident() == self._own:
            self.loop.call_soon(function)
        else:
            super().call(function)

    def stop(self) -> None:
        """Say nothing more of the broker; the loop goes on. From another thread."""
        ended = threading.Event()
        self.call(self.presence.end)
        self.call(ended.set)
        ended.wait(_STOP_SECONDS)


class User(Protocol):
    """What uses a link; called on its loop."""

    def opened(self, channel: Channel) -> None:
        """Take a new channel: nothing that was done on an earlier one counts on it."""
        ...

    def lost(self) -> None:
        """Take note that the channel is gone: no confirm and no acknowledgement will pass it any more."""
        ...

    def blocked(self, *, by_broker: bool) -> None:
        """Take note that the broker reads nothing of this connection for now, or reads it again."""
        ...


class Link:
    """
    One connection with one channel.

    Args:
        thread: Where it lives.
        url: The broker.
        name: Shown in the broker's list of connections.
        user: Told of channels, losses and alarms.
        heartbeat: Seconds.
    """

    def __init__(self, thread: LoopThread, url: str, name: str, user: User, *, heartbeat: int) -> None:
        """Begin to connect."""
        self._thread = thread
        self._parameters = parameters(url, name=name, heartbeat=heartbeat)
        self._user = user
        self._connection: AsyncioConnection | None = None
        #: The one that is being made.
        self._attempt: AsyncioConnection | None = None
        self._tries = 0
        self._since = 0.0
        self._closed_at = 0.0
        self._stopping = False
        self._open = False
        self._ended = threading.Event()
        #: Why there is no channel: the broker's words or the system's; None while there is one.
        self.problem: str | None = "not connected yet"
        thread.call(self._connect)

    @property
    def is_open(self) -> bool:
        """Whether there is a channel."""
        return self._open

    def close(self) -> None:
        """Close politely: for a connection that holds no deliveries."""
        self._closed_at = time.monotonic()
        self._stopping = True
        self._thread.call(self._close)

    def drop(self) -> None:
        """
        Let go of the socket, as a process that dies: whatever is unacknowledged comes again, in order.

        A polite close hands later messages to the next consumer before those that are in hand (D-9).
        """
        self._stopping = True
        self._thread.call(self._abort)

    def ended(self) -> None:
        """Wait until the socket is closed; one whose broker says nothing is let go."""
        if not self._ended.wait(max(0.0, self._closed_at + _POLITE_SECONDS - time.monotonic())):
            self.drop()
            self._ended.wait(_STOP_SECONDS)

    def _connect(self) -> None:
        if self._stopping:
            self._ended.set()
            return
        points.reach("broker.connect")
        self._thread.presence.away(self)
        self._attempt = AsyncioConnection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_failed,
            on_close_callback=self._on_closed,
            custom_ioloop=self._thread.loop,
        )

    def _on_open(self, connection: AsyncioConnection) -> None:
        self._attempt = None
        self._connection = connection
        # An alarm is told to each connection for itself.
        self._blocked(by_broker=False)
        connection.add_on_connection_blocked_callback(lambda *_: self._blocked(by_broker=True))
        connection.add_on_connection_unblocked_callback(lambda *_: self._blocked(by_broker=False))
        if self._stopping:
            self._close()
        else:
            connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._on_channel_closed)
        self._since = self._thread.loop.time()
        self._open = True
        self.problem = None
        self._thread.presence.there(self)
        self._user.opened(channel)

    def _blocked(self, *, by_broker: bool) -> None:
        self._user.blocked(by_broker=by_broker)
        self._thread.presence.blocked(self, by_broker=by_broker)

    def _on_channel_closed(self, _channel: Channel, reason: BaseException) -> None:
        self._lose(reason)
        # The connection may have survived what the channel did not: an oversize message, a queue that is not there.
        connection = self._connection
        if connection is not None and connection.is_open and not self._stopping:
            self._again(lambda: connection.channel(on_open_callback=self._on_channel) if connection.is_open else None)

    def _on_failed(self, _connection: pika.connection.Connection, reason: BaseException | str) -> None:
        self._attempt = None
        self.problem = told(reason) if isinstance(reason, BaseException) else "refused"
        self._thread.presence.away(self, reason if isinstance(reason, BaseException) else None)
        self._again(self._connect)

    def _on_closed(self, connection: pika.connection.Connection, reason: BaseException) -> None:
        if connection is self._connection:
            self._connection = None
        self._lose(reason)
        self._again(self._connect)

    def _lose(self, reason: BaseException) -> None:
        if self._open:
            self._open = False
            if self._thread.loop.time() - self._since > _LIVED_SECONDS:
                self._tries = 0
            self.problem = told(reason)
            if not self._stopping:
                self._thread.presence.away(self, reason)
            self._user.lost()

    def _again(self, function: Callable[[], object]) -> None:
        if self._stopping:
            self._ended.set()
            return
        longest = _RETRY_SECONDS[min(self._tries, len(_RETRY_SECONDS) - 1)]
        self._tries += 1
        self._thread.loop.call_later(longest * random.uniform(0.5, 1), function)  # noqa: S311 - that they part

    def _close(self) -> None:
        points.reach("broker.close")
        if self._connection is None:
            if self._attempt is None:
                self._ended.set()
            elif not _cut(self._attempt) and not self._attempt.is_closing and not self._attempt.is_closed:
                self._attempt.close()
        elif self._connection.is_open:
            with contextlib.suppress(AMQPError):
                self._connection.close()

    def _abort(self) -> None:
        if self._connection is not None and self._connection.is_closing:
            _cut(self._connection)  # its broker does not answer the polite way
        elif self._connection is not None and self._connection.is_open:
            points.reach("broker.close")
            # pika has no word of its own for it.
            self._connection._terminate_stream(StreamLostError("let go"))  # noqa: SLF001
        else:
            self._close()


def _cut(connection: AsyncioConnection) -> bool:
    """
    End a connection's line as if the broker had; tell whether there is one.

    pika's own ways trip over themselves in a handshake, and while they wait for an answer to a polite end.
    """
    line = getattr(connection._transport, "_sock", None)  # noqa: SLF001
    if line is None:
        return False
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    return True
