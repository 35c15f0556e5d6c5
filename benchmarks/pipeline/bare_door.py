"""
The floor's door, a process of its own: `python -m benchmarks.pipeline.bare_door BROKER QUEUE`.

A message is split down to its sub-components and published as it came; it is answered when the broker has confirmed it. Nothing
is understood, sealed, noted or told. Prints its port, ends when standard input does, and prints then what the confirms took.
"""

import asyncio
import sys
import time
from collections import deque
from typing import Final

import msgspec
import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel

from benchmarks.bare_mllp import ANSWER, Door

#: In flight at once, as the gateway's own doors: beyond it everybody waits longer.
_WINDOW: Final = 100
_WINDOW_BYTES: Final = 4 * 1024 * 1024
_PERSISTENT: Final = pika.BasicProperties(delivery_mode=2)


class _Publisher:
    def __init__(self, loop: asyncio.AbstractEventLoop, url: str, queue: str) -> None:
        self.ready: asyncio.Future[None] = loop.create_future()
        #: When each confirm came and what it took, in seconds.
        self.took: list[tuple[float, float]] = []
        self._queue = queue
        self._waiting: deque[tuple[asyncio.Transport, bytes]] = deque()
        self._flying: dict[int, tuple[asyncio.Transport, float, int]] = {}
        self._bytes = self._tag = 0
        self._channel: Channel | None = None
        AsyncioConnection(pika.URLParameters(url), on_open_callback=self._opened, custom_ioloop=loop)

    def add(self, transport: asyncio.Transport, payload: bytes) -> None:
        self._waiting.append((transport, payload))
        self._send()

    def _opened(self, connection: AsyncioConnection) -> None:
        connection.channel(on_open_callback=lambda channel: channel.confirm_delivery(self._confirmed, callback=self._go(channel)))

    def _go(self, channel: Channel):  # noqa: ANN202
        def go(_: object) -> None:
            self._channel = channel
            self.ready.set_result(None)

        return go

    def _send(self) -> None:
        while self._waiting and len(self._flying) < _WINDOW and self._channel is not None:
            size = len(self._waiting[0][1])
            if self._flying and self._bytes + size > _WINDOW_BYTES:
                return
            transport, payload = self._waiting.popleft()
            self._tag += 1
            self._bytes += size
            self._flying[self._tag] = (transport, time.perf_counter(), size)
            self._channel.basic_publish("", self._queue, payload, _PERSISTENT, mandatory=True)

    def _confirmed(self, frame: object) -> None:
        confirm = frame.method  # type: ignore[attr-defined]
        tags = [tag for tag in self._flying if tag <= confirm.delivery_tag] if confirm.multiple else [confirm.delivery_tag]
        now, clock = time.perf_counter(), time.monotonic()
        for tag in tags:
            transport, begun, size = self._flying.pop(tag)
            self._bytes -= size
            self.took.append((clock, now - begun))
            transport.write(ANSWER)
        self._send()


async def _serve(url: str, queue: str) -> None:
    loop = asyncio.get_running_loop()
    publisher = _Publisher(loop, url, queue)
    await publisher.ready
    server = await loop.create_server(lambda: Door(publisher), "127.0.0.1", 0)
    print(msgspec.json.encode({"mllp_port": server.sockets[0].getsockname()[1]}).decode(), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        # What the confirms since an instant took: one line for each line that asks.
        since = float(line)
        print(msgspec.json.encode([took for at, took in publisher.took if at >= since]).decode(), flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:3]))
