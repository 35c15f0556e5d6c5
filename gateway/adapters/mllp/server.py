"""The HL7v2 door: listens, with TLS and without, admits by certificate, network and port, closes in good order."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from gateway.adapters.budget import Budget
from gateway.adapters.hl7v2.session import Session
from gateway.adapters.mllp.connection import MllpConnection
from gateway.adapters.mllp.spec import Spec
from gateway.adapters.places import who_gives_way
from gateway.adapters.tls import Asked, Reloading
from gateway.adapters.tls_listener import TlsListener, TlsSpec
from gateway.adapters.trust import admitted, may_knock, may_speak_plainly
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
    tls_host: str | None = None
    tls_port: int | None = None
    #: Why the files of [tls] that are there now are not used; None: they are, or there is no TLS.
    tls_problem: str | None = None


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
        #: Oldest first.
        self._connections: dict[MllpConnection, None] = {}
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
        #: The port with TLS, once open; None: there is none.
        self.tls: TlsListener | None = None

    async def open(self) -> None:
        """
        Listen.

        Raises:
            OSError: the address is not one of this machine's, or the port is taken.
            TlsUnusable: the files of `[tls]` cannot be used.
        """
        contexts = Reloading(self._spec.door, self._spec.tls, Asked.REQUIRED) if self._spec.tls is not None else None
        host = "127.0.0.1" if self._spec.host == "localhost" else self._spec.host
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connect, host, self._spec.port, backlog=_BACKLOG, reuse_port=self._spec.reuse_port or None
        )
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        told.DoorOpened(door=self._spec.door, host=self.host, port=self.port).emit()
        if contexts is not None and self._spec.tls_host is not None:
            self.tls = self._with_tls(self._spec.tls_host, contexts)
            await self.tls.open()

    @property
    def contexts(self) -> Reloading | None:
        """The certificates, once open; None: there is no TLS."""
        return None if self.tls is None else self.tls.contexts

    def reload(self) -> None:
        """Look at the files of `[tls]` now."""
        if self.tls is not None:
            self.tls.reload()

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
        if self.tls is not None:
            self.tls.close()
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
            tls_host=None if self.tls is None else self.tls.host,
            tls_port=None if self.tls is None else self.tls.port,
            tls_problem=None if self.tls is None else self.tls.contexts.problem,
        )

    def _with_tls(self, host: str, contexts: Reloading) -> TlsListener:
        spec = self._spec
        return TlsListener(
            TlsSpec(
                door=spec.door,
                host=host,
                port=spec.tls_port,
                reuse_port=spec.reuse_port,
                handshake_seconds=spec.handshake_seconds,
                handshake_limit=spec.connection_limit,
            ),
            contexts,
            may_knock=lambda peer: may_knock(spec.connections, spec.door, peer),
            enter=lambda peer, _: self.admit(peer),
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
        if not may_speak_plainly(peer, self._spec.plaintext_networks):
            reason = "plaintext"
        elif not sources:
            reason = "not_admitted"
        elif self._stopping:
            reason = "stopping"
        else:
            reason = "" if self._has_place(peer) else "limit"
        if reason:
            shown = peer.certificate.fingerprint[:12] if peer.certificate is not None else None
            told.ConnectionRefused(door=self._spec.door, peer=peer.address, reason=reason, certificate=shown).emit()
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
        self._connections[connection] = None
        self._empty.clear()
        return connection

    def _has_place(self, peer: Peer) -> bool:
        """Return whether there is a place, or somebody has made one."""
        if len(self._connections) < self._spec.connection_limit:
            return True
        leaver = who_gives_way(self._connections, peer.address, self._spec.connection_limit)
        if leaver is None:
            return False
        del self._connections[leaver]
        leaver.give_way()
        return True

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
            batch_limit=self._spec.batch_limit_messages,
            readers=self._readers,
        )

    def _forget(self, connection: MllpConnection) -> None:
        self._connections.pop(connection, None)
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
