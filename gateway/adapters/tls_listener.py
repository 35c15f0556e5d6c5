"""A port with TLS: handshakes beside each other, none of which can keep the others out."""

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.adapters.tls import Reloading, certificate_of
from gateway.adapters.tls_stream import TlsStream
from gateway.model.base import Model
from gateway.model.source import Peer
from gateway.telemetry import events as told

_BACKLOG: Final = 128


class TlsSpec(Model, frozen=True, kw_only=True):
    """Where a door listens with TLS, and what it bears."""

    door: str
    host: str
    #: 0 takes a free one.
    port: int = 0
    #: Other processes listen on the same port: the system shares the connections out.
    reuse_port: bool = False
    #: A handshake that takes longer is given up.
    handshake_seconds: float = 10.0
    #: So many handshakes may be under way; one more takes the place of the oldest.
    handshake_limit: int = 256


class TlsListener:
    """
    Open, close. Handshakes under way are no connections of the door yet: a machine that says nothing holds none of those.

    Args:
        spec: Where it listens.
        contexts: Each handshake takes the context of its moment.
        may_knock: Whether any certificate could admit a machine that comes from there (`address, our port`); if not, it is closed
            without a handshake.
        enter: Who is at the other end and the transport; returns the protocol of the connection, whose `connection_made` is then
            called, or None: it is closed. Whoever refuses says so in the log.
    """

    def __init__(
        self,
        spec: TlsSpec,
        contexts: Reloading,
        *,
        may_knock: Callable[[Peer], bool],
        enter: Callable[[Peer, asyncio.Transport], asyncio.Protocol | None],
    ) -> None:
        """Keep the arguments; nothing is opened yet."""
        self._spec = spec
        self._contexts = contexts
        self._may_knock = may_knock
        self._enter = enter
        self._server: asyncio.Server | None = None
        self._watching: asyncio.Task[None] | None = None
        #: Handshakes under way, oldest first.
        self._shaking: dict[TlsStream, Peer] = {}
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
            lambda: _Knock(self), host, self._spec.port, backlog=_BACKLOG, reuse_port=self._spec.reuse_port or None
        )
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        self._watching = loop.create_task(self._contexts.watch())
        told.DoorOpened(door=self._spec.door, host=self.host, port=self.port).emit()

    def close(self) -> None:
        """Accept nobody more; give up the handshakes under way. Connections are the door's."""
        if self._server is not None:
            self._server.close()
        if self._watching is not None:
            self._watching.cancel()
        for stream in tuple(self._shaking):
            stream.abort()

    def reload(self) -> None:
        """Look at the files now."""
        self._contexts.look(always=True)

    @property
    def contexts(self) -> Reloading:
        """The certificates, and what is wrong with them."""
        return self._contexts

    def knock(self, transport: asyncio.Transport) -> TlsStream | None:
        """Return the handshake of a connection that was accepted, or None: nobody is admitted from there."""
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not peer or not own:
            return None
        who = Peer(address=peer[0], port=own[1], is_encrypted=True)
        if not self._may_knock(who):
            self._refused(who, "not_admitted")
            return None
        self._make_room(who)
        stream = TlsStream(
            self._contexts.context,
            self._spec.handshake_seconds,
            secured=lambda stream: self._admit(stream, who),
            failed=lambda _, reason: self._refused(who, reason),
            ended=self._forget,
        )
        self._shaking[stream] = who
        return stream

    def _admit(self, stream: TlsStream, who: Peer) -> asyncio.Protocol | None:
        try:
            certificate = certificate_of(stream.tls)
        except ValueError:  # names that are no text
            self._refused(who, "certificate_invalid")
            return None
        peer = Peer(address=who.address, port=who.port, certificate=certificate, is_encrypted=True)
        return self._enter(peer, stream)

    def _make_room(self, who: Peer) -> None:
        """Give up the oldest handshake of a machine that has half of them, or the oldest of all where there are too many."""
        own = [stream for stream, other in self._shaking.items() if other.address == who.address]
        if len(own) >= max(1, self._spec.handshake_limit // 2):
            self._give_up(own[0])
        elif len(self._shaking) >= self._spec.handshake_limit:
            self._give_up(next(iter(self._shaking)))

    def _give_up(self, stream: TlsStream) -> None:
        self._refused(self._shaking.pop(stream), "handshakes")
        stream.give_up()

    def _refused(self, who: Peer, reason: str) -> None:
        told.ConnectionRefused(door=self._spec.door, peer=who.address, reason=reason).emit()

    def _forget(self, stream: TlsStream) -> None:
        self._shaking.pop(stream, None)


class _Knock(asyncio.Protocol):
    """Who a connection is for is known only once it is made: then TLS begins, or it is closed unread."""

    def __init__(self, listener: TlsListener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = self._listener.knock(transport) if isinstance(transport, asyncio.Transport) else None
        if stream is None or not isinstance(transport, asyncio.Transport):
            transport.close()
            return
        transport.set_protocol(stream)
        stream.connection_made(transport)
