"""
waitress, made fit for strangers.

What it reads of a request is checked where it is lax, bounded where it is not, and refused as everything else is; who is at the
other end, the application knows by no header. waitress is chosen since it reads every body whole before a thread is taken, so
slow senders cost no thread; what it lacks is here: deadlines, the pairs of headers of a smuggler, a limit of chunk lines and of
all bodies together, and a close that lets the sender read why (D-12, ARCHITECTURE).
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, Protocol

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask

from gateway.adapters.budget import Budget
from gateway.adapters.http.application import PEER
from gateway.adapters.http.body import HOLD
from gateway.adapters.http.call import Refused, Reply
from gateway.adapters.http.parser import CHUNK_OVERHEAD, SLACK, Parser, Stopped, fields
from gateway.adapters.http.spec import HEADER_BYTES, Spec
from gateway.model.problem import Problem
from gateway.model.source import Peer

#: What is thrown away of a refused body, at most.
_DISCARD: Final = 64 * 1024 * 1024
#: waitress's own refusals, by status.
_CODES: Final = {413: "TOO_LARGE"}


class Gate(Protocol):
    """What a channel asks of the application beside WSGI."""

    def precheck(self, method: str, path: str, headers: Mapping[str, str], peer: Peer) -> Refused | None:
        """Return why a request is refused before its body is read, or None."""
        ...

    def refused_early(self, refused: Refused, path: str, headers: Mapping[str, str]) -> Reply:
        """Write and tell a refusal of the server itself."""
        ...


class Shared:
    """What all channels of a server share."""

    def __init__(self, spec: Spec, gate: Gate) -> None:
        """Begin with nothing held."""
        self.spec = spec
        self.gate = gate
        self._budget = Budget(spec.held_limit_bytes)
        self._lock = threading.Lock()
        self.stopping = False

    @property
    def held(self) -> int:
        """Bytes of bodies held by all connections."""
        return self._budget.held

    def change(self, before: int, after: int) -> None:
        """Note that a connection that held `before` bytes holds `after`."""
        with self._lock:
            self._budget.change(before, after)

    def refuses(self, held: int) -> bool:
        """Tell whether a connection that holds so many bytes has to give them up."""
        with self._lock:
            return self._budget.refuses(held)


def adjustments(spec: Spec) -> Adjustments:
    """Return waitress's settings: nothing of a request ever goes to a file, nothing is said of ourselves."""
    raw = CHUNK_OVERHEAD * spec.body_limit_bytes + SLACK
    return Adjustments(
        listen="127.0.0.1:0",
        ident=None,
        expose_tracebacks=False,
        log_socket_errors=False,
        max_request_header_size=HEADER_BYTES,
        max_request_body_size=raw,
        inbuf_overflow=2 * raw,
        outbuf_overflow=1 << 40,
        clear_untrusted_proxy_headers=False,
        # What comes is gone through on one thread, in pieces that cost the others little.
        recv_bytes=16_384,
    )


class _Told(ErrorTask):  # type: ignore[misc]  # waitress has no types
    """A refusal of the server itself, written as those of the application."""

    def execute(self) -> None:
        request, gate = self.request, self.channel.shared.gate
        error = request.error
        refused = error.refused if isinstance(error, Stopped) else _foreign(error, in_body=request.body_bytes_received > 0)
        reply = gate.refused_early(refused, request.path, fields(request))
        self.status = f"{reply.status} {HTTPStatus(reply.status).phrase}"
        self.response_headers.append(("Content-Type", reply.content_type))
        self.response_headers.extend(reply.headers)
        self.set_close_on_finish()
        self.channel.lingers = True
        body = b"" if request.command == "HEAD" else reply.body
        self.content_length = len(body)
        self.write(body)


