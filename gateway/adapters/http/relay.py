"""A connection that TLS secures, carried to the server's thread over a pair of sockets, in plain bytes, both ways."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, Self

#: How much waits for the slower side before the other one is not read.
_HIGH_WATER: Final = 128 * 1024


class Relay(asyncio.Protocol):
    """One side; what comes to it goes out at the other."""

    def __init__(self, ended: "Callable[[Relay], object]" = lambda _: None) -> None:
        """
        Begin without the other side.

        Args:
            ended: Called when nothing is left of this side.
        """
        self._ended = ended
        self._other: Relay | None = None
        self._transport: asyncio.Transport | None = None
        self._is_lost = False
        self._timer: asyncio.TimerHandle | None = None

    def join(self, other: Self) -> None:
        """Make both sides each other's."""
        self._other, other._other = other, self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read only once the other side is there."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a relay carries a stream")
        self._transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        other = self._other
        if other is not None and other._is_lost:  # noqa: SLF001 - the same class
            transport.abort()  # it was gone before there was anybody to tell
        elif other is None or other._transport is None:  # noqa: SLF001 - the same class
            transport.pause_reading()
        else:
            other._transport.resume_reading()  # noqa: SLF001

    def data_received(self, data: bytes) -> None:
        """Hand on."""
        transport = self._there()
        if transport is not None and not transport.is_closing():
            transport.write(data)

    def eof_received(self) -> bool:
        """Hand on the end of one direction; the other may go on."""
        transport = self._there()
        if transport is not None and not transport.is_closing() and transport.can_write_eof():
            transport.write_eof()
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the other side."""
        self._is_lost = True
        if self._timer is not None:
            self._timer.cancel()
        self._ended(self)
        transport = self._there()
        if transport is not None:
            transport.abort() if exc is not None else transport.close()

    def pause_writing(self) -> None:
        """Read no more from the other side."""
        transport = self._there()
        if transport is not None and not transport.is_closing():
            transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on from the other side."""
        transport = self._there()
        if transport is not None and not transport.is_closing():
            transport.resume_reading()

    def finish(self, seconds: float) -> None:
        """
        Close this side: nobody is left behind the other one.

        Args:
            seconds: How long it may take what was handed on, and close by itself; whoever stays longer is cut.
        """
        if not self._is_lost and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.give_up)

    def give_up(self) -> None:
        """Close this side."""
        if self._transport is not None:
            self._transport.abort()

    def _there(self) -> asyncio.Transport | None:
        return None if self._other is None else self._other._transport  # noqa: SLF001 - the same class


async def carry(relay: Relay) -> socket.socket:
    """
    Make a pair of sockets and carry a secured connection over it.

    Args:
        relay: The side of the secured connection; it is read once the pair is there.

    Returns:
        The far end of the pair, for whoever reads and answers.
    """
    near, far = socket.socketpair()
    near.setblocking(False)  # noqa: FBT003 - the name of the standard library
    inner = Relay()
    relay.join(inner)
    try:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: inner, near)
    except BaseException:
        near.close()
        far.close()
        raise
    return far
