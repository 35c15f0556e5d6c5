"""The HTTP door by itself: real sockets, the real table of routes, doubles behind it."""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Self

import msgspec

from gateway.adapters.http.call import Call, Reply
from gateway.adapters.http.engine import Engine
from gateway.adapters.http.registry import Access, Answered, Route
from gateway.adapters.http.server import HttpDoor
from gateway.adapters.http.spec import Spec
from gateway.model.source import Connection
from tests.unit.mllp.doubles import SETTINGS, CountedReceipts, KeptDeposits, KeptEvents, RunningClock

LOOPBACK = ("127.0.0.0/8", "::1/128")
SOURCES = SETTINGS.connections[0].sources


class Fine:
    """How the process is: as told."""

    def __init__(self) -> None:
        self.missing = ""

    def live(self) -> tuple[bool, str]:
        return True, "at work"

    def ready(self) -> tuple[bool, str]:
        return not self.missing, self.missing or "ready"

    def metrics(self) -> tuple[str, bytes]:
        return "text/plain; version=0.0.4", b"# nothing\n"


def echo(call: Call) -> Reply:
    """Tell what was received: its length, and who sent it."""
    source = call.caller.source.id if call.caller.source is not None else ""
    return Reply(body=f"{len(call.body)} {source}".encode(), content_type="text/plain")


ECHO = Route(
    method="POST", path="/echo", name="echo", summary="What came.", access=Access.SOURCE, handler=echo, consumes=("text/plain",),
    answers=(Answered(status=200, text="Its length.", types=("text/plain",)),),
)  # fmt: skip
BROKEN = Route(
    method="GET", path="/broken", name="broken", summary="Fails.", access=Access.PUBLIC, handler=lambda _: 1 / 0,
    answers=(Answered(status=200, text="Never.", types=("text/plain",)),),
)  # fmt: skip


class Served:
    """
    An open door, on a loop in a thread.

    Args:
        changes: Of the spec.
        more: Routes beside those of the table.
    """

    def __init__(self, *, more: Callable[[Engine], Sequence[Route]] = lambda _: (ECHO, BROKEN), **changes: object) -> None:
        self.deposits, self.events, self.health = KeptDeposits(), KeptEvents(), Fine()
        spec = Spec(
            environment="test",
            directory=SETTINGS.directory,
            connections=(Connection(door="http", networks=LOOPBACK, sources=SOURCES),),
            wait_seconds=0.5,
            threads=8,
            waiting_limit=4,
        )
        self._spec = msgspec.structs.replace(spec, **changes)
        self._more = more
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()

        async def open_door() -> HttpDoor:
            door = HttpDoor(
                self._spec, deposits=self.deposits, events=self.events, receipts=CountedReceipts(), clock=RunningClock(),
                health=self.health, version="1.0", more=self._more,
            )  # fmt: skip
            await door.open()
            return door

        try:
            self.door = asyncio.run_coroutine_threadsafe(open_door(), self._loop).result(20)
        except BaseException:
            self._end()
            raise
        self.port = self.door.port
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(0.5)
        self._end()

    def stop(self, seconds: float) -> None:
        asyncio.run_coroutine_threadsafe(self.door.stop(seconds), self._loop).result(30)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def connect(self, port: int | None = None) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port or self.port), timeout=20)

    def linked(self, opened: ExitStack, begun: bytes = b"", port: int | None = None) -> socket.socket:
        """Connect until `opened` ends, and send the beginning of something."""
        link = opened.enter_context(self.connect(port))
        link.sendall(begun)
        return link

    @property
    def held(self) -> int:
        """Bytes of bodies that the door holds."""
        assert self.door.shared is not None
        return self.door.shared.held

    def raw(self, data: bytes) -> bytes:
        """Send bytes as they are, and return all that comes until the door closes."""
        with self.connect() as link:
            link.sendall(data)
            return everything(link)

    def post(self, path: str, body: bytes, *headers: str, kind: str = "text/plain") -> "Answer":
        head = "\r\n".join(
            (f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers)
        )
        return answer(self.raw(head.encode() + b"\r\nConnection: close\r\n\r\n" + body))

    def get(self, path: str, *headers: str) -> "Answer":
        head = "\r\n".join((f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *headers))
        return answer(self.raw(head.encode() + b"\r\n\r\n"))


class Answer(msgspec.Struct):
    """One answer, read."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return msgspec.json.decode(self.body)["code"]


def everything(link: socket.socket) -> bytes:
    """Return what comes until the other end closes."""
    found = b""
    while True:
        try:
            data = link.recv(65_536)
        except ConnectionResetError:
            return found
        if not data:
            return found
        found += data


def answer(data: bytes) -> Answer:
    """Read the first answer of some bytes."""
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1."), data[:200]
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    return Answer(int(first.split()[1]), headers, body[: int(headers.get("content-length", len(body)))])
