"""`serve` over a broker: doors and workers, each a process, as many as is configured, started again when one dies (D-12)."""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from gateway.config.addresses import join_address
from gateway.config.load import Loaded
from gateway.config.settings import OFF, Http, Mllp
from gateway.telemetry import events
from gateway.wiring.control import ControlServer, Request
from gateway.wiring.data import DataDirectory
from gateway.wiring.gateway import DRAIN_SECONDS
from gateway.wiring.page import Page, address
from gateway.wiring.ready import Ready
from gateway.wiring.several import Several, Voice
from gateway.wiring.trust import tls_address

#: How long a process may take until it is ready.
_START_SECONDS: Final = 60.0
#: Waits before a process is started again; one that lived for long begins with the first.
_AGAIN_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
_LIVED_SECONDS: Final = 60.0
#: How long it may take to drain, before it is killed.
_STOP_SECONDS: Final = DRAIN_SECONDS + 10.0


class NotStarted(Exception):
    """A process ended before it was ready; its own words are on standard error."""


class _Child:
    """One process of ours; `told`: it is asked how it is."""

    def __init__(self, role: str, arguments: Sequence[str], *, number: int, told: bool) -> None:
        self.role = self.name = role
        self.number = number
        self.voice: Voice | None = None
        #: Called when it has ended.
        self.ended: Callable[[_Child], None] = lambda _: None
        self._told = told
        self.arguments = tuple(arguments)
        self.process: asyncio.subprocess.Process | None = None
        self.ready = b""
        self.restarts = 0
        self._tries = 0

    @property
    def is_running(self) -> bool:
        """Whether it lives."""
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """
        Start it and wait until it is ready.

        Raises:
            NotStarted: it ended, or said nothing in time.
        """
        voice = Voice() if self._told else None
        theirs = (voice.theirs.fileno(),) if voice is not None else ()
        try:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "gateway.cli",
                *self.arguments,
                "--supervised",
                *(f"--tell={descriptor}" for descriptor in theirs),
                "--json",
                # Held open: its end tells the process that nobody watches it any more.
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=theirs,
            )
        except BaseException:
            if voice is not None:
                voice.end()
            raise
        if voice is not None:
            await voice.begin()
        self.voice = voice
        try:
            async with asyncio.timeout(_START_SECONDS):
                self.ready = await self.process.stdout.readline() if self.process.stdout else b""
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise NotStarted(f"{self.role} was not ready after {_START_SECONDS:.0f} s: its log lines tell why") from None
        if not self.ready:
            await self.process.wait()
            raise NotStarted(f"{self.role} did not start (status {self.process.returncode})")

    async def watch(self, stopping: asyncio.Event) -> None:
        """Start it again whenever it ends, until `stopping` is set."""
        while self.process is not None:
            begun = time.monotonic()
            code = await self.process.wait()
            self._end()
            if stopping.is_set():
                return
            if time.monotonic() - begun > _LIVED_SECONDS:
                self._tries = 0
            wait = _AGAIN_SECONDS[min(self._tries, len(_AGAIN_SECONDS) - 1)]
            self._tries += 1
            self.restarts += 1
            events.ProcessEnded(role=self.role, status=code, wait=wait).emit()
            await asyncio.sleep(wait)
            if stopping.is_set():
                return
            try:
                await self.start()
            except NotStarted:
                continue
            except OSError as failure:  # no memory, no room for a process: tried again like one that died
                events.ProcessUnstarted(role=self.role, error=errno.errorcode.get(failure.errno or 0, "OSError")).emit()

    def _end(self) -> None:
        voice, self.voice = self.voice, None
        if voice is not None:
            voice.end()
        self.ended(self)

    async def stop(self) -> None:
        """Ask it to finish; kill it if it does not."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        self._end()


class Supervisor:
    """
    Doors and workers of one machine.

    Args:
        loaded: The settings and where they came from.
        config: The file that they came from, given on to the processes.
        directory: The data directory.
    """

    def __init__(self, loaded: Loaded, config: Path | None, directory: DataDirectory) -> None:
        """Keep the settings; `run` starts the processes."""
        self._loaded = loaded
        self._config = config
        self._directory = directory
        self._children: list[_Child] = []

    async def run(self, ready: Callable[[Ready], None], stop: asyncio.Event) -> None:
        """
        Start workers, then doors; watch them until `stop` is set; stop doors, then workers.

        Args:
            ready: Called once every door listens.
            stop: Set to stop.

        Raises:
            Owned: another gateway owns the data directory.
            NotStarted: a process ended before it was ready, or was not ready in time.
            OSError: the port is taken.
        """
        settings = self._loaded.settings
        with self._directory.owned() as owner, contextlib.ExitStack() as ports:
            count, mllp, http = settings.processes.workers, settings.processes.doors, settings.processes.http
            workers = [self._worker(number, count) for number in range(1, count + 1)]
            doors = self._doors("mllp", settings.mllp, count + 1, mllp, ports)
            doors += self._doors("http", settings.http, count + mllp + 1, http, ports)
            self._children = [*workers, *doors]
            async with self._showing() as page:

                def say_ready() -> None:
                    said = _said_by(doors[0], doors[-1])
                    ready(msgspec.structs.replace(said, pid=os.getpid(), metrics=page))

                stopped_at = await self._serve(workers, doors, ControlServer(Path(owner.socket), self._answer), say_ready, stop)
        if stopped_at is not None:
            events.GatewayStopped(reason="asked", seconds=time.monotonic() - stopped_at).emit()

    async def _serve(
        self,
        workers: Sequence[_Child],
        doors: Sequence[_Child],
        control: ControlServer,
        ready: Callable[[], None],
        stop: asyncio.Event,
    ) -> float | None:
        """Start, watch, stop; return when it was asked to stop, `time.monotonic`, None if before it was ready."""
        stopping = asyncio.Event()
        watched: list[asyncio.Task[None]] = []
        try:
            if not await _unless(stop, _start(workers, doors)):
                return None
            watched = [asyncio.create_task(child.watch(stopping)) for child in self._children]
            await control.open()
            ready()
            await stop.wait()
            return time.monotonic()
        finally:
            stopping.set()
            await control.close()
            await asyncio.gather(*(child.stop() for child in doors))
            await asyncio.gather(*(child.stop() for child in workers))
            for task in watched:
                task.cancel()
            await asyncio.gather(*watched, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _showing(self) -> AsyncIterator[str | None]:
        """Show all processes on one page, where one is asked for; give its URL."""
        where = address(self._loaded.settings.metrics.listen)
        if where is None:
            yield None
            return
        several = Several(self._children)
        for child in self._children:
            child.ended = several.ended
        page = Page(*where, several, self.pulse)
        keeping = asyncio.create_task(several.keep())
        try:
            yield page.url
        finally:
            keeping.cancel()
            await asyncio.to_thread(page.close)

    def reload(self) -> None:
        """Have every door look at the files of `[tls]` now (SIGHUP)."""
        for child in self._children:
            if child.role in {"mllp", "http"} and child.process is not None and child.is_running:
                child.process.send_signal(signal.SIGHUP)

    def pulse(self) -> str | None:
        """Tell how many of its processes run, for the service manager."""
        run = sum(child.is_running for child in self._children)
        return f"{run} of {len(self._children)} processes run"

    def _common(self) -> tuple[str, ...]:
        config = ("--config", str(self._config)) if self._config is not None else ()
        return (*config, "--data", str(self._directory.path))

    def _child(self, role: str, number: int, *arguments: str) -> _Child:
        """Return a process of a role, which is its verb and perhaps a number; it is asked how it is where that is shown."""
        told = self._loaded.settings.metrics.listen != OFF
        return _Child(role, (role.split(maxsplit=1)[0], *self._common(), *arguments), number=number, told=told)

    def _worker(self, number: int, count: int) -> _Child:
        return self._child(f"worker {number}", number, "--number", str(number), "--of", str(count))

    def _doors(self, role: str, door: Mllp | Http, first: int, count: int, ports: contextlib.ExitStack) -> list[_Child]:
        """Return the processes of a door, numbered from `first`, and keep its ports for them; none: it is not opened."""
        if not count:
            return []
        port = ports.enter_context(_port(door.host, door.port))
        listen, tls = OFF, tls_address(door.tls_listen)
        if tls is not None:
            listen = join_address(tls[0], ports.enter_context(_port(*tls)).number)
        where = (f"--{role}-host", door.host, f"--{role}-port", str(port.number), f"--{role}-tls-listen", listen)
        return [self._child(role, number, *where, "--share-port") for number in range(first, first + count)]

    def _answer(self, request: Request) -> bytes:
        if request.verb != "status":
            message = f"{request.verb!r} goes straight to database and broker"
            raise LookupError(message)
        processes = [
            {"role": child.role, "pid": child.process.pid if child.process else None, "restarts": child.restarts}
            for child in self._children
        ]
        return msgspec.json.encode({"running": True, "pid": os.getpid(), "processes": processes})


async def _start(*groups: Sequence[_Child]) -> None:
    """Start a group once the one before is ready; where one does not start, the others are not waited for."""
    for group in groups:
        async with asyncio.TaskGroup() as tasks:
            for child in group:
                tasks.create_task(child.start())


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do the work, or leave it where `stop` is set first; tell whether it was done."""
    doing, asked = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({doing, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not doing.done():
        doing.cancel()
        await asyncio.wait({doing})
        return False
    try:
        doing.result()
    except* (NotStarted, OSError) as failed:
        raise _first(failed) from None
    return True


def _said_by(mllp: _Child, last: _Child) -> Ready:
    """Return where a gateway listens, of what the first door said and the last, which is that of HTTP if there is one."""
    said = msgspec.json.decode(mllp.ready, type=Ready)
    if last.role != "http":
        return said
    http = msgspec.json.decode(last.ready, type=Ready)
    return msgspec.structs.replace(
        said,
        http_host=http.http_host,
        http_port=http.http_port,
        http_tls_host=http.http_tls_host,
        http_tls_port=http.http_tls_port,
    )


def _first(failed: BaseExceptionGroup[Any]) -> BaseException:
    found = failed.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


class _port:  # noqa: N801 - used as a context manager
    """The port of the doors, kept for them while they come and go: bound, never listened on."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._address = (host, port)
        self.number = 0

    def __enter__(self) -> Self:
        try:
            self._socket.bind(self._address)
        except BaseException:
            self._socket.close()
            raise
        self.number = int(self._socket.getsockname()[1])
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
