"""
The receiver of `listen`: connections beside each other, on each one message after another, each answered as its manner says.

It holds no message longer than it takes to write its answer: while that waits, only the answer is kept. What the sender writes
ahead meanwhile waits in the operating system.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

from gateway.adapters.budget import Budget
from gateway.adapters.mllp.connection import APART_SECONDS
from gateway.adapters.mllp.frame import END, START, FrameError, FrameReader
from gateway.adapters.mllp.line import code_of, keep_alive
from gateway.adapters.tls import Reloading
from gateway.adapters.tls_listener import TlsListener, TlsSpec
from gateway.cli.listen_answers import Acks, Read, acknowledgments, read, refusal
from gateway.cli.listen_folder import Folder
from gateway.cli.listen_heard import Heard, Tally, heard
from gateway.cli.listen_manner import Act, Decision, Manner, decide
from gateway.config.addresses import join_address
from gateway.mappers.hl7v2 import batch
from gateway.mappers.hl7v2.header import salvage
from gateway.model.base import Model
from gateway.model.problem import Unreadable

#: The longest message, and what all connections hold together.
FRAME_BYTES: Final = 32 * 1024 * 1024
_ALL_BYTES: Final = 96 * 1024 * 1024
#: One more is closed at once.
MOST_CONNECTIONS: Final = 200

_CHUNK: Final = 64 * 1024
#: How long a sender has to read the last answer: a socket closed with unread bytes would destroy it on its way.
_LINGER_SECONDS: Final = 2.0


class Terms(Model, frozen=True, kw_only=True):
    """What a run is asked for."""

    manner: Manner = Manner()
    #: Messages after which it ends; None: none.
    count: int | None = None
    #: Whether content is reported.
    verbose: bool = False
    frame_bytes: int = FRAME_BYTES


class Prepared:
    """What is still to be done about one frame once its bytes are let go."""

    def __init__(self, answers: list[bytes], *, numbers: int = 0, left: int = 0, closes: bool = False) -> None:
        #: Frames to write, without framing.
        self.answers = answers
        #: As many messages are over with it.
        self.numbers = numbers
        #: As many are over when their sender closes: none of them is answered.
        self.left = left
        #: The connection is closed instead of an answer.
        self.closes = closes


class Receiver:
    """
    Listens, answers, reports.

    Args:
        terms: What is asked for.
        now: The clock.
        report: Called for each message as it comes, before its answer.
        fault: Called with words for each connection that is turned away or whose bytes are no whole frame.
        folder: Where messages are kept.
        tls: Our certificates; None: plain text.
    """

    def __init__(
        self,
        terms: Terms,
        *,
        now: Callable[[], datetime],
        report: Callable[[Heard], None],
        fault: Callable[[str], None],
        folder: Folder | None = None,
        tls: Reloading | None = None,
    ) -> None:
        """Keep the arguments; nothing is opened yet."""
        self._terms = terms
        self._now = now
        self._report = report
        self._fault = fault
        self._folder = folder
        self._tls = tls
        self.tally = Tally()
        #: Why it ended by itself, other than by the number of messages.
        self.failure: Exception | None = None
        self._numbers = itertools.count(1)
        self._acks = itertools.count(1)
        self._over = 0
        self._budget = Budget(_ALL_BYTES)
        self._speaking: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._stop = asyncio.Event()

    async def run(self, host: str, port: int, opened: Callable[[str, int], None]) -> None:
        """
        Listen until `stop` is called, or as many messages are over as were asked for.

        Args:
            host: Address to listen on.
            port: 0 takes a free one.
            opened: Called with the real address and port.

        Raises:
            OSError: the address is not one of this machine's, or the port is taken; whatever `report` and the folder raise.
        """
        loop = asyncio.get_running_loop()
        listener: TlsListener | asyncio.Server
        if self._tls is None:
            own = "127.0.0.1" if host == "localhost" else host
            listener = await loop.create_server(self._protocol, own, port)
            host, port = listener.sockets[0].getsockname()[:2]
        else:
            spec = TlsSpec(door="mllp", host=host, port=port)
            listener = TlsListener(spec, self._tls, may_knock=lambda _: True, enter=lambda *_: self._protocol())
            await listener.open()
            host, port = listener.host, listener.port
        try:
            opened(host, port)
            await self._stop.wait()
        finally:
            listener.close()
            await self._end()
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """End: what is not answered yet is not."""
        self._stop.set()

    # -- connections

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        return _Protocol(asyncio.StreamReader(limit=_CHUNK), self._begin)

    async def _end(self) -> None:
        """Close every connection, and give what was written to it time to leave."""
        writers = tuple(self._speaking.values())
        for task in tuple(self._speaking):
            task.cancel()
        await asyncio.gather(*self._speaking, return_exceptions=True)
        await asyncio.gather(*map(_closed, writers))

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection, in a task of our own: asyncio's complains where one is cancelled."""
        if self._stop.is_set():
            writer.close()
            return
        peer = join_address(*(writer.get_extra_info("peername") or ("unknown", 0))[:2])
        if len(self._speaking) >= MOST_CONNECTIONS:
            self.tally.turned_away += 1
            self._fault(f"{peer} was turned away: {len(self._speaking)} connections are open")
            writer.close()
            return
        self.tally.connections += 1
        line = _Line(self.tally.connections, peer, reader, writer, FrameReader(self._terms.frame_bytes))
        task = asyncio.get_running_loop().create_task(self._speak(line))
        self._speaking[task] = writer
        task.add_done_callback(lambda done: self._speaking.pop(done, None))

    async def _speak(self, line: "_Line") -> None:
        try:
            keep_alive(line.writer.get_extra_info("socket"))
            await self._hear(line)
        except OSError:  # the connection's: whoever was there is gone
            pass
        except Exception as failure:  # noqa: BLE001 - whatever it is ends the run, which raises it
            self._fail(failure)
        finally:
            self._budget.change(line.held, 0)
            await _closed(line.writer)
            self._done(line.left)

    async def _hear(self, line: "_Line") -> None:
        """Read frames and answer them until either end closes."""
        while True:
            chunk = await line.reader.read(_CHUNK)
            found = deque(line.frames.feed(chunk))
            last = None if chunk else line.frames.end()
            if last is not None:
                found.append(last)
            before, line.held = line.held, line.frames.held
            self._budget.change(before, line.held)
            if not found and self._budget.refuses(line.held):
                found.append(line.frames.give_up())
            while found:
                item = found.popleft()
                if isinstance(item, FrameError):
                    await self._lose(line, item)
                    return
                try:
                    prepared = self._prepare(item.payload, line)
                except Exception as failure:  # noqa: BLE001 - of the output or the folder: it ends the run, which raises it
                    self._fail(failure)
                    return
                del item  # only the answer is kept while it waits
                if prepared is None or not await self._deliver(prepared, line):
                    return
            if not chunk:
                return

    async def _lose(self, line: "_Line", error: FrameError) -> None:
        """Say that a frame could not be received whole, and close."""
        code = code_of(error)
        self.tally.faults += 1
        self._fault(f"connection {line.number} from {line.peer}: {code}, {error.size:,} bytes of a frame; closed")
        answer = refusal(error.head, code, control_id=self._control_id(), at=self._now())
        line.writer.write(START + answer + END)
        await line.writer.drain()
        line.writer.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while await line.reader.read(_CHUNK):
                    pass

    # -- messages

    def _prepare(self, payload: bytes, line: "_Line") -> Prepared | None:
        """Report what came in a frame and write its answers; None: it is one more than was asked for."""
        if self._is_full:
            return None
        bundle, refused = None, None
        try:
            bundle = batch.cut(payload)
        except Unreadable as unreadable:
            refused = Read(batch.salvaged(payload) or salvage(payload), None, unreadable.problems)
        messages = (payload,) if bundle is None else bundle.messages
        taken = [self._take(message, refused or read(message), line) for message in messages]
        decisions = [decision for decision, _ in taken]
        if any(decision.act is Act.DROP for decision in decisions):
            return Prepared([], numbers=len(taken), closes=True)
        acks = [found.payloads for _, found in taken]
        left = sum(decision.act is Act.NEVER for decision in decisions)
        if bundle is None:
            return Prepared(list(acks[0]), numbers=1 - left, left=left)
        firsts = iter([each[:1] for each in acks])
        groups = [list(itertools.chain.from_iterable(next(firsts) for _ in group.messages)) for group in bundle.groups]
        whole = batch.render(bundle, groups, control_id=self._control_id(), at=self._now())
        later = [ack for each in acks for ack in each[1:]]
        answers = [] if whole is None or left == len(taken) > 0 else [whole]
        return Prepared([*answers, *later], numbers=len(taken) - left, left=left)

    @property
    def _is_full(self) -> bool:
        """Whether as many messages came as were asked for."""
        return self._terms.count is not None and self.tally.deeds.total() >= self._terms.count

    def _take(self, payload: bytes, found: Read, line: "_Line") -> tuple[Decision, Acks]:
        number, at = next(self._numbers), self._now()
        manner = self._terms.manner
        decision = decide(manner, number)
        acks = acknowledgments(found, decision, manner, control_id=self._control_id(), at=at)
        name = found.header.control_id if found.header else ""
        file = None if self._folder is None else self._folder.keep(name, payload)
        said = heard(
            found,
            decision,
            acks,
            number=number,
            at=at,
            peer=line.peer,
            connection=line.number,
            payload=payload,
            file=file,
            verbose=self._terms.verbose,
        )
        self.tally.add(said)
        self._report(said)
        return decision, acks

    async def _deliver(self, prepared: Prepared, line: "_Line") -> bool:
        """Write what is to be answered; tell whether the connection goes on."""
        manner = self._terms.manner
        line.left += prepared.left
        try:
            if prepared.closes:
                return False
            if prepared.answers and manner.delay:
                await asyncio.sleep(manner.delay)
            for number, answer in enumerate(prepared.answers):
                if number:
                    await asyncio.sleep(APART_SECONDS)
                await _write(line.writer, START + answer + END, manner.trickle)
            return not (manner.one_shot and prepared.answers)
        finally:
            self._done(prepared.numbers)

    def _fail(self, failure: Exception) -> None:
        self.failure = self.failure or failure
        self.stop()

    def _done(self, numbers: int) -> None:
        """Count messages that are over."""
        self._over += numbers
        if self._terms.count is not None and self._over >= self._terms.count:
            self.stop()

    def _control_id(self) -> str:
        return f"LISTEN-{next(self._acks):06}"


class _Protocol(asyncio.StreamReaderProtocol):
    """A connection whose end several can wait for, and stop waiting for, without a word to each other."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None],
    ) -> None:
        super().__init__(reader, connected)
        self.gone = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.gone.set()


class _Line:
    """One connection."""

    def __init__(
        self, number: int, peer: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frames: FrameReader
    ) -> None:
        self.number = number
        self.peer = peer
        self.reader = reader
        self.writer = writer
        self.frames = frames
        #: Bytes of an unended frame, as far as the budget knows.
        self.held = 0
        #: Messages that are over when the sender closes.
        self.left = 0


async def _write(writer: asyncio.StreamWriter, data: bytes, pause: float) -> None:
    """Write an answer, at once or byte by byte."""
    pieces = [data] if not pause else [data[at : at + 1] for at in range(len(data))]
    for number, piece in enumerate(pieces):
        if number:
            await asyncio.sleep(pause)
        writer.write(piece)
        await writer.drain()


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection and wait until what was written has left, or break it off: whoever reads nothing holds up nobody."""
    writer.close()
    protocol = writer.transport.get_protocol()
    if not isinstance(protocol, _Protocol):
        return
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            await protocol.gone.wait()
    except TimeoutError:
        writer.transport.abort()
