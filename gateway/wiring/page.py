"""`/metrics`, `/healthz`, `/readyz`: what a monitor asks, over HTTP, on an address of the loopback interface."""

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

from gateway.config.addresses import split_address
from gateway.config.settings import OFF
from gateway.telemetry import events
from gateway.wiring.health import Showing, Shown

#: A monitor that says nothing for so long is let go.
_SILENT_SECONDS: Final = 5.0
#: How soon the end is noticed.
_POLL_SECONDS: Final = 0.1
#: How many may ask at once; one more is closed unread.
_ASKING: Final = 16
#: What is told of a process that lives and no longer does its work.
DEAD: Final = "a thread of it ended: its log tells why"

_Start = Callable[..., object]


def address(listen: str) -> tuple[str, int] | None:
    """Return host and port of the setting `metrics.listen`, which was checked; None: nobody listens."""
    host, port = split_address(listen)
    return None if listen == OFF or port is None else (host, port)


class Page:
    """
    Listens, from the start until `close`; on threads of its own, one for each that asks.

    Args:
        host: An address of the loopback interface.
        port: 0 takes a free one.
        showing: What is shown.
        pulse: Tells how the process is; None: it lives and no longer does its work.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, host: str, port: int, showing: Showing, pulse: Callable[[], str | None]) -> None:
        """Listen."""
        self._showing = showing
        self._pulse = pulse
        self._metrics = make_wsgi_app(showing.registry)
        kind = _Server6 if ":" in host else _Server
        try:
            self._server = kind((host, port), _Quiet)
        except OverflowError:
            raise OSError("no such port") from None
        self._server.set_app(self._answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), name="metrics", daemon=True)
        self._thread.start()
        shown = f"[{host}]" if ":" in host else host
        #: Where it is.
        self.url = f"http://{shown}:{self._server.server_port}/metrics"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_SILENT_SECONDS)

    def _answer(self, environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
        found = {"/metrics": self._show, "/healthz": self._live, "/readyz": self._ready}.get(environ["PATH_INFO"])
        if found is None:
            return _text(start, "404 Not Found", "/metrics, /healthz or /readyz")
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return _text(start, "405 Method Not Allowed", "GET", ("Allow", "GET, HEAD"))
        try:
            body = found(environ, start)
        except Exception as failure:  # noqa: BLE001 - a monitor must hear that something is wrong, the process goes on
            event = events.InternalError.of(failure, reason="page")
            event.emit()
            body = _text(start, "500 Internal Server Error", f"the log tells where, under {event.reference}")
        return body if environ["REQUEST_METHOD"] == "GET" else ()

    def _show(self, environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
        self._showing.look()
        body: Iterable[bytes] = self._metrics(environ, start)
        return body

    def _live(self, _environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
        status = self._pulse()
        return _text(start, "200 OK", status) if status is not None else _text(start, "503 Service Unavailable", DEAD)

    def _ready(self, _environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
        shown = self._showing.look()
        return _text(start, "503 Service Unavailable" if shown.missing else "200 OK", readiness(shown))


def readiness(shown: Shown) -> str:
    """Return the lines of /readyz: `ready`, or each check that fails with what is missing; then the notes."""
    lines = [f"not ready: {check}: {words}" for check, words in shown.missing.items()] or ["ready"]
    return "\n".join([*lines, *(f"note: {note}" for note in shown.notes)])


def _text(start: _Start, status: str, text: str, *headers: tuple[str, str]) -> Iterable[bytes]:
    body = f"{text}\n".encode()
    start(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *headers])
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection, up to a number."""

    daemon_threads = True
    #: What a monitor waits in while all threads are busy.
    request_queue_size = _ASKING

    def __init__(self, where: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(_ASKING)
        super().__init__(where, handler)

    def server_bind(self) -> None:
        # Not as the base class does, which asks the resolver for a name of this machine.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind(self.server_address)
        except OSError as failure:
            host, port = self.server_address[:2]
            raise OSError(failure.errno, f"{failure.strerror} (metrics.listen, {host!s}:{port})") from None
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whoever asked has gone, or asked in no way of HTTP."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    """Answers without a line for each request."""

    timeout = _SILENT_SECONDS
    server_version = "dmp-gateway"
    sys_version = ""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Write nothing."""
