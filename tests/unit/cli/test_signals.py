"""A signal to end is heard although the event loop's pipe of signals has no room."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from gateway.cli.signals import on_hangup, on_stop


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_it_is_heard_with_a_full_pipe() -> None:
    async def scene() -> bool:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        on_hangup(loop, lambda: None)
        on_stop(lambda: loop.call_soon_threadsafe(stop.set), supervised=False)
        pipe = socket.socket(fileno=os.dup(signal.set_wakeup_fd(-1)))
        signal.set_wakeup_fd(loop._csock.fileno(), warn_on_full_buffer=False)
        with pipe, contextlib.suppress(BlockingIOError):
            for _ in range(100_000):
                pipe.send(bytes(4096))
            pytest.fail("the pipe has no end")
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(20):
            return await stop.wait()

    assert asyncio.run(scene())


def test_files_are_looked_at_again_at_a_hangup() -> None:
    async def scene() -> bool:
        loop, again = asyncio.get_running_loop(), asyncio.Event()
        on_hangup(loop, again.set)
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(20):
            return await again.wait()

    assert asyncio.run(scene())
