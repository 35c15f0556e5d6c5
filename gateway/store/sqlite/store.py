"""The writer: one thread owns the writing connection; events go ahead of batches (D-12)."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from gateway.model.event import RecordEvent
from gateway.model.lane_day import LaneDay, LanePassed
from gateway.model.outcome import Outcome, Rejection
from gateway.model.ports import Clock, Unavailable
from gateway.model.submission import Deposit, Reception
from gateway.store.deposits import apply_deposit
from gateway.store.events import apply_event
from gateway.store.parking import park, review, set_aside
from gateway.store.port import Parked, Transient
from gateway.store.rejections import note_rejection
from gateway.store.retention import Busy, JobDone, Periods, run
from gateway.store.sqlite.connection import empty_log, open_writer
from gateway.store.sqlite.line import Kind, Line
from gateway.store.sqlite.transaction import SqliteTransaction
from gateway.store.transaction import Transaction
from gateway.telemetry import points

_T = TypeVar("_T")

#: How many rejections may wait to be written down; more are dropped and counted (ARCHITECTURE.md).
NOTES_LIMIT: Final = 10_000

#: Primary result codes that speak of the statement or its values; every other one speaks of the disk, the file, the memory or a
#: lock, and must never be taken for a deposit's fault: a damaged file would park every deposit.
_OF_THE_DATA: Final = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_MISUSE,
        sqlite3.SQLITE_RANGE,
    }
)


def is_transient(failure: sqlite3.Error) -> bool:
    """Tell whether a failure says nothing about the data: the same transaction may succeed later."""
    code: int | None = getattr(failure, "sqlite_errorcode", None)
    return code is not None and code & 0xFF not in _OF_THE_DATA


class _Job(Generic[_T]):
    """Something to run in one transaction, and where its result goes."""

    def __init__(self, run: Callable[[Transaction], _T], deadline: datetime | None = None) -> None:
        self.run = run
        self.deadline = deadline
        self.result: Future[_T] = Future()


class SqliteStore:
    """
    The record store in one SQLite file.

    Args:
        path: The file; its folder exists.
        clock: The time, injected.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        """Open the file, migrate it, start the writer thread."""
        self._clock = clock
        self._connection = self._open(path)
        self._upkeep = threading.Lock()
        #: Whether the write-ahead file may still hold what was erased.
        self._traces_left = False
        self._jobs: Line[_Job[Any] | None] = Line()
        self._notes: list[tuple[Reception, Rejection]] = []
        self._notes_asked = False
        self._notes_lock = threading.Lock()
        self.notes_dropped = 0
        self._stopped = False
        self._jobs_lock = threading.Lock()
        self._writer = threading.Thread(target=self._write, name="store-writer", daemon=True)
        self._begin()

    # The steps by which another way to run the same transactions may differ: in the caller's thread, on a database in memory.

    def _open(self, path: Path) -> sqlite3.Connection:
        return open_writer(path)

    def _begin(self) -> None:
        self._writer.start()

    def apply(self, batch: Sequence[Deposit]) -> list[Outcome]:
        """Apply deposits in order in one transaction; see `Store.apply`."""

        def run(tx: Transaction) -> list[Outcome]:
            points.reach("store.begun")
            outcomes = [apply_deposit(tx, deposit) for deposit in batch]
            points.reach("store.written")
            return outcomes

        outcomes = self._wait(Kind.BATCH, _Job(run))
        points.reach("store.committed")
        return outcomes

    def submit(self, reception: Reception, event: RecordEvent, deadline: datetime) -> Outcome:
        """Apply an event ahead of waiting batches; see `Store.submit`."""
        points.reach("event.received")
        try:
            outcome = self._wait(Kind.EVENT, _Job(lambda tx: apply_event(tx, reception, event), deadline))
        except Transient as failure:
            code = "STORE_UNAVAILABLE"
            raise Unavailable(code) from failure
        points.reach("event.committed")
        return outcome

    def submit_all(self, requests: Sequence[tuple[Reception, RecordEvent]], deadline: datetime) -> list[Outcome]:
        """Apply events of different patients in one transaction; see `Store.submit_all`."""
        try:
            return self._wait(Kind.BATCH, _Job(lambda tx: [apply_event(tx, *request) for request in requests], deadline))
        except Transient as failure:
            code = "STORE_UNAVAILABLE"
            raise Unavailable(code) from failure

    def note(self, reception: Reception, rejection: Rejection) -> None:
        """Write down a rejection when there is time; beyond 10 000 waiting it is dropped and counted."""
        with self._notes_lock:
            if len(self._notes) >= NOTES_LIMIT:
                self.notes_dropped += 1
                return
            self._notes.append((reception, rejection))
            asked, self._notes_asked = self._notes_asked, True
        if not asked:
            self._put(Kind.NOTE, None)

    def park(self, parked: Parked) -> Outcome:
        """Keep a sealed deposit; see `Store.park`."""
        return self._wait(Kind.BATCH, _Job(lambda tx: park(tx, parked)))

    def awaiting_review(self, limit: int) -> list[tuple[str, bytes]]:
        """Return what is parked and to be judged again; see `Store.awaiting_review`."""
        return self._wait(Kind.BATCH, _Job(lambda tx: tx.awaiting_review(limit)))

    def review(self, deposit: Deposit) -> Outcome | None:
        """Judge a parked deposit again; see `Store.review`."""
        return self._wait(Kind.BATCH, _Job(lambda tx: review(tx, deposit)))

    def set_aside(self, receipt: str) -> None:
        """Leave a parked deposit to a person; see `Store.set_aside`."""
        self._wait(Kind.BATCH, _Job(lambda tx: set_aside(tx, receipt)))

    def pass_lanes(self, passed: Sequence[LanePassed]) -> None:
        """Note the days that lanes have passed; see `Store.pass_lanes`."""

        def run(tx: Transaction) -> None:
            for each in passed:
                tx.pass_lane(each)

        self._wait(Kind.BATCH, _Job(run))

    def first_parked(self) -> datetime | None:
        """Return when the first of what is parked was parked; see `Store.first_parked`."""
        at = self._wait(Kind.NOTE, _Job(lambda tx: tx.first_parked()))
        return None if at is None else datetime.fromisoformat(at)

    def parked(self) -> int:
        """Return how many deposits are parked; see `Store.parked`."""
        return self._wait(Kind.NOTE, _Job(lambda tx: tx.count_parked()))

    def lanes_passed(self) -> list[LaneDay]:
        """Return the last day that each lane has passed; see `Store.lanes_passed`."""
        return self._wait(Kind.NOTE, _Job(lambda tx: tx.lanes_passed()))

    def retain(
        self, periods: Periods, *, dry_run: bool = False, stopping: Callable[[], bool] = lambda: False
    ) -> tuple[JobDone, ...]:
        """Take away what has been kept long enough, behind whatever else waits; see `Store.retain`."""
        if not self._upkeep.acquire(blocking=False):
            raise Busy
        try:
            return run(
                lambda job: self._wait(Kind.NOTE, _Job(job)), periods, self._clock.now(), dry_run=dry_run, stopping=stopping
            )
        finally:
            self._upkeep.release()

    def close(self) -> None:
        """Finish what waits, truncate the log, close the file."""
        with self._jobs_lock:
            if not self._stopped:
                self._stopped = True
                self._jobs.put(Kind.STOP, None)
        self._writer.join()

    def _put(self, kind: Kind, job: _Job[Any] | None) -> bool:
        """Queue a job, unless the store is closed: nothing may come behind the stop, nobody would run it."""
        with self._jobs_lock:
            if not self._stopped:
                self._jobs.put(kind, job)
            return not self._stopped

    def _wait(self, kind: Kind, job: _Job[_T]) -> _T:
        if not self._put(kind, job):
            message = "the store is closed"
            raise Transient(message)
        return job.result.result()

    def _write(self) -> None:
        while True:
            kind, job = self._jobs.get()
            if kind is Kind.STOP:
                break
            if job is None:
                self._write_notes()
                continue
            self._perform(job)
        self._write_notes()
        with contextlib.suppress(sqlite3.Error):  # the log is whole all the same, and read again at the next start
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    def _perform(self, job: _Job[Any]) -> None:
        """Run a job in a transaction and give its result, or its failure, to whoever waits."""
        try:
            self._require_time(job.deadline)
            result = self._transact(job.run, job.deadline)
        except sqlite3.Error as failure:
            job.result.set_exception(Transient(failure.sqlite_errorname) if is_transient(failure) else failure)
        except BaseException as failure:  # noqa: BLE001 - it belongs to the caller
            job.result.set_exception(failure)
        else:
            job.result.set_result(result)

    def _require_time(self, deadline: datetime | None) -> None:
        """A request whose deadline has passed is not begun (D-2)."""
        if deadline is not None and self._clock.now() > deadline:
            code = "STORE_UNAVAILABLE"
            raise Unavailable(code)

    def _transact(self, run: Callable[[Transaction], _T], deadline: datetime | None = None) -> _T:
        points.reach("store.lock.asked")
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            points.reach("store.lock.granted")
            # The process may have been frozen since the request was taken up.
            self._require_time(deadline)
            tx = SqliteTransaction(self._connection, self._clock.now().isoformat(timespec="microseconds"))
            result = run(tx)
            points.reach("store.commit.asked")
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        if tx.erases or self._traces_left:
            # Committed as it is: what is left in the log waits for the next transaction, or for the end.
            self._traces_left = True
            with contextlib.suppress(sqlite3.Error):
                self._traces_left = not empty_log(self._connection)
        return result

    def _write_notes(self) -> None:
        """Write what waits in one transaction; while the database is away it keeps waiting, up to the limit."""
        with self._notes_lock:
            notes, self._notes = self._notes, []
            self._notes_asked = False
        if not notes:
            return

        def run(tx: Transaction) -> None:
            for reception, rejection in notes:
                note_rejection(tx, reception, rejection)

        try:
            self._transact(run)
        except sqlite3.Error as failure:
            with self._notes_lock:
                if is_transient(failure):
                    self._notes = [*notes, *self._notes]
                else:
                    self.notes_dropped += len(notes)
