"""
The one thread that touches the queue's file.

Whatever waits when it is free goes into one transaction (group commit): under load a commit's cost is shared, an idle queue waits
for nobody.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final, Protocol

from gateway.model.outcome import Outcome
from gateway.model.ports import Unavailable
from gateway.queue.embedded import file
from gateway.queue.telling import UNAVAILABLE, fail, give, on_loops
from gateway.telemetry import points

#: At most so many bytes in one transaction, the first deposit excepted.
_GROUP_BYTES: Final = 32 * 1024 * 1024
#: An empty queue that nobody writes to for so long is tidied.
_IDLE_SECONDS: Final = 0.2
#: One that does not get empty is tidied anyway, whenever so much time has passed since the last time.
TIDY_SECONDS: Final = 60.0
#: When to try again if a reader was in the way.
_AGAIN_SECONDS: Final = 1.0
#: At most so many free pages are given back while deposits wait: whoever publishes meanwhile waits for as long.
_TIDY_PAGES: Final = 2000


class Insert:
    """A deposit to make durable, and those who wait: for the confirm, then for the outcome."""

    __slots__ = ("confirmed", "id", "loop", "outcome", "row", "sealed", "sealed_on")

    def __init__(self, row: file.Row, sealed: bytes, loop: asyncio.AbstractEventLoop, sealed_on: int) -> None:
        self.row = row
        self.sealed = sealed
        #: Day of its key.
        self.sealed_on = sealed_on
        self.loop = loop
        self.confirmed: asyncio.Future[None] = loop.create_future()
        self.outcome: asyncio.Future[Outcome] = loop.create_future()
        #: Given by the commit.
        self.id = 0


class Delete:
    """Settled deposits to remove."""

    __slots__ = ("done", "ids")

    def __init__(self, ids: tuple[int, ...]) -> None:
        self.ids = ids
        self.done: Future[None] = Future()


class Fetch:
    """Sealed bytes to read."""

    __slots__ = ("done", "ids")

    def __init__(self, ids: tuple[int, ...]) -> None:
        self.ids = ids
        self.done: Future[list[bytes]] = Future()


Command = Insert | Delete | Fetch


class Ledger(Protocol):
    """Who keeps account of what is in the file; called by the writer's thread."""

    def landed(self, inserts: Sequence[Insert]) -> None:
        """Take note of deposits that were committed, before anybody is told."""
        ...

    def lost(self, inserts: Sequence[Insert]) -> None:
        """Take note of deposits that did not get into the file."""
        ...


