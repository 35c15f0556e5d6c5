"""The HTTP door: listens, with TLS and without, hands connections to the server's thread, closes in good order."""

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from gateway.adapters.http import fhir
from gateway.adapters.http.application import Application
from gateway.adapters.http.caller import Trust
from gateway.adapters.http.channel import Channel, Shared
from gateway.adapters.http.engine import Engine
from gateway.adapters.http.health import Health
from gateway.adapters.http.pool import Pool
from gateway.adapters.http.registry import Renderer, Route, Style
from gateway.adapters.http.relay import Relay, carry
from gateway.adapters.http.routes import table
from gateway.adapters.http.seat import Seat
from gateway.adapters.http.sockets import keep_alive, listen
from gateway.adapters.http.spec import Spec
from gateway.adapters.places import who_gives_way
from gateway.adapters.tls import Asked, Reloading
from gateway.adapters.tls_listener import TlsListener, TlsSpec
from gateway.adapters.trust import may_speak_plainly
from gateway.model.ports import Clock, Deposits, Events, Receipts
from gateway.model.source import Peer
from gateway.telemetry import events as told

#: As many connections are accepted before others of the process have their turn.
_AT_ONCE: Final = 16
#: Without a free descriptor nobody is accepted for so long.
_FULL_SECONDS: Final = 0.5
#: How long a secured connection may take to send what was written when the door closes.
_RELAY_SECONDS: Final = 1.0
_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """How the door is."""

    door: str
    #: Whether new connections are taken.
    ready: bool
    host: str
    port: int
    connections: int
    #: How many of them have a request worked on.
    working: int
    connection_limit: int
    tls_host: str | None = None
    tls_port: int | None = None
    #: Why the files of [tls] that are there now are not used; None: they are, or there is no TLS.
    tls_problem: str | None = None


