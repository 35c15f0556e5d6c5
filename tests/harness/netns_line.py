"""
A proxy on the loopback interface that is a bad line: it delays, it trickles, it swallows everything and says nothing.

What it swallowed is gone, and a connection that lost bytes stays dead without a word, as after a cable was pulled: neither end
is told. Connections that are made afterwards pass again.
"""

import asyncio
import contextlib
import random
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_READ_BYTES: Final = 65_536
#: What may be on its way in one direction of one connection, in reads.
_ON_ITS_WAY: Final = 256
_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Weather:
    """
    How a line is, in each direction.

    Attributes:
        delay: Seconds that bytes are on their way: the least, the most.
        rate: Bytes a second; 0 for as fast as they come.
        piece: How many bytes travel together at most.
    """

    delay: tuple[float, float] = (0.0, 0.0)
    rate: float = 0.0
    piece: int = _READ_BYTES


FAIR: Final = Weather()


class _Passage:
    """One connection through the line."""

    def __init__(self) -> None:
        self.dead = False
        self.writers: list[asyncio.StreamWriter] = []


class Line:
    """
    Between clients and a server.

    Args:
        target: The server's port on 127.0.0.1, or what makes a connection to it.
        listener: Where clients come; None: a free port of 127.0.0.1.
        seed: Decides delays.
    """

    def __init__(
        self, target: int | Callable[[], socket.socket], *, listener: socket.socket | None = None, seed: int = 0
    ) -> None:
        port = target
        self._dial = target if callable(target) else lambda: socket.create_connection(("127.0.0.1", port), timeout=_SECONDS)
        listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port = int(listener.getsockname()[1])
        self.weather = FAIR
        #: Bytes that were swallowed.
        self.swallowed = 0
        self._dark = False
        self._chance = random.Random(seed)
        self._passages: set[_Passage] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="line", daemon=True)
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, sock=listener), self._loop)
        self._server = starting.result(_SECONDS)

    def swallow(self) -> None:
        """Pass nothing on any more: what there is stays dead for ever, what comes is taken and hears nothing."""

        def go_dark() -> None:
            self._dark = True
            for passage in self._passages:
                passage.dead = True

        self._call(go_dark)

    def restore(self) -> None:
        """Let new connections pass."""

        def go_on() -> None:
            self._dark = False

        self._call(go_on)

    def cut(self) -> None:
        """Reset every connection that there is."""
        self._call(self._abort)

    def close(self) -> None:
        """Reset every connection and stop."""

        async def end() -> None:
            self._server.close()
            self._abort()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(end(), self._loop).result(_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    def _call(self, function: Callable[[], None]) -> None:
        async def run() -> None:
            function()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(_SECONDS)

    # -- on the loop

    def _abort(self) -> None:
        for passage in self._passages:
            for writer in passage.writers:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        passage = _Passage()
        passage.dead = self._dark
        passage.writers.append(writer)
        self._passages.add(passage)
        try:
            if not passage.dead:
                there = await asyncio.open_connection(sock=await asyncio.to_thread(self._dial))
                passage.writers.append(there[1])
                await asyncio.gather(
                    self._pass(passage, reader, there[1]), self._pass(passage, there[0], writer), return_exceptions=True
                )
            await self._lie_dead(passage, reader)
        except (OSError, asyncio.CancelledError):
            pass  # nobody listens at the other end, or the test is over
        finally:
            self._passages.discard(passage)
            self._tasks.discard(task)
            for each in passage.writers:
                each.transport.abort()

    async def _lie_dead(self, passage: _Passage, reader: asyncio.StreamReader) -> None:
        """Take what is sent, as long as somebody sends."""
        while passage.dead and (data := await reader.read(_READ_BYTES)):
            self.swallowed += len(data)

    async def _pass(self, passage: _Passage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one direction on until its end; the end of what is dead is swallowed, too."""
        way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_ON_ITS_WAY)
        bearer = asyncio.ensure_future(self._bear(passage, way, writer))
        last = 0.0
        try:
            while data := await reader.read(_READ_BYTES):
                # In their order, whatever each one's delay.
                last = max(last, self._loop.time() + self._chance.uniform(*self.weather.delay))
                await way.put((last, data))
            await way.put((last, b""))
            await bearer
        except OSError:
            if not passage.dead:
                for each in passage.writers:
                    each.transport.abort()
        finally:
            bearer.cancel()

    async def _bear(self, passage: _Passage, way: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        while True:
            due, data = await way.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            if passage.dead:
                self.swallowed += len(data)
            elif data:
                await self._trickle(passage, data, writer)
            else:
                writer.write_eof()
            if not data:
                return

    async def _trickle(self, passage: _Passage, data: bytes, writer: asyncio.StreamWriter) -> None:
        while data and not passage.dead:
            # Read each time: the weather changes.
            piece, data = data[: self.weather.piece], data[self.weather.piece :]
            if self.weather.rate:
                await asyncio.sleep(len(piece) / self.weather.rate)
            writer.write(piece)
            await writer.drain()