class _Answered(WSGITask):  # type: ignore[misc]  # waitress has no types
    """A request answered by the application."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        peer = self.channel.peer
        environ[PEER] = peer
        environ[HOLD] = self.channel.hold
        environ["wsgi.url_scheme"] = "https" if peer.is_encrypted else "http"
        # waitress takes slashes away: `//fhir` is no other spelling of `/fhir`.
        environ["PATH_INFO"] = self.request.path
        return environ

    def execute(self) -> None:
        if self.channel.shared.stopping:
            self.set_close_on_finish()
        super().execute()


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """One connection."""

    request: Any
    requests: list[Any]
    task_class = _Answered
    error_task_class = _Told

    def __init__(self, server: Any, link: socket.socket, peer: Peer, shared: Shared, ended: Callable[["Channel"], None]) -> None:
        """
        Take a connection over; on the server's thread.

        Args:
            server: Whose thread it is.
            link: The connection, or our end of what carries it.
            peer: Who is at its other end.
            shared: What all channels share.
            ended: Called once, when nothing of it is left.
        """
        self.peer = peer
        self.shared = shared
        self.lingers = False
        self.reason = "peer"
        #: Whoever took it may leave something here.
        self.seat: object = None
        self.served = 0
        self._ended: Callable[[Channel], None] | None = ended
        self._held = 0
        #: Of it, bytes that were unpacked of the request that is answered now.
        self._unpacked = 0
        self._discarded = 0
        self._lingering_until: float | None = None
        self.opened = time.monotonic()
        self._quiet_since = self.opened
        limit, ask = shared.spec.body_limit_bytes, shared.gate.precheck
        self.parser_class = lambda adj: Parser(adj, limit, lambda method, path, headers: ask(method, path, headers, peer))
        super().__init__(server, link, (peer.address, peer.port), server.adj, map=server.map)
        # Closing takes it too, and may happen where it is held.
        self.requests_lock = threading.RLock()

    # -- what waitress calls on its thread

    def received(self, data: bytes) -> Any:
        """Read what came, count what is held."""
        done = super().received(data)
        self._count()
        with self.requests_lock:
            if self.request is not None and self.shared.refuses(self._held):
                self._stop_request(_overloaded())
        self._count()
        return done

    def readable(self) -> bool:
        """Whether something is expected of the other end."""
        return self._lingering_until is not None or bool(super().readable())

    def handle_read(self) -> None:
        """Read, or throw away what comes after a refusal."""
        if self._lingering_until is None:
            super().handle_read()
            return
        with contextlib.suppress(OSError):
            data = self.recv(self.adj.recv_bytes)  # closes at the end of what comes
            self._discarded += len(data)
            if self._discarded > _DISCARD:
                self.handle_close()

    def writable(self) -> bool:
        """Whether something is to be written, or to be closed."""
        return self._lingering_until is None and bool(super().writable())

    def handle_write(self) -> None:
        """Write; after a refusal close our half, and let the other end read it: unread bytes would destroy it on its way."""
        if self.lingers and self.close_when_flushed and not self.requests:
            self._flush_exception(self._flush_some)
            if not self.connected:
                return  # nobody was there to read it
            if not self.total_outbufs_len and self.connected and not self.will_close:
                self._lingering_until = time.monotonic() + self.shared.spec.linger_seconds
                with contextlib.suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)
                return
        super().handle_write()

    def handle_close(self) -> None:
        """Close, and say so once."""
        super().handle_close()
        with self.requests_lock:
            if self.request is not None:
                self.request.close()
                self.request = None
            # The first one is with a thread, or waits for one, which gives it up; the others nobody will.
            del self.requests[1:]
        self._count()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self)

    def handle_expt(self) -> None:
        """Out-of-band data is of no meaning here."""
        self.handle_close()

    # -- what a worker thread calls

    def service(self) -> None:
        """Answer one request."""
        try:
            super().service()
        finally:
            self._unpacked = 0
            if not self.connected:
                with self.requests_lock:
                    self.requests = []
        self.served += 1
        self._quiet_since = time.monotonic()
        self._count()

    def hold(self, size: int) -> None:
        """
        Note that the request that is answered holds so many more bytes.

        Raises:
            Refused: OVERLOADED: all connections together hold too much.
        """
        self._unpacked += size
        self._count()
        if self.shared.refuses(self._held):
            raise _overloaded()

    # -- what the server's thread asks each second

    @property
    def awaits_nobody(self) -> bool:
        """Whether no answer of ours is awaited on it."""
        return not self.requests and not self.total_outbufs_len

    def keep_time(self, now: float) -> None:
        """Close, or refuse, what takes too long (`time.monotonic`)."""
        spec = self.shared.spec
        if self._lingering_until is not None:
            if now > self._lingering_until:
                self.end("fault")
        elif self.total_outbufs_len:
            if time.time() - self.last_activity > spec.unread_seconds:
                self.end("unread")
        elif self.requests:
            return
        elif self.request is None:
            if now - self._quiet_since > spec.idle_seconds:
                self.end("idle")
        elif now > self._deadline():
            with self.requests_lock:
                if self.request is not None:
                    self._stop_request(Refused(Problem(code="HTTP_TIMEOUT")))
            self._count()

    def end(self, reason: str) -> None:
        """Close at once."""
        self.reason = reason
        self.handle_close()

    def _deadline(self) -> float:
        request, spec = self.request, self.shared.spec
        begun = float(request.begun)
        if not request.headers_finished:
            return begun + spec.header_seconds
        return begun + spec.header_seconds + spec.body_seconds + float(request.body_bytes_received) / spec.least_rate

    def _stop_request(self, refused: Refused) -> None:
        """Refuse the request that is being read; under `requests_lock`."""
        self.request.stop(refused)
        self.sent_continue = False
        self.requests.append(self.request)
        self.request = None
        if len(self.requests) == 1:
            self.server.add_task(self)

    def _count(self) -> None:
        with self.requests_lock:
            held = sum(request.held for request in self.requests)
            held += self._unpacked + (self.request.held if self.request is not None else 0)
            before, self._held = self._held, held
            self.shared.change(before, held)


def _overloaded() -> Refused:
    return Refused(Problem(code="OVERLOADED"), headers=(("Retry-After", "5"),))


def _foreign(error: Any, *, in_body: bool) -> Refused:
    code = int(getattr(error, "code", 400))
    ours = _CODES.get(code) or ("HTTP_BODY_INVALID" if in_body and code == 400 else "HTTP_REQUEST_INVALID")
    return Refused(Problem(code=ours), status=code if code in {431, 501} else None)
