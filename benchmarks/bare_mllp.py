"""The door of both floors: frames, the split walk, an answer that is always the same."""

import asyncio
from typing import Final, Protocol

from benchmarks import floor

ANSWER: Final = b"\x0bMSH|^~\\&|F|F|F|F|20260101000000||ACK|1|P|2.5\rMSA|AA|1\r\x1c\r"
_END: Final = b"\x1c\r"


class Sink(Protocol):
    """Where messages go; it answers them."""

    def add(self, transport: asyncio.Transport, payload: bytes) -> None:
        """Take a message, and answer it on its connection once it is durable."""


class Door(asyncio.Protocol):
    """One connection, whose client sends its next message when it has its answer."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = transport if isinstance(transport, asyncio.Transport) else None

    def data_received(self, data: bytes) -> None:
        """Split a message once it is whole, and hand it on."""
        self._buffer += data
        if self._buffer.endswith(_END) and self._transport is not None:
            payload = bytes(self._buffer[1:-2])
            self._buffer.clear()
            floor.walk(payload)
            self._sink.add(self._transport, payload)