class Writer:
    """The thread, its connection and what waits for it."""

    def __init__(self, connection: sqlite3.Connection, held: int, ledger: Ledger, *, tidy_seconds: float = TIDY_SECONDS) -> None:
        """
        Start the thread.

        Args:
            connection: Given over: nobody else uses it from here on.
            held: How many deposits the file holds.
            ledger: Told of every insert's end.
            tidy_seconds: How long the file may go untidied while it holds deposits.
        """
        self._connection = connection
        self._held = held
        self._ledger = ledger
        self._waiting: deque[Command] = deque()
        self._condition = threading.Condition()
        self._closing = False
        self._untidy = True
        self._tidy_seconds = tidy_seconds
        self._tidy_at = time.monotonic() + tidy_seconds
        #: Name of the last error, until a commit succeeds.
        self.failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="queue-writer", daemon=True)
        self._thread.start()

    def add(self, command: Command) -> None:
        """
        Let a command wait for the next transaction.

        Raises:
            Unavailable: closing.
        """
        with self._condition:
            if self._closing:
                raise Unavailable(UNAVAILABLE)
            self._waiting.append(command)
            self._condition.notify()

    def withdraw(self, insert: Insert) -> bool:
        """Take back an insert; return whether it was not yet begun."""
        with self._condition:
            try:
                self._waiting.remove(insert)
            except ValueError:
                return False
            return True

    def close(self, timeout_seconds: float) -> None:
        """Write what waits, end the thread, close the file; give up waiting for it after a time."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        try:
            while (group := self._next_group()) is not None:
                if group:
                    self._handle(group)
                if not group or self._overdue():
                    self._tidy()
            self._tidy()
        finally:
            with self._condition:
                self._closing = True
                left = list(self._waiting)
                self._waiting.clear()
            self._refuse(left)
            self._connection.close()

    def _next_group(self) -> list[Command] | None:
        """Return what waits; nothing when it is time to tidy; None at the end."""
        with self._condition:
            while not self._waiting:
                if self._closing:
                    return None
                if not self._condition.wait(self._until_tidying()) and self._untidy:
                    return []
            group: list[Command] = []
            size = 0
            while self._waiting:
                command = self._waiting[0]
                size += command.row.size if isinstance(command, Insert) else 0
                if group and size > _GROUP_BYTES:
                    break
                group.append(self._waiting.popleft())
            return group

    def _handle(self, group: Sequence[Command]) -> None:
        inserts = [command for command in group if isinstance(command, Insert)]
        deletes = [command for command in group if isinstance(command, Delete)]
        if (inserts or deletes) and not self._write(inserts, deletes) and inserts and deletes:
            # A disk too full for a deposit may still have room to let one go.
            self._write([], deletes)
        self._refuse([command for command in deletes if not command.done.done()])
        for command in group:
            if isinstance(command, Fetch):
                self._fetch(command)

    def _write(self, inserts: Sequence[Insert], deletes: Sequence[Delete]) -> bool:
        """Write one transaction and tell those who wait; return False if nothing of it was committed."""
        try:
            removed = self._commit(inserts, deletes)
        except Exception as failure:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self._failed(failure)
            with contextlib.suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            self._ledger.lost(inserts)
            self._refuse(inserts)
            return False
        self.failure = None
        self._untidy = True
        self._held += len(inserts) - removed
        self._ledger.landed(inserts)
        try:
            for _ in inserts:
                points.reach("queue.publish.committed")
            for _ in deletes:
                points.reach("queue.settle.committed")
        except Exception as failure:  # noqa: BLE001 - committed, but nobody is told so: the case of a lost answer
            self._failed(failure)
            self._refuse([*inserts, *deletes])
            return True
        on_loops((insert.loop, partial(give, insert.confirmed, None)) for insert in inserts)
        for delete in deletes:
            delete.done.set_result(None)
        return True

    def _commit(self, inserts: Sequence[Insert], deletes: Sequence[Delete]) -> int:
        """Return how many rows were removed."""
        self._connection.execute("BEGIN IMMEDIATE")
        removed = 0
        for delete in deletes:
            removed += file.delete(self._connection, delete.ids)
            points.reach("queue.settle.written")
        for insert in inserts:
            points.reach("queue.publish.begun")
            insert.id = file.insert(self._connection, insert.row, insert.sealed)
            points.reach("queue.publish.written")
        self._connection.execute("COMMIT")
        return removed

    def _fetch(self, command: Fetch) -> None:
        try:
            command.done.set_result(file.sealed(self._connection, command.ids))
        except Exception as failure:  # noqa: BLE001 - as in `_write`
            self._failed(failure)
            self._refuse([command])

    def _until_tidying(self) -> float | None:
        """Return how many seconds of silence end in tidying; None if there is nothing to tidy."""
        if not self._untidy:
            return None
        return max(0.0, self._tidy_at - time.monotonic()) if self._held else _IDLE_SECONDS

    def _overdue(self) -> bool:
        """Whether the file went untidied for too long: what was settled must not lie around while other deposits wait (D-7)."""
        return self._untidy and time.monotonic() >= self._tidy_at

    def _tidy(self) -> None:
        try:
            pages = _TIDY_PAGES if self._held or self._waiting else None
            self._untidy = not file.tidy(self._connection, pages=pages)
            wait = min(_AGAIN_SECONDS, self._tidy_seconds) if self._untidy else self._tidy_seconds
            self._tidy_at = time.monotonic() + wait
        except sqlite3.Error as failure:
            self._failed(failure)
            # Not again before something was written.
            self._untidy = False

    def _failed(self, failure: Exception) -> None:
        # The name only: a driver's text may hold a value.
        self.failure = getattr(failure, "sqlite_errorname", None) or type(failure).__name__

    @staticmethod
    def _refuse(commands: Iterable[Command]) -> None:
        inserts = []
        for command in commands:
            if isinstance(command, Insert):
                inserts.append(command)
            else:
                command.done.set_exception(Unavailable(UNAVAILABLE))
        on_loops((insert.loop, partial(fail, insert.confirmed)) for insert in inserts)
