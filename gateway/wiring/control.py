"""`gateway.sock`: verbs that write go through the running gateway (D-12)."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from gateway.model.base import Model
from gateway.telemetry import events

_NONE: Final = msgspec.Raw(b"null")
_REQUEST_BYTES: Final = 1024 * 1024
#: How long a caller has to say what it wants.
_REQUEST_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 60.0


class Request(Model, frozen=True, kw_only=True):
    """One verb with its arguments."""

    verb: str
    args: Mapping[str, msgspec.Raw] = {}


class Reply(Model, frozen=True, kw_only=True):
    """What the verb gave, or why it could not be run."""

    ok: bool
    #: JSON; null where there is none.
    result: msgspec.Raw
    error: str | None = None


class ControlServer:
    """
    Listens on a UNIX socket of mode 0600 and runs one verb per connection.

    Args:
        path: The socket's path.
        run: Runs a verb in a thread and gives its result as JSON; `LookupError` and `ValueError` become the reply's error.
    """

    def __init__(self, path: Path, run: Callable[[Request], bytes]) -> None:
        """Keep the path; `open` begins to listen."""
        self._path = path
        self._run = run
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        #: Callers whose request is not there yet.
        self._idle: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Begin to listen; a socket left by a dead process is replaced (the lock says that it is dead)."""
        self._path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        try:
            listening.bind(str(self._path))
            self._path.chmod(0o600)  # before it listens: nobody else ever gets in
            self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=_REQUEST_BYTES)
        except BaseException:
            listening.close()
            raise

    async def close(self) -> None:
        """Stop listening, take the socket away, finish the verbs in hand."""
        if self._server is None:
            return
        self._server.close()
        self._path.unlink(missing_ok=True)
        for caller in self._idle:
            caller.close()
        if self._running:
            await asyncio.wait(self._running, timeout=_ANSWER_SECONDS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        if serving is not None:
            self._running.add(serving)
            serving.add_done_callback(self._running.discard)
        self._idle.add(writer)
        try:
            line = await asyncio.wait_for(reader.readline(), _REQUEST_SECONDS)
            self._idle.discard(writer)
            if line.endswith(b"\n"):
                writer.write(msgspec.json.encode(await self._reply(line)) + b"\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # the caller is gone, says nothing, or says more than a request holds: nothing was begun
        finally:
            self._idle.discard(writer)
            writer.close()

    async def _reply(self, line: bytes) -> Reply:
        try:
            request = msgspec.json.decode(line, type=Request)
            result = await asyncio.to_thread(self._run, request)
        except msgspec.DecodeError:
            return Reply(ok=False, result=_NONE, error="the request cannot be read")
        except (LookupError, ValueError, RuntimeError) as failure:
            return Reply(ok=False, result=_NONE, error=str(failure))
        except Exception as failure:  # noqa: BLE001 - the caller is told, the gateway goes on
            event = events.InternalError.of(failure, reason="verb")
            event.emit()
            return Reply(
                ok=False, result=_NONE, error=f"the gateway failed at this: its log tells where, under {event.reference}"
            )
        return Reply(ok=True, result=msgspec.Raw(result))


def ask(path: str, request: Request) -> Reply:
    """
    Ask the running gateway for a verb.

    Raises:
        OSError: nobody answers there.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_SECONDS)
        connection.connect(path)
        connection.sendall(msgspec.json.encode(request) + b"\n")
        with connection.makefile("rb") as answer:
            line = answer.readline()
    if not line.endswith(b"\n"):
        message = "the connection ended before the answer"
        raise ConnectionError(message)
    return msgspec.json.decode(line, type=Reply)
