"""The server's thread: it reads and writes all connections of the door; others answer."""

import collections
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from waitress import trigger, wasyncore
from waitress.task import ThreadedTaskDispatcher

from gateway.adapters.http.application import WsgiApplication
from gateway.adapters.http.channel import Channel, Shared, adjustments
from gateway.model.source import Peer
from gateway.telemetry import events as told

#: How often what takes too long is looked for, in seconds.
_LOOK_SECONDS: Final = 0.5

#: That all threads are busy is no news: what waits is bounded, and counted.
_QUEUE_LOGGER: Final = logging.getLogger("waitress.queue")
_QUEUE_LOGGER.setLevel(logging.ERROR)


class Pool:
    """
    What waitress calls a server, without a listener: connections are handed to it.

    Args:
        application: Answers requests.
        shared: What all channels share.
        ended: Called on the server's thread when nothing is left of a channel.
    """

    def __init__(self, application: WsgiApplication, shared: Shared, ended: Callable[[Channel], None]) -> None:
        """Start the threads."""
        self.application = application
        self.adj = adjustments(shared.spec)
        self.map: dict[int, Any] = {}
        self.active_channels: dict[int, Channel] = {}
        self.effective_port = shared.spec.port
        self.server_name = "gateway"
        self._shared = shared
        self._ended = ended
        self._trigger = trigger.trigger(self.map)
        self._tasks = ThreadedTaskDispatcher()
        self._tasks.set_thread_count(shared.spec.threads)
        self._stopping = threading.Event()
        #: Its pipe is closed with it: nobody writes to a descriptor that may be somebody else's by then.
        self._waking = threading.Lock()
        self._is_over = False
        #: What is to be done on the thread. Not the trigger's own list: it is gone through under a lock that who adds to it takes
        #: as well, and `_waking` is taken by both.
        self._work: collections.deque[Callable[[], None]] = collections.deque()
        #: Channels whose next request waits until the answers before it were read.
        self._unread: collections.deque[Channel] = collections.deque()
        self._thread = threading.Thread(target=self._run, name=f"{shared.spec.door}-server", daemon=True)
        self._thread.start()

    # -- for anybody

    def take(self, link: socket.socket, peer: Peer, taken: Callable[[Channel], None], lost: Callable[[], None]) -> None:
        """
        Read and answer a connection from now on.

        Args:
            link: The connection, or our end of what carries it; it is closed with the channel.
            peer: Who is at its other end.
            taken: Called with its channel, on the server's thread.
            lost: Called instead where the connection was gone by then.
        """
        self.later(lambda: self._take(link, peer, taken, lost))

    def later(self, work: Callable[[], None]) -> None:
        """Do something on the server's thread."""
        self._work.append(work)
        self.pull_trigger()

    def drain(self) -> None:
        """Read no more; answer what was fully received, and close each connection then."""

        def begin() -> None:
            self._shared.stopping = True
            self._close_unasked()

        self.later(begin)

    def close(self, deadline_seconds: float) -> None:
        """Close what is left and end the threads; those that are still answering are not waited for beyond the deadline."""
        self._stopping.set()
        self.pull_trigger()
        self._thread.join(deadline_seconds + 1.0)
        self._tasks.shutdown(timeout=deadline_seconds)

    # -- what waitress's channels call

    def add_task(self, channel: Channel) -> None:
        """Have a request answered by the next free thread."""
        if channel.total_outbufs_len:
            # Its next answer waits until the one before was read: else who reads none would hold threads and memory with them.
            self._unread.append(channel)
        else:
            self._tasks.add_task(channel)

    def pull_trigger(self) -> None:
        """Wake the server's thread."""
        with self._waking:
            if not self._is_over:
                self._trigger.pull_trigger()

    # -- the server's thread

    def _run(self) -> None:
        looked = time.monotonic()
        try:
            while not self._stopping.is_set():
                wasyncore.poll2(_LOOK_SECONDS, self.map)
                while self._work:
                    self._do(self._work.popleft())
                for _ in range(len(self._unread)):
                    self.add_task(self._unread.popleft())
                now = time.monotonic()
                if now - looked >= _LOOK_SECONDS:
                    looked = now
                    for channel in self._channels():
                        self._keep_time(channel, now)
                if self._shared.stopping:
                    self._close_unasked()
        finally:
            for channel in self._channels():
                channel.end("stopped")
            with self._waking:
                self._is_over = True
                self._trigger.close()

    def _keep_time(self, channel: Channel, now: float) -> None:
        try:
            channel.keep_time(now)
        except Exception as error:  # noqa: BLE001 - as in `_do`; that one is of no more use
            told.InternalError.of(error, door=self._shared.spec.door, reason="connection").emit()
            self._do(lambda: channel.end("error"))

    def _do(self, work: Callable[[], None]) -> None:
        """Do one thing; what goes wrong with one connection ends no other."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are read on
            told.InternalError.of(error, door=self._shared.spec.door, reason="connection").emit()

    def _take(self, link: socket.socket, peer: Peer, taken: Callable[[Channel], None], lost: Callable[[], None]) -> None:
        try:
            link.setblocking(False)  # noqa: FBT003 - the name of the standard library
            channel = Channel(self, link, peer, self._shared, self._ended)
        except OSError:
            link.close()
            lost()
            return
        taken(channel)

    def _close_unasked(self) -> None:
        """Close every connection on which nobody waits for an answer."""
        for channel in self._channels():
            if channel.awaits_nobody:
                channel.end("stopped")

    def _channels(self) -> list[Channel]:
        return list(self.active_channels.values())
