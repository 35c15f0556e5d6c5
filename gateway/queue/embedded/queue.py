"""The embedded queue: what memory knows of the file, and the promises of `gateway.queue.port.Queue`."""

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from gateway.model.base import Model
from gateway.model.lane_day import LanePassed
from gateway.model.outcome import Outcome
from gateway.model.ports import Unavailable
from gateway.model.submission import Deposit
from gateway.queue import lanes, wire
from gateway.queue.embedded import file
from gateway.queue.embedded.writer import TIDY_SECONDS, Delete, Fetch, Insert, Writer
from gateway.queue.errors import Damaged, KeysUnusable, Unopened
from gateway.queue.keys import Keys
from gateway.queue.markers import marked_day, sealed_marker
from gateway.queue.port import Delivery, Depth
from gateway.queue.seal import SEALED_LIMIT_BYTES, label, open_sealed, seal
from gateway.queue.telling import UNAVAILABLE, fail, give, on_loops
from gateway.telemetry import points

#: A deposit over this many bytes is packed and sealed beside the loop, not on it.
_ASIDE_BYTES: Final = 256 * 1024
_CLOSE_SECONDS: Final = 30.0
_REPORTED: Final = 5


class Settings(Model, frozen=True, kw_only=True):
    """Limits of the embedded queue."""

    #: Deposits in the file and on their way to it.
    limit_messages: int = 100_000
    #: Their sealed bytes.
    limit_bytes: int = 4 * 1024 * 1024 * 1024
    #: Sealed bytes of one deposit (D-11).
    sealed_limit_bytes: int = SEALED_LIMIT_BYTES
    #: Silence after which a publish counts as failed (D-2).
    confirm_timeout_seconds: float = 10.0
    #: How long the file may keep sealed bytes of settled deposits while it holds others (D-7).
    tidy_seconds: float = TIDY_SECONDS


def _silent(_receipt: str, _reason: str) -> None:
    """Tell nobody."""


