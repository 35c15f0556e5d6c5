"""
One connection: its frames in order, one message at a time, an answer each, later ones in between (enhanced mode).

While a message is worked on the socket is not read: what the sender writes ahead waits in the operating system, so that a
connection holds one frame and one read. A lost boundary is answered where possible; then the connection listens for a moment
without reading anything into it, since closing a socket with unread bytes would destroy the answer on its way.

An application acknowledgment that is still to come (enhanced mode) holds nothing up: the next messages are read and answered
meanwhile, and it is sent, a frame of its own, once its message is decided. A connection waits for so many of them at most; with
more it is not read. Whoever is gone by then does not hear it: what it says is on the deposit (D-2).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from gateway.adapters.budget import Budget
from gateway.adapters.hl7v2.answers import Later
from gateway.adapters.hl7v2.session import Session
from gateway.adapters.mllp.frame import END, START, Frame, FrameError, FrameReader
from gateway.adapters.mllp.line import code_of, keep_alive
from gateway.model.ports import Unavailable
from gateway.telemetry import events as told
from gateway.telemetry import points

#: As many application acknowledgments of one connection may be still to come; then nothing more of it is read.
MOST_LATER: Final = 100

#: An outcome that was lost on its way never comes: it must not hold a place for ever.
LATEST_SECONDS: Final = 300.0
#: An application acknowledgment follows the frame before it no sooner: clients of the field (node-hl7-client, @medplum/hl7) take
#: what one read gives for one message, and would lose the second of two.
APART_SECONDS: Final = 0.02

#: How long a connection whose boundary is lost stays open for the sender to read the answer.
LINGER_SECONDS: Final = 10.0


class MllpConnection(asyncio.Protocol):
    """A connection of an admitted machine."""

    def __init__(
        self,
        *,
        door: str,
        number: int,
        peer: str,
        session: Session,
        frame_limit_bytes: int,
        budget: Budget,
        idle_timeout_seconds: float,
        now: Callable[[], datetime],
        ended: Callable[["MllpConnection"], None],
    ) -> None:
        """
        Take what the connection works with.

        Args:
            door: Way in.
            number: Of the connection in this process.
            peer: Address of the machine.
            session: Answers its messages.
            frame_limit_bytes: The longest message.
            budget: What all connections hold together.
            idle_timeout_seconds: How long it may say nothing, or leave an answer unread.
            now: The clock.
            ended: Called once, when nothing of it is left.
        """
        self._door = door
        self._number = number
        self._peer = peer
        self._session = session
        self._frames = FrameReader(frame_limit_bytes)
        self._budget = budget
        #: Bytes of its messages, unended, waiting or worked on, as far as the budget knows.
        self._held = 0
        #: Bytes of the message that is worked on.
        self._worked_on = 0
        self._idle_seconds = idle_timeout_seconds
        self._now = now
        self._ended = ended
        self._opened = now()
        self._waiting: deque[Frame | FrameError] = deque()
        self._worker: asyncio.Task[None] | None = None
        #: Application acknowledgments that are still to come.
        self._later: set[asyncio.Task[None]] = set()
        self._fewer = asyncio.Event()
        #: When the last frame was written, by the clock of the event loop.
        self._spoke = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None
        self._messages = 0
        #: Why it closes, as soon as that is decided; nothing more is read then.
        self._reason: str | None = None
        self._lost = False

    @property
    def working(self) -> bool:
        """Whether a message is being worked on, or an answer to one is still to come."""
        return self._worker is not None or bool(self._later)

    @property
    def peer(self) -> str:
        """Address of the machine."""
        return self._peer

    @property
    def has_spoken(self) -> bool:
        """Whether a whole message of it was received."""
        return self._messages > 0 or self._worker is not None

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to listen."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("MLLP is spoken over a stream")
        self._transport = transport
        keep_alive(transport.get_extra_info("socket"))
        told.ConnectionOpened(door=self._door, connection=self._number, peer=self._peer).emit()
        self._rearm()

    def data_received(self, data: bytes) -> None:
        """Read frames; stop reading as soon as there is one."""
        if self._reason is not None:
            return
        self._rearm()
        found = self._frames.feed(data)
        self._count(found)
        if not found and self._budget.refuses(self._held):
            found = [self._frames.give_up()]
            self._count()
        if found:
            self._work(found)

    def eof_received(self) -> bool:
        """Answer what was received; the sender may still listen."""
        if self._reason is not None:
            return False
        self._reason = "peer"
        last = self._frames.end()
        if last is not None:
            self._work([last])
        return self.working

    def connection_lost(self, exc: Exception | None) -> None:
        """Note a message that broke off; one that is worked on is finished, its answer is not heard."""
        self._lost = True
        self._writable.set()
        for task in tuple(self._later):
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self._frames.inside and self._reason is None:
            self._refused(self._frames.end())
        self._frames.forget()
        self._count()
        self._reason = self._reason or ("lost" if exc else "peer")
        self._end_if_done()

    def pause_writing(self) -> None:
        """Wait with the next answer: the sender does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable.set()

    # -- what the door calls

    def drain(self) -> None:
        """Read no more, answer what was fully received, wait for the answers that are still to come, close."""
        if self._reason is None:
            self._pause()
            self._reason = "stopped"
        if not self.working:
            self._close()

    def give_way(self) -> None:
        """Close, for another one that has no place; nothing is being worked on."""
        self._reason = self._reason or "replaced"
        self._close()

    def cut(self) -> None:
        """Close at once; what is worked on is left, its sender has no answer."""
        self._reason = self._reason or "stopped"
        if self._worker is not None:
            self._worker.cancel()
        for task in tuple(self._later):
            task.cancel()
        if self._transport is not None:
            self._transport.abort()

    # -- work

    def _work(self, found: list[Frame | FrameError]) -> None:
        self._waiting.extend(found)
        if self._worker is None:
            self._pause()
            self._worker = asyncio.get_running_loop().create_task(self._answer_all())
            self._worker.add_done_callback(self._worked)

    async def _answer_all(self) -> None:
        try:
            while self._waiting and not self._lost:
                await self._room()
                await self._answer(self._waiting.popleft())
                await asyncio.sleep(0)  # many small frames of one sender must not keep the others waiting
        except TimeoutError:
            self._reason = "unread"
        except Exception as error:  # noqa: BLE001 - no answer is a reason to send again; a wrong one would not be
            told.InternalError.of(error, door=self._door, reason="connection").emit()
            self._reason = "error"

    async def _room(self) -> None:
        """Wait until there is room for another application acknowledgment; whoever goes meanwhile waits no longer."""
        while len(self._later) >= MOST_LATER and not self._lost:
            self._fewer.clear()
            await self._fewer.wait()

    async def _answer(self, item: Frame | FrameError) -> None:
        if isinstance(item, Frame):
            self._worked_on = len(item.payload)
            answers = await self._session.answers(item.payload)
            answer = answers.first
            self._messages += 1
            self._worked_on = 0
        else:
            answer, answers = self._refused(item), None
            self._reason = self._reason or "fault"
        following = () if answers is None else answers.later
        try:
            if answer is not None:
                await self._write(answer)
        except BaseException:
            for later in following:
                later.dropped("gone")
            raise
        for later in following:
            self._follow(later)

    async def _write(self, answer: bytes) -> bool:
        """Send an answer, and wait until its reader takes some; tell whether anybody is there to hear it."""
        if self._transport is None or self._transport.is_closing():
            return False
        points.reach("door.answered")
        self._transport.write(START + answer + END)
        self._spoke = asyncio.get_running_loop().time()
        if not self._writable.is_set():
            async with asyncio.timeout(self._idle_seconds):
                await self._writable.wait()
        return True

    def _follow(self, later: Later) -> None:
        """Send an application acknowledgment once it is there."""
        if self._lost:
            later.dropped("gone")
            return
        task = asyncio.get_running_loop().create_task(self._send(later))
        self._later.add(task)
        task.add_done_callback(partial(self._followed, later))

    async def _send(self, later: Later) -> None:
        try:
            try:
                async with asyncio.timeout(LATEST_SECONDS):
                    answer = await later.answer()
            except TimeoutError:
                later.dropped("late")
                return
            if answer is None:
                return
            # Whatever is written meanwhile is the frame before it, another one of these too: no event could say when.
            while (rest := self._spoke + APART_SECONDS - asyncio.get_running_loop().time()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(rest)
            if not await self._write(answer):
                later.dropped("gone")
        except Unavailable:
            later.dropped("unknown")
        except TimeoutError:
            later.dropped("gone")
            self._reason = "unread"
            if self._transport is not None:
                self._transport.abort()
        except Exception as error:  # noqa: BLE001 - the message is taken: an answer less is no reason to close
            told.InternalError.of(error, door=self._door, reason="connection").emit()
            later.dropped("error")

    def _followed(self, later: Later, task: asyncio.Task[None]) -> None:
        """Go on, or close: one less is still to come."""
        if task.cancelled():  # perhaps before it began
            later.dropped("stopped" if self._reason == "stopped" else "gone")
        self._later.discard(task)
        self._fewer.set()
        if self._lost:
            self._end_if_done()
        elif self._reason is not None and not self.working:
            self._leave()

    def _refused(self, item: Frame | FrameError | None) -> bytes | None:
        """Return the answer to a frame that could not be received whole."""
        if not isinstance(item, FrameError):
            return None
        return self._session.refuse(code_of(item), item.head, item.size)

    def _count(self, found: Sequence[Frame | FrameError] = ()) -> None:
        """Tell the budget what is held now, `found` included."""
        frames = (len(item.payload) for item in (*self._waiting, *found) if isinstance(item, Frame))
        held = self._frames.held + self._worked_on + sum(frames)
        self._budget.change(self._held, held)
        self._held = held

    def _worked(self, _: asyncio.Task[None]) -> None:
        """Listen again, or close."""
        self._worker = None
        self._worked_on = 0
        self._waiting.clear()
        self._count()
        if self._lost:
            self._end_if_done()
        elif self._reason == "unread" and self._transport is not None:
            self._transport.abort()
        elif self._reason is not None:
            if not self._later:  # else they are waited for
                self._leave()
        else:
            self._rearm()
            self._resume()

    def _leave(self) -> None:
        """Close: nothing more is said. A sender that may still be at it is given a moment to read why."""
        transport = self._transport
        if self._reason != "fault":
            self._close()
            return
        if transport is None or transport.is_closing():
            return
        if transport.can_write_eof():
            transport.write_eof()
        self._rearm(min(LINGER_SECONDS, self._idle_seconds))
        self._resume()

    # -- time

    def _rearm(self, seconds: float | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds or self._idle_seconds, self._idle)

    def _idle(self) -> None:
        """Close what says nothing; while a message is worked on, or an answer is still to come, it is we who are awaited."""
        if self._worker is not None or (self._later and self._reason is None):
            self._rearm()
            return
        if self._reason is None:
            self._reason = "idle"
            last = self._frames.end()
            if isinstance(last, Frame):  # only the CR of its end block is missing
                self._work([last])
                return
            # Counted, not answered: the sender may still be at it, and takes no answer before it is done.
            self._refused(last)
        self._close()

    # -- socket

    def _pause(self) -> None:
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing() and not self._transport.is_reading():
            self._transport.resume_reading()

    def _close(self) -> None:
        """Close once what was written is sent; a peer that does not read it is not waited for."""
        if self._transport is None or self._lost:
            return
        self._transport.close()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.abort)

    def _end_if_done(self) -> None:
        if not self._lost or self.working:
            return
        told.ConnectionClosed(
            door=self._door,
            connection=self._number,
            peer=self._peer,
            reason=self._reason or "peer",
            messages=self._messages,
            seconds=(self._now() - self._opened).total_seconds(),
        ).emit()
        self._ended(self)
