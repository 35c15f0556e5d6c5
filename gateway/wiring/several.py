"""The health of several processes as that of one gateway: the supervisor asks each over the socket that it gave it."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec
from prometheus_client import CollectorRegistry, generate_latest

from gateway.telemetry import events
from gateway.telemetry.merging import Merged
from gateway.wiring.health import Health, Shown
from gateway.wiring.telling import LENGTH, Told

#: A process that does not answer for so long is frozen, or ends.
_ANSWER_SECONDS: Final = 2.0
#: How often each is asked where no monitor asks: what a process that dies had counted since is lost.
_ASK_SECONDS: Final = 5.0
#: Longer than an answer is nothing of ours.
_LONGEST: Final = 64 * 1024 * 1024


class Voice:
    """The supervisor's end of one process's socket, as long as the process lives."""

    def __init__(self) -> None:
        """Make the pair."""
        self._ours, self.theirs = socket.socketpair()
        self.told: Told | None = None
        self._fresh = asyncio.Event()
        self._asked = False
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Keep our end alone: the process has its own."""
        self.theirs.close()
        reader, self._writer = await asyncio.open_connection(sock=self._ours)
        self._listening = asyncio.create_task(self._listen(reader))

    async def ask(self) -> bool:
        """Ask how it is; tell whether it answered in time: `told` is new."""
        if self._writer is None or self._listening is None or self._listening.done():
            return False
        self._fresh.clear()
        if not self._asked:  # one that is frozen is not asked twice
            self._asked = True
            self._writer.write(b"?")
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._fresh.wait()
        except TimeoutError:
            return False
        return True

    def end(self) -> None:
        """Let go of both ends."""
        self.theirs.close()
        if self._listening is not None:
            self._listening.cancel()
        if self._writer is not None:
            self._writer.close()
        else:
            self._ours.close()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError, msgspec.MsgspecError):
            while (length := int.from_bytes(await reader.readexactly(LENGTH))) <= _LONGEST:
                self.told = msgspec.json.decode(await reader.readexactly(length), type=Told)
                self._asked = False
                self._fresh.set()


class Process(Protocol):
    """One of those that are watched."""

    @property
    def name(self) -> str:
        """How it is called in a page."""
        ...

    @property
    def number(self) -> int:
        """Which of all it is."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether it lives."""
        ...

    @property
    def voice(self) -> Voice | None:
        """Where it is asked; None while it does not live."""
        ...


class Several:
    """
    What `gateway.wiring.health.Showing` asks for, of all processes together.

    Args:
        processes: Those that are watched.
    """

    def __init__(self, processes: Sequence[Process]) -> None:
        """Begin on the running loop: processes are asked there."""
        self._processes = tuple(processes)
        self._loop = asyncio.get_running_loop()
        self._asking = asyncio.Lock()
        self._merged = Merged()
        self._own = Health({"processes": self._unheard})
        self._silent: tuple[str, ...] = ()
        self._looking = threading.Lock()
        self.registry = CollectorRegistry()
        self.registry.register(self._merged)

    def look(self) -> Shown:
        """Ask every process; see `Showing.look`. Never on the loop."""
        with self._looking:
            return asyncio.run_coroutine_threadsafe(self.ask(), self._loop).result()

    def ended(self, process: Process) -> None:
        """Take note that a process has ended: what it counted stays."""
        self._merged.end(_key(process))

    async def keep(self) -> None:
        """Ask again and again, so that little is lost with a process that dies; until cancelled."""
        while True:
            try:
                await self.ask()
            except Exception as failure:  # noqa: BLE001 - the next time it may be told
                events.InternalError.of(failure, reason="several").emit()
            await asyncio.sleep(_ASK_SECONDS)

    async def ask(self) -> Shown:
        """Ask every process how it is."""
        async with self._asking:
            answered = await asyncio.gather(*(_ask(each) for each in self._processes))
            told = [(each, found) for each, found in zip(self._processes, answered, strict=True) if found is not None]
            for process, found in told:
                # One that ended while another was waited for has left what it had counted: it is not counted beside that.
                if process.voice is not None and process.voice.told is found:
                    self._merged.take(_key(process), found.metrics)
            self._silent = tuple(
                f"{each.name} {'does not answer' if each.is_running else 'does not run'}"
                for each, found in zip(self._processes, answered, strict=True)
                if found is None
            )
            own = self._own.look()
            self._merged.take("", generate_latest(self._own.registry).decode())
        missing = {check: [words] for check, words in own.missing.items()}
        notes: dict[str, None] = {}
        for process, found in told:
            notes |= dict.fromkeys(found.shown.notes)
            for check, words in found.shown.missing.items():
                missing.setdefault(check, []).append(f"{process.name}: {words}")
        return Shown(missing={check: "; ".join(words) for check, words in missing.items()}, notes=tuple(notes))

    def _unheard(self) -> str | None:
        return ", ".join(self._silent) or None


async def _ask(process: Process) -> Told | None:
    voice = process.voice
    if not process.is_running or voice is None or not await voice.ask():
        return None
    return voice.told


def _key(process: Process) -> str:
    return f"{process.number} {process.name}"