class HttpDoor:
    """The HTTP door: open, serve, stop or close, probe."""

    def __init__(
        self,
        spec: Spec,
        *,
        deposits: Deposits,
        events: Events,
        receipts: Receipts,
        clock: Clock,
        health: Health,
        version: str,
        more: Callable[[Engine], Sequence[Route]] = lambda _: (),
        renderers: Mapping[Style, Renderer] | None = None,
    ) -> None:
        """
        Take what the door works with; nothing is opened yet.

        Args:
            spec: Where it listens, whom it admits.
            deposits: Where deposits and rejections go.
            events: Where events go.
            receipts: Gives receipt ids.
            clock: The time.
            health: How the process is.
            version: Of the program, for OpenAPI.
            more: Makes the routes that need what a door may not know.
            renderers: How refusals are written, beside problem+json.
        """
        self._spec = spec
        self._deposits = deposits
        self._events = events
        self._receipts = receipts
        self._clock = clock
        self._health = health
        self._version = version
        self._more = more
        self._renderers = {Style.FHIR: fhir.render, **(renderers or {})}
        self._engine: Engine | None = None
        self._pool: Pool | None = None
        #: What its connections hold together, once open.
        self.shared: Shared | None = None
        self._listeners: tuple[socket.socket, ...] = ()
        #: Oldest first.
        self._seats: dict[Seat, None] = {}
        self._number = 0
        self._stopping = False
        self._closed = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._relays: set[Relay] = set()
        self.host = spec.host
        #: The real port, once open.
        self.port = spec.port
        #: The port with TLS, once open; None: there is none.
        self.tls: TlsListener | None = None

    async def open(self) -> None:
        """
        Build the table of routes and listen.

        Raises:
            OSError: the address is not one of this machine's, or the port is taken.
            TlsUnusable: the files of `[tls]` cannot be used.
            Unruled: the table of routes cannot be used.
        """
        spec, loop = self._spec, asyncio.get_running_loop()
        contexts = (
            Reloading(spec.door, spec.tls, Asked.OPTIONAL) if spec.tls is not None and spec.tls_listen is not None else None
        )
        self._engine = Engine(
            deposits=self._deposits,
            events=self._events,
            receipts=self._receipts,
            clock=self._clock,
            environment=spec.environment,
            loop=loop,
            door=spec.door,
            wait_seconds=spec.wait_seconds,
            waiting_limit=spec.waiting_limit,
        )
        trust = Trust(
            door=spec.door,
            directory=spec.directory,
            connections=spec.connections,
            monitor_networks=spec.monitor_networks,
        )
        registry = table(self._engine, spec.directory, self._health, self._more(self._engine), self._version)
        application = Application(registry, trust, body_limit=spec.body_limit_bytes, door=spec.door, renderers=self._renderers)
        listener = listen("127.0.0.1" if spec.host == "localhost" else spec.host, spec.port, reuse_port=spec.reuse_port)
        self._listeners = (listener,)
        self.host, self.port = listener.getsockname()[:2]
        self.shared = Shared(spec, application)
        self._pool = Pool(application, self.shared, lambda channel: self._later(loop, channel))
        loop.add_reader(listener, self._accept, loop, listener)
        told.DoorOpened(door=spec.door, host=self.host, port=self.port).emit()
        if contexts is not None and spec.tls_listen is not None:
            self.tls = self._with_tls(spec.tls_listen, contexts)
            await self.tls.open()

    @property
    def contexts(self) -> Reloading | None:
        """The certificates of its port with TLS; None: it has none."""
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
        begun = time.monotonic()
        self._stopping = True
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.remove_reader(listener)
            listener.close()
        self._listeners = ()
        if self.tls is not None:
            self.tls.close()
        if self._pool is not None:
            self._pool.drain()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline_seconds):
                    await self._empty.wait()
            left = len(self._seats)
            await asyncio.to_thread(self._pool.close, 1.0)
            self._pool = None
            await self._cut_relays()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._empty.wait()
        else:
            left = 0
        if self._engine is not None:
            self._engine.close()
        if not self._closed.is_set():
            self._closed.set()
            told.DoorClosed(door=self._spec.door, count=left, seconds=time.monotonic() - begun).emit()

    async def _cut_relays(self) -> None:
        """Let what was written to secured connections go out, for a moment; then cut them."""
        for _ in range(20):
            if not self._relays:
                return
            await asyncio.sleep(_RELAY_SECONDS / 20)
        for relay in tuple(self._relays):
            relay.give_up()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Close at once."""
        await self.stop(0)

    def probe(self) -> Probe:
        """Return how the door is."""
        return Probe(
            door=self._spec.door,
            ready=self._pool is not None and not self._stopping and len(self._seats) < self._spec.connection_limit,
            host=self.host,
            port=self.port,
            connections=len(self._seats),
            working=sum(seat.working for seat in tuple(self._seats)),
            connection_limit=self._spec.connection_limit,
            tls_host=None if self.tls is None else self.tls.host,
            tls_port=None if self.tls is None else self.tls.port,
            tls_problem=None if self.tls is None else self.tls.contexts.problem,
        )

    # -- connections without TLS

    def _accept(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                link, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _FULL:
                    loop.remove_reader(listener)
                    loop.call_later(_FULL_SECONDS, self._accept_again, loop, listener)
                return
            peer = Peer(address=address[0], port=self.port)
            seat = self._seat(peer)
            if seat is None or self._pool is None:
                link.close()
                continue
            keep_alive(link)
            self._pool.take(link, peer, partial(self._sit, seat), partial(self._lost, loop, seat))

    def _accept_again(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        if not self._stopping:
            loop.add_reader(listener, self._accept, loop, listener)

    # -- connections with TLS

    def _with_tls(self, listen: tuple[str, int], contexts: Reloading) -> TlsListener:
        spec = self._spec
        return TlsListener(
            TlsSpec(
                door=spec.door,
                host=listen[0],
                port=listen[1],
                reuse_port=spec.reuse_port,
                handshake_seconds=spec.handshake_seconds,
                handshake_limit=spec.connection_limit,
            ),
            contexts,
            may_knock=lambda _: True,  # a token may tell who it is
            enter=lambda peer, _: self._enter(peer),
        )

    def _enter(self, peer: Peer) -> asyncio.Protocol | None:
        seat = self._seat(peer)
        if seat is None:
            return None
        relay = Relay(self._relays.discard)
        self._relays.add(relay)
        seat.relay = relay
        task = asyncio.get_running_loop().create_task(self._carry(seat, relay))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)
        return relay

    async def _carry(self, seat: Seat, relay: Relay) -> None:
        try:
            link = await carry(relay)
        except OSError:
            relay.give_up()
            self._forget(seat, "error", 0)
            return
        if self._pool is None:
            link.close()
            self._forget(seat, "stopped", 0)
            return
        self._pool.take(link, seat.of, partial(self._sit, seat), partial(self._lost, asyncio.get_running_loop(), seat))

    # -- places

    def _seat(self, peer: Peer) -> Seat | None:
        """Return a place for a connection, or None: it is refused."""
        if not may_speak_plainly(peer, self._spec.plaintext_networks):
            reason = "plaintext"
        elif self._stopping:
            reason = "stopping"
        else:
            reason = "" if self._has_place(peer) else "limit"
        if reason:
            shown = peer.certificate.fingerprint[:12] if peer.certificate is not None else None
            told.ConnectionRefused(door=self._spec.door, peer=peer.address, reason=reason, certificate=shown).emit()
            return None
        self._number += 1
        seat = Seat(peer, self._number)
        self._seats[seat] = None
        self._empty.clear()
        told.ConnectionOpened(door=self._spec.door, connection=seat.number, peer=seat.peer).emit()
        return seat

    def _has_place(self, peer: Peer) -> bool:
        """Return whether there is a place, or somebody has made one."""
        if len(self._seats) < self._spec.connection_limit:
            return True
        leaver = who_gives_way(self._seats, peer.address, self._spec.connection_limit)
        if leaver is None or self._pool is None:
            return False
        leaver.leaves = True
        channel = leaver.channel
        self._forget(leaver, "limit", 0 if channel is None else channel.served)
        if channel is not None:
            self._pool.later(lambda: channel.end("limit"))
        return True

    def _sit(self, seat: Seat, channel: Channel) -> None:
        """Join a place and its channel; on the server's thread."""
        seat.channel = channel
        channel.seat = seat
        if seat.leaves:  # for somebody else, before it sat
            channel.end("limit")

    def _lost(self, loop: asyncio.AbstractEventLoop, seat: Seat) -> None:
        """Give up the place of a connection that was gone before it sat; on the server's thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(self._forget, seat, "lost", 0)

    def _later(self, loop: asyncio.AbstractEventLoop, channel: Channel) -> None:
        """Give up the place of a channel that ended; on the server's thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(self._left, channel)

    def _left(self, channel: Channel) -> None:
        seat = channel.seat
        if isinstance(seat, Seat):
            self._forget(seat, channel.reason, channel.served)

    def _forget(self, seat: Seat, reason: str, served: int) -> None:
        if seat not in self._seats:
            return
        del self._seats[seat]
        if seat.relay is not None:
            seat.relay.finish(self._spec.linger_seconds)
        told.ConnectionClosed(
            door=self._spec.door,
            connection=seat.number,
            peer=seat.peer,
            reason=reason,
            messages=served,
            seconds=time.monotonic() - seat.opened,
        ).emit()
        if not self._seats:
            self._empty.set()
