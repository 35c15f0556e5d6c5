"""The HL7v2 door: listens, admits by network and port, closes in good order."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from gateway.adapters.hl7v2.session import Session
from gateway.adapters.mllp.budget import Budget
from gateway.adapters.mllp.connection import MllpConnection
from gateway.adapters.mllp.spec import Spec
from gateway.adapters.trust import admitted
from gateway.model.ports import Clock, Deposits, Events, Receipts
from gateway.model.source import Peer
from gateway.telemetry import events as told

_BACKLOG: Final = 128
#: As many large messages are read at once; the next one waits for a reader, the small ones for none.
_READERS: Final = max(2, min(4, os.cpu_count() or 1))


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """How the door is."""

    door: str
    #: Whether new connections are taken.
    ready: bool
    host: str
    port: int
    connections: int
    #: How many of them have a message worked on.
    working: int
    connection_limit: int


class MllpDoor:
    """The HL7v2 door: open, serve, stop or close, probe."""

    def __init__(self, spec: Spec, *, deposits: Deposits, events: Events, receipts: Receipts, clock: Clock) -> None:
        """
        Take what the door works with; nothing is opened yet.

        Args:
            spec: Where it listens, whom it admits.
            deposits: Where deposits and rejections go.
            events: Where events go.
            receipts: Gives receipt ids.
            clock: The time.
        """
        self._spec = spec
        self._deposits = deposits
        self._events = events
        self._receipts = receipts
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._connections: set[MllpConnection] = set()
        self._number = 0
        self._budget = Budget(spec.held_limit_bytes)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix=f"{spec.door}-reader")
        self._stopping = False
        self._closed = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.host = spec.host
        #: The real port, once open.
        self.port = spec.port

    async def open(self) -> None:
        """
        Listen.

        Raises:
            OSError: the address is not one of this machine's, or the port is taken.
        """
        host = "127.0.0.1" if self._spec.host == "localhost" else self._spec.host
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connect, host, self._spec.port, backlog=_BACKLOG, reuse_port=self._spec.reuse_port or None
        )
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        told.DoorOpened(door=self._spec.door, host=self.host, port=self.port).emit()

    async def serve(self) -> None:
        """Return when the door is closed."""
        await self._closed.wait()

    async def stop(self, deadline_seconds: float) -> None:
        """
        Close in good order: accept no more, read no more, answer what was fully received, close.

        Args:
            deadline_seconds: What is not answered by then is cut: its sender has no answer and sends again.
        """
        begun = self._clock.now()
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.drain()
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._empty.wait()
        except TimeoutError:
            pass
        left = len(self._connections)
        for connection in tuple(self._connections):
            connection.cut()
        await self._empty.wait()
        self._readers.shutdown(wait=False, cancel_futures=True)
        if not self._closed.is_set():
            self._closed.set()
            seconds = (self._clock.now() - begun).total_seconds()
            told.DoorClosed(door=self._spec.door, count=left, seconds=seconds).emit()

    async def close(self) -> None:
        """Close at once."""
        await self.stop(0)

    def probe(self) -> Probe:
        """Return how the door is."""
        return Probe(
            door=self._spec.door,
            ready=self._server is not None and not self._stopping and len(self._connections) < self._spec.connection_limit,
            host=self.host,
            port=self.port,
            connections=len(self._connections),
            working=sum(connection.working for connection in self._connections),
            connection_limit=self._spec.connection_limit,
        )

    def _connect(self) -> asyncio.Protocol:
        return _Entrance(self)

    def admit(self, peer: Peer) -> MllpConnection | None:
        """
        Return the protocol of a connection, or None if it is refused.

        Args:
            peer: Who is at the other end.
        """
        sources = admitted(self._spec.connections, self._spec.door, peer)
        reason = "not_admitted"
        if sources:
            reason = "stopping" if self._stopping else "limit" if len(self._connections) >= self._spec.connection_limit else ""
        if reason:
            told.ConnectionRefused(door=self._spec.door, peer=peer.address, reason=reason).emit()
            return None
        self._number += 1
        connection = MllpConnection(
            door=self._spec.door,
            number=self._number,
            peer=peer.address,
            session=self._session(sources),
            frame_limit_bytes=self._spec.frame_limit_bytes,
            budget=self._budget,
            idle_timeout_seconds=self._spec.idle_timeout_seconds,
            now=self._clock.now,
            ended=self._forget,
        )
        self._connections.add(connection)
        self._empty.clear()
        return connection

    def _session(self, sources: tuple[str, ...]) -> Session:
        return Session(
            directory=self._spec.directory.admitted(sources),
            environment=self._spec.environment,
            deposits=self._deposits,
            events=self._events,
            receipts=self._receipts,
            clock=self._clock,
            door=self._spec.door,
            ack_wait_seconds=self._spec.ack_wait_seconds,
            readers=self._readers,
        )

    def _forget(self, connection: MllpConnection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()


class _Entrance(asyncio.Protocol):
    """Who a connection is for is known only once it is made: then it is handed on, or closed unread."""

    def __init__(self, door: MllpDoor) -> None:
        self._door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        connection = self._door.admit(Peer(address=peer[0], port=own[1])) if peer and own else None
        if connection is None or not isinstance(transport, asyncio.Transport):
            transport.close()
            return
        transport.set_protocol(connection)
        connection.connection_made(transport)
