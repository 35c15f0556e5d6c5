"""
The sending side of MLLP: one connection, messages out, answers in, each answer given to the message it answers.

It holds no message back and sends none a second time: whether to send again is for the sender to decide.
"""

import asyncio
import enum
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, Self

import msgspec

from gateway.cli.mistrust import CLOSED, mistrust
from gateway.cli.outgoing import END, START, Outgoing
from gateway.cli.underline import header_cells
from gateway.mappers.hl7v2.lines import lines_of

#: An answer longer than this is none.
LONGEST_ANSWER: Final = 4 * 1024 * 1024

_CHUNK: Final = 65_536
_CONNECT_SECONDS: Final = 10.0


class Silence(enum.StrEnum):
    """Why a message has no answer."""

    NOT_CONNECTED = "not_connected"
    TIMEOUT = "timeout"
    CUT = "cut"
    UNREADABLE = "unreadable"
    #: TLS: we do not take their certificate, or they do not take ours.
    NOT_TRUSTED = "not_trusted"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back for one message."""

    #: The answer without framing; None if there is none.
    answer: bytes | None = None
    silence: Silence | None = None
    #: From the first byte handed over to the answer, or to giving up.
    seconds: float


class _Pending:
    """A message on its way, until its answer comes or its time is over."""

    def __init__(self, message: Outgoing, began: float) -> None:
        self.control_id = message.control_id
        self.accepts_first = message.accepts_first
        self.began = began
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.timer: asyncio.TimerHandle | None = None

    def settle(self, now: float, answer: bytes | None, silence: Silence | None = None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if not self.reply.done():
            self.reply.set_result(Reply(answer=answer, silence=silence, seconds=now - self.began))


class Client:
    """A connection to an MLLP receiver, opened when it is needed and again after it was lost."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        wait: float,
        clock: Callable[[], float],
        in_turn: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """
        Prepare; nothing is opened yet.

        Args:
            host: Name or address of the receiver.
            port: Its port.
            wait: Seconds that an answer may take.
            clock: Seconds that never go back.
            in_turn: The next message waits for the answer to the one before. Then a late answer must not be taken for that of the
                next message, so that the connection is given up with the message; else late answers still find their place.
            tls: What we trust and show; None: plain text.
        """
        self._host = host
        self._port = port
        self._wait = wait
        self._clock = clock
        self._in_turn = in_turn
        self._tls = tls
        #: Why TLS failed, in words; None: it did not.
        self.mistrust: str | None = None
        #: Whether nobody knows the name of the receiver.
        self.is_unknown = False
        self._pending: deque[_Pending] = deque()
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._half_closed = False
        #: Answers that belong to no message sent on their connection.
        self.strays = 0

    async def __aenter__(self) -> Self:
        """Return the client; the connection is opened by the first message."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection; messages still on their way have no answer."""
        await self.close()

    async def post(self, message: Outgoing) -> asyncio.Future[Reply]:
        """
        Hand a message over.

        Args:
            message: Its bytes go out as they are; without an end of frame the connection is closed for writing after them.

        Returns:
            What will hold the reply; it never fails and is never cancelled from here.
        """
        began = self._clock()
        pending = _Pending(message, began)
        if self._half_closed:
            await self.close()
        if self._writer is None and not await self._open():
            pending.settle(self._clock(), None, Silence.NOT_TRUSTED if self.mistrust else Silence.NOT_CONNECTED)
            return pending.reply
        writer = self._writer
        if writer is None:
            pending.settle(self._clock(), None, Silence.CUT)
            return pending.reply
        self._pending.append(pending)
        pending.timer = asyncio.get_running_loop().call_later(self._wait, self._give_up, pending)
        try:
            writer.write(message.wire)
            await asyncio.wait_for(writer.drain(), self._wait)
            if not message.is_closed:
                self._half_closed = True
                if writer.can_write_eof():
                    writer.write_eof()
        except TimeoutError:
            pending.settle(self._clock(), None, Silence.TIMEOUT)
            self._lost(writer)
        except OSError:
            self._lost(writer)
        return pending.reply

    async def close(self) -> None:
        """Close the connection and wait until it is closed."""
        listening, writer = self._listening, self._writer
        if writer is not None:
            self._lost(writer)
            with suppress(OSError):
                await writer.wait_closed()
        if listening is not None:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
        self._listening = None

    async def _open(self) -> bool:
        if self._listening is not None:
            await self.close()
        try:
            opening = asyncio.open_connection(self._host, self._port, ssl=self._tls)
            reader, writer = await asyncio.wait_for(opening, min(self._wait, _CONNECT_SECONDS))
        except ssl.SSLError as failure:
            self.mistrust = mistrust(failure, self._host)
            return False
        # A refusal, a name that is not known, and asyncio's TimeoutError are the one, a name that cannot be one the other.
        except (OSError, UnicodeError) as failure:
            self.is_unknown = isinstance(failure, socket.gaierror | UnicodeError)
            if self._tls is not None and isinstance(failure, ConnectionResetError | ConnectionAbortedError):
                self.mistrust = CLOSED
            return False
        self._writer, self._half_closed = writer, False
        self._listening = asyncio.create_task(self._listen(reader, writer))
        return True

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held = bytearray()
        with suppress(OSError), self._alerted():
            while chunk := await reader.read(_CHUNK):
                held += chunk
                while (end := held.find(END)) >= 0:
                    self._take(bytes(held[held.find(START, 0, end) + 1 : end]))
                    del held[: end + len(END)]
                if len(held) > LONGEST_ANSWER:
                    break
        self._lost(writer)

    @contextmanager
    def _alerted(self) -> Iterator[None]:
        """Note why the other end ends TLS: with TLS 1.3 it looks at our certificate when we already write."""
        try:
            yield
        except ssl.SSLError as failure:
            self.mistrust = mistrust(failure, self._host)

    def _take(self, answer: bytes) -> None:
        """Give an answer to the oldest message that it can belong to."""
        code, control_id = acknowledged(answer)
        for pending in self._pending:
            if control_id and pending.control_id != control_id:
                continue
            if code == "CA" and pending.accepts_first:
                return
            self._pending.remove(pending)
            pending.settle(self._clock(), answer)
            return
        self.strays += 1

    def _give_up(self, pending: _Pending) -> None:
        """End the wait for one answer."""
        pending.settle(self._clock(), None, Silence.TIMEOUT)
        if self._in_turn and self._writer is not None:
            self._lost(self._writer)

    def _lost(self, writer: asyncio.StreamWriter) -> None:
        """Forget this connection: nothing sent on it will be answered any more."""
        writer.close()
        if writer is not self._writer:
            return
        self._writer = None
        while self._pending:
            self._pending.popleft().settle(self._clock(), None, Silence.NOT_TRUSTED if self.mistrust else Silence.CUT)


def acknowledged(answer: bytes) -> tuple[str, str]:
    """Return MSA-1 and MSA-2 as written; both empty if there is no MSA."""
    separator = header_cells(answer)[0] or b"|"
    line = next((line for _, line in lines_of(answer) if line.startswith(b"MSA")), b"MSA")
    cells = [cell.strip().decode("utf-8", "replace") for cell in line.split(separator)]
    cells += [""] * (3 - len(cells))
    return cells[1], cells[2]
