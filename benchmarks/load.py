"""
The load client, a process of its own: `python benchmarks/load.py PORT CONNECTIONS FILE`.

Sends the messages of a file of frames, each connection the next one when it has its answer, and prints one line of JSON.
"""

import asyncio
import re
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final

import msgspec

_END: Final = b"\x1c\r"
_CODE: Final = re.compile(rb"MSA\|([A-Z]{2})")


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What the client saw. Instants are those of `time.monotonic`, one clock for all processes of a machine."""

    begun: float
    ended: float
    #: Milliseconds from the last byte of a message to the last byte of its answer.
    p50_ms: float
    p99_ms: float
    answers: dict[str, int]
    #: Time of a core that this client took between them.
    core_seconds: float


class _Client(asyncio.Protocol):
    def __init__(self, frames: deque[bytes], took: list[float], answers: dict[str, int], done: asyncio.Future[None]) -> None:
        self._frames, self._took, self._answers, self._done = frames, took, answers, done
        self._buffer = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport if isinstance(transport, asyncio.Transport) else None
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._buffer.endswith(_END):
            return
        self._took.append(time.monotonic() - self._sent)
        found = _CODE.search(self._buffer)
        code = found.group(1).decode() if found else "none"
        self._answers[code] = self._answers.get(code, 0) + 1
        self._buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the door closed"))

    def _next(self) -> None:
        if self._transport is None or self._done.done():
            return
        if not self._frames:
            self._done.set_result(None)
            self._transport.close()
            return
        frame = self._frames.popleft()
        self._sent = time.monotonic()
        self._transport.write(frame)


async def send(port: int, connections: int, messages: list[bytes]) -> Load:
    """
    Send frames over some connections, and measure.

    Args:
        port: Of a door on the loopback interface.
        connections: How many send at the same time.
        messages: Whole frames.
    """
    loop = asyncio.get_running_loop()
    waiting = deque(messages)
    took: list[float] = []
    answers: dict[str, int] = {}
    done = [loop.create_future() for _ in range(connections)]
    core = time.process_time()
    begun = time.monotonic()
    for each in done:
        await loop.create_connection(lambda each=each: _Client(waiting, took, answers, each), "127.0.0.1", port)
    await asyncio.gather(*done)
    ended = time.monotonic()
    core = time.process_time() - core
    took.sort()
    return Load(
        begun=begun,
        ended=ended,
        p50_ms=took[len(took) // 2] * 1000,
        p99_ms=took[min(len(took) - 1, len(took) * 99 // 100)] * 1000,
        answers=answers,
        core_seconds=core,
    )


def frames(written: bytes) -> list[bytes]:
    """Return the frames of a file."""
    return [frame + _END for frame in written.split(_END) if frame]


def main() -> None:
    """Send the file that the command line names."""
    port, connections, file = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    print(msgspec.json.encode(asyncio.run(send(port, connections, frames(file.read_bytes())))).decode())


if __name__ == "__main__":
    main()