class EmbeddedQueue:
    """
    The queue in one SQLite file. One process owns the file; one thread of it takes and settles, any loop publishes.

    Order is the order of commits, across all lanes. A publish that timed out before its transaction began is withdrawn; one that
    had begun may land. What cannot be opened is tried again after a restart.
    """

    def __init__(
        self, path: Path, keys: Keys, settings: Settings | None = None, *, unopened: Callable[[str, str], None] = _silent
    ) -> None:
        """
        Open the file, making it if need be; what it holds comes out again in order.

        Args:
            path: The file, in a folder that only the gateway's user enters.
            keys: The keys of this machine.
            settings: Limits; the defaults if None.
            unopened: Called with receipt id and class of error for each deposit that cannot be opened and stays queued.

        Raises:
            LayoutNewer: a newer gateway made the file.
            FileUnusable: the file cannot be opened or read.
        """
        self._keys = keys
        self._settings = settings or Settings()
        self._unopened_seen = unopened
        self._changed = threading.Condition()
        connection, queued = file.opened(path)
        #: The one lane that a day must have passed before its keys may go: the whole file, by its number.
        self.marked_lanes = (file.lane(file.number(connection)),)
        # All of these under `_changed`.
        self._queued = queued
        self._ready = deque(self._queued)
        self._in_hand: set[int] = set()
        self._unopened: dict[int, str] = {}
        #: Markers that were taken, with the days that they end.
        self._marks: dict[int, int] = {}
        self._waiters: dict[int, Insert] = {}
        self._messages = len(self._queued)
        self._bytes = sum(row.size for row in self._queued.values())
        self._closed = False
        self._keys_failed = False
        self._writer = Writer(connection, self._messages, self, tidy_seconds=self._settings.tidy_seconds)

    async def publish(self, deposit: Deposit) -> Awaitable[Outcome]:
        """Make a deposit durable; return once it is. See `Queue.publish`."""
        insert = await self._sealed(deposit)
        await self._durable(insert)
        return insert.outcome

    async def _durable(self, insert: Insert) -> None:
        self._admit(insert)
        try:
            async with asyncio.timeout(self._settings.confirm_timeout_seconds):
                await insert.confirmed
        except TimeoutError:
            raise Unavailable(UNAVAILABLE) from None
        finally:
            if not insert.id and self._writer.withdraw(insert):
                self.lost([insert])

    async def _sealed(self, deposit: Deposit) -> Insert:
        aside = sum(map(len, deposit.parts)) > _ASIDE_BYTES
        try:
            row, sealed = await asyncio.to_thread(self._seal, deposit) if aside else self._seal(deposit)
        except KeysUnusable:
            self._keys_failed = True
            raise Unavailable(UNAVAILABLE) from None
        self._keys_failed = False
        return Insert(row, sealed, asyncio.get_running_loop(), label(sealed).day)

    def _seal(self, deposit: Deposit) -> tuple[file.Row, bytes]:
        written = wire.encode(deposit)
        lane, receipt = lanes.lane(deposit, len(written)), deposit.reception.receipt
        sealed = seal(written, keys=self._keys, lane=lane, receipt=receipt, limit=self._settings.sealed_limit_bytes)
        return file.Row(lane, receipt, deposit.reception.received_at, len(sealed)), sealed

    def _admit(self, insert: Insert) -> None:
        """Count an insert in and hand it to the writer, if there is room."""
        size = insert.row.size
        with self._changed:
            full = self._messages >= self._settings.limit_messages or self._bytes + size > self._settings.limit_bytes
            # No deposit comes into the file behind the marker of its day, which is put there by this same way (D-7).
            late = not self._keys.counts(insert.sealed_on)
            if full or late or self._closed:
                raise Unavailable(UNAVAILABLE)
            # Before `_changed` is let go: `close` refuses those who come later, and writes those who came before.
            self._writer.add(insert)
            self._messages += 1
            self._bytes += size

    def landed(self, inserts: Sequence[Insert]) -> None:
        """Take note of committed deposits (the writer's thread)."""
        with self._changed:
            for insert in inserts:
                self._queued[insert.id] = insert.row
                self._ready.append(insert.id)
                self._waiters[insert.id] = insert
                # The file has them: what waits for an outcome need not hold the bytes.
                insert.sealed = b""
            self._changed.notify_all()

    def lost(self, inserts: Sequence[Insert]) -> None:
        """Take note of deposits that did not get into the file (the writer's thread, or who withdrew them)."""
        with self._changed:
            self._messages -= len(inserts)
            self._bytes -= sum(insert.row.size for insert in inserts)

    def take(self, limit: int, byte_limit: int, wait_seconds: float) -> list[Delivery]:
        """Hand out the next deposits, in order; nothing is acknowledged. See `Queue.take`."""
        deadline = time.monotonic() + wait_seconds
        while ids := self._next(limit, byte_limit, deadline):
            try:
                batch = self._open(ids)
                if batch:
                    points.reach("queue.taken")
                    return batch
            except BaseException:
                self._give_back(ids)
                raise
        return []

    def _next(self, limit: int, byte_limit: int, deadline: float) -> tuple[int, ...]:
        """Wait for deposits and take them in hand."""
        with self._changed:
            if self._closed:
                raise Unavailable(UNAVAILABLE)
            while not self._closed:
                if self._in_hand:
                    raise RuntimeError("the batch before is not settled")
                if self._ready:
                    break
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return ()
            ids: list[int] = []
            size = 0
            while self._ready and len(ids) < limit and not self._closed:
                size += self._queued[self._ready[0]].size
                if ids and size > byte_limit:
                    break
                ids.append(self._ready.popleft())
            self._in_hand.update(ids)
            return tuple(ids)

    def _open(self, ids: tuple[int, ...]) -> list[Delivery]:
        """Read and open deposits in hand; those that cannot be opened leave the hand and stay queued."""
        fetch = Fetch(ids)
        self._writer.add(fetch)
        batch, unopened, marks = [], {}, {}
        size = 0
        for place, (identifier, sealed) in enumerate(zip(ids, fetch.done.result(), strict=True)):
            if size > wire.TOGETHER_LIMIT_BYTES:
                self._give_back(ids[place:])
                break
            row = self._queued[identifier]
            try:
                opened = open_sealed(sealed, keys=self._keys, lane=row.lane, receipt=row.receipt)
                day = marked_day(opened, label(sealed).day)
                if day is not None:
                    marks[identifier] = day
                    continue
                deposit = wire.decode(opened)
                if deposit.reception.receipt != row.receipt:
                    raise Damaged("another receipt inside")
            except Unopened as reason:
                unopened[identifier] = type(reason).__name__
            else:
                batch.append(Delivery(id=identifier, receipt=row.receipt, lane=row.lane, size=row.size, deposit=deposit))
                size += sum(map(len, deposit.parts))
        if marks:
            with self._changed:
                self._in_hand.difference_update(marks)
                self._marks.update(marks)
        if unopened:
            with self._changed:
                self._in_hand.difference_update(unopened)
                self._unopened.update(unopened)
            for identifier, name in unopened.items():
                self._unopened_seen(self._queued[identifier].receipt, name)
        return batch

    def _give_back(self, ids: tuple[int, ...]) -> None:
        with self._changed:
            self._ready.extendleft(identifier for identifier in reversed(ids) if identifier in self._in_hand)
            self._in_hand.difference_update(ids)

    def settle(self, settled: Sequence[tuple[Delivery, Outcome]]) -> None:
        """Remove deliveries durably, then give their outcomes to whoever waits. See `Queue.settle`."""
        outcomes = {delivery.id: outcome for delivery, outcome in settled}
        if not outcomes:
            return
        with self._changed:
            if not outcomes.keys() <= self._in_hand:
                raise ValueError("a delivery is settled that is not in hand")
        delete = Delete(tuple(outcomes))
        self._writer.add(delete)
        delete.done.result()
        with self._changed:
            rows = [self._queued.pop(identifier) for identifier in outcomes]
            self._messages -= len(rows)
            self._bytes -= sum(row.size for row in rows)
            self._in_hand.difference_update(outcomes)
            waiters = [self._waiters.pop(identifier) for identifier in outcomes if identifier in self._waiters]
        on_loops((insert.loop, partial(give, insert.outcome, outcomes[insert.id])) for insert in waiters)

    # -- markers: `gateway.queue.markers.Marked`

    def mark(self, asked: Sequence[str], day: int) -> tuple[str, ...]:
        """Put the marker of a day behind all that is in the file; see `Marked.mark`."""
        if tuple(asked) != self.marked_lanes:
            raise ValueError("this file is another lane")
        try:
            asyncio.run(self._mark(day))
        except Unavailable:
            return ()
        return self.marked_lanes

    async def _mark(self, day: int) -> None:
        receipt, sealed = sealed_marker(self._keys, lanes.MIDNIGHT, day)
        row = file.Row(lanes.MIDNIGHT, receipt, self._keys.now().isoformat(), len(sealed))
        await self._durable(Insert(row, sealed, asyncio.get_running_loop(), label(sealed).day))

    def passed(self) -> tuple[LanePassed, ...]:
        """Return the day that the file has passed; see `Marked.passed`."""
        with self._changed:
            if not self._marks:
                return ()
            # What cannot be opened stays, and with it the keys that it may need one day.
            first = next((each for each, row in self._queued.items() if row.lane != lanes.MIDNIGHT), None)
            today = self._keys.today()
            days = [day for each, day in self._marks.items() if (first is None or each < first) and day < today]
        return (LanePassed(lane=self.marked_lanes[0], day=max(days)),) if days else ()

    def settle_passed(self, passed: Sequence[LanePassed]) -> None:
        """Remove the markers of what is on record; see `Marked.settle_passed`."""
        through = max((each.day for each in passed if each.lane in self.marked_lanes), default=-1)
        with self._changed:
            gone = tuple(each for each, day in self._marks.items() if day <= through)
        if not gone:
            return
        delete = Delete(gone)
        self._writer.add(delete)
        delete.done.result()
        with self._changed:
            for each in gone:
                del self._marks[each]
                self._waiters.pop(each, None)
                self._messages -= 1
                self._bytes -= self._queued.pop(each).size

    def depth(self) -> tuple[Depth, ...]:
        """Return what every lane that carries deposits holds. See `Queue.depth`."""
        waiting: dict[str, list[str]] = {lane: [] for lane in lanes.CARRYING}
        with self._changed:
            rows = [row for row in self._queued.values() if row.lane != lanes.MIDNIGHT]
            in_hand = Counter(self._queued[each].lane for each in self._in_hand)
        for row in rows:
            waiting.setdefault(row.lane, []).append(row.received_at)
        return tuple(
            Depth(lane=lane, waiting=len(times), oldest=min(times, default=None), in_hand=in_hand[lane])
            for lane, times in waiting.items()
        )

    def stopped_by(self) -> list[str]:
        """Return what keeps the queue from taking deposits, in codes; what it cannot open is none of it."""
        found = []
        if self._keys_failed:
            found.append("cannot seal: keys unusable")
        if self._writer.failure is not None:
            found.append(f"cannot write: {self._writer.failure}")
        with self._changed:
            if self._messages >= self._settings.limit_messages or self._bytes >= self._settings.limit_bytes:
                found.append(f"full: {self._messages} deposits, {self._bytes} bytes")
        return found

    def problem(self) -> str | None:
        """Return what keeps the queue from its work, in ids and codes, or None. See `Queue.problem`."""
        found = self.stopped_by()
        with self._changed:
            if self._unopened:
                named = [f"{self._queued[each].receipt} ({name})" for each, name in self._unopened.items()]
                more = f" and {len(named) - _REPORTED} more" if len(named) > _REPORTED else ""
                found.append(f"cannot open: {', '.join(named[:_REPORTED])}{more}")
        return "; ".join(found) or None

    def close(self) -> None:
        """Finish what is being written, let the waiting go, give back the file. See `Queue.close`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._writer.close(_CLOSE_SECONDS)
        with self._changed:
            waiters = list(self._waiters.values())
            self._waiters.clear()
        on_loops((insert.loop, partial(fail, insert.outcome)) for insert in waiters)
