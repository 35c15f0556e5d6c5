"""The writing side on PostgreSQL: deposits in batches, events on connections of their own (D-2, D-10, D-13)."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Final, TypeVar

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from gateway.model.event import RecordEvent
from gateway.model.lane_day import LaneDay, LanePassed
from gateway.model.outcome import Outcome, Rejection
from gateway.model.ports import Clock, Unavailable
from gateway.model.submission import Deposit, Reception
from gateway.rules import deposit as rules
from gateway.rules.deposit import Touched
from gateway.store.deposits import apply_deposit
from gateway.store.events import apply_event
from gateway.store.identity import patient_of_ins
from gateway.store.parking import park, review, set_aside
from gateway.store.port import Contended, Parked, Transient
from gateway.store.postgres.connection import ANSWER_SECONDS, BoundedConnection, pool
from gateway.store.postgres.errors import Ambiguous, failed
from gateway.store.postgres.locking import Key, Moved, beside, lock, lock_with
from gateway.store.postgres.migrations import ready
from gateway.store.postgres.notes import Notes
from gateway.store.postgres.retention import retain
from gateway.store.postgres.running import Running
from gateway.store.postgres.session import LOCK_TIMEOUT_MS, Session
from gateway.store.postgres.transaction import PostgresTransaction
from gateway.store.rejections import note_rejection
from gateway.store.retention import JobDone, Periods
from gateway.telemetry import metrics, points

_T = TypeVar("_T")
_Pool = ConnectionPool[BoundedConnection]

#: How often a transaction is begun again where another one was in the way; then the caller decides (D-9).
_TRIES: Final = 5
#: The longest pause before it, in seconds; each is drawn at random, so that two that met part.
_PAUSE_SECONDS: Final = 0.05
#: How long a connection is waited for.
_CONNECTION_SECONDS: Final = 5.0
#: What has a deadline waits so much longer for an answer: it was begun in time, and to know its end is worth it.
_LATE_SECONDS: Final = 1.0

#: Connections at once. Events have their own, so that no batch stands before them.
_EVENT_CONNECTIONS: Final = 4
_BATCH_CONNECTIONS: Final = 3


class PostgresStore:
    """
    The record store in a PostgreSQL database that other gateways may write as well.

    Args:
        url: The database: a URL or a connection string, as `libpq` takes it.
        clock: The time, injected.

    Raises:
        DatabaseUnusable: it cannot be reached, or would not keep what it commits.
        SchemaUnusable: the schema is newer than this program's.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        """Check the database, migrate an older schema, open the pools."""
        ready(url)
        self._url = url
        self._clock = clock
        with ExitStack() as stack:
            self._events = pool(url, "events", 1, _EVENT_CONNECTIONS)
            stack.callback(self._events.close)
            self._batches = pool(url, "batches", 1, _BATCH_CONNECTIONS)
            stack.callback(self._batches.close)
            self._pools = stack.pop_all()
        self._running = Running()
        self._notes = Notes(self._write_notes)

    @property
    def notes_dropped(self) -> int:
        """How many rejections were not written down, because too many waited."""
        return self._notes.dropped

    def apply(self, batch: Sequence[Deposit]) -> list[Outcome]:
        """Apply deposits in order in one transaction; see `Store.apply`."""
        facts = [rules.facts(deposit.submission, deposit.reception) for deposit in batch]

        def run(session: Session) -> list[Outcome]:
            points.reach("store.begun")
            tx = self._locked(session, batch, facts)
            outcomes = [apply_deposit(tx, deposit, known) for deposit, known in zip(batch, facts, strict=True)]
            tx.flush()
            points.reach("store.written")
            return outcomes

        with self._running:
            outcomes = self._repeated(self._batches, run) if batch else []
        points.reach("store.committed")
        return outcomes

    def submit(self, reception: Reception, event: RecordEvent, deadline: datetime) -> Outcome:
        """Apply an event ahead of waiting batches; see `Store.submit`."""
        points.reach("event.received")
        asked = [known.key for known in event.named]

        def run(session: Session) -> Outcome:
            remaining = self._remaining(deadline)
            if remaining * 1000 < LOCK_TIMEOUT_MS:
                session.run("bound_waiting", (f"{max(1, int(remaining * 1000))}",))
            patients, named = lock_with(session, asked, beside(event), creates=True)
            self._remaining(deadline)
            tx = PostgresTransaction(
                session, self._clock.now(), asked=asked, patients=patients, receptions=[reception], beside=named
            )
            outcome = apply_event(tx, reception, event)
            tx.flush()
            return outcome

        try:
            with self._running:
                outcome = self._repeated(self._events, run, deadline)
        except Transient as failure:
            code = "STORE_UNAVAILABLE"
            raise Unavailable(code) from failure
        points.reach("event.committed")
        return outcome

    def submit_all(self, requests: Sequence[tuple[Reception, RecordEvent]], deadline: datetime) -> list[Outcome]:
        """Apply events of different patients in one transaction; see `Store.submit_all`."""
        asked = [known.key for _, event in requests for known in event.named]
        receptions = [reception for reception, _ in requests]

        def run(session: Session) -> list[Outcome]:
            patients = lock(session, asked, creates=True)
            self._remaining(deadline)
            tx = PostgresTransaction(session, self._clock.now(), asked=asked, patients=patients, receptions=receptions)
            outcomes = [apply_event(tx, *request) for request in requests]
            tx.flush()
            return outcomes

        try:
            with self._running:
                return self._repeated(self._batches, run, deadline)
        except Transient as failure:
            code = "STORE_UNAVAILABLE"
            raise Unavailable(code) from failure

    def note(self, reception: Reception, rejection: Rejection) -> None:
        """Write down a rejection when there is time; beyond 10 000 waiting it is dropped and counted."""
        self._notes.add(reception, rejection)

    def park(self, parked: Parked) -> Outcome:
        """Keep a sealed deposit; see `Store.park`."""

        def run(session: Session) -> Outcome:
            tx = PostgresTransaction(session, self._clock.now(), receptions=[parked.reception])
            outcome = park(tx, parked)
            tx.flush()
            return outcome

        with self._running:
            return self._repeated(self._batches, run)

    def awaiting_review(self, limit: int) -> list[tuple[str, bytes]]:
        """Return what is parked and to be judged again; see `Store.awaiting_review`."""
        with self._running:
            return self._repeated(
                self._batches, lambda session: PostgresTransaction(session, self._clock.now()).awaiting_review(limit)
            )

    def review(self, deposit: Deposit) -> Outcome | None:
        """Judge a parked deposit again; see `Store.review`."""

        def run(session: Session) -> Outcome | None:
            tx = self._locked(session, [deposit], [rules.facts(deposit.submission, deposit.reception)])
            outcome = review(tx, deposit)
            tx.flush()
            return outcome

        with self._running:
            return self._repeated(self._batches, run)

    def set_aside(self, receipt: str) -> None:
        """Leave a parked deposit to a person; see `Store.set_aside`."""
        with self._running:
            self._repeated(self._batches, lambda session: set_aside(PostgresTransaction(session, self._clock.now()), receipt))

    def pass_lanes(self, passed: Sequence[LanePassed]) -> None:
        """Note the days that lanes have passed; see `Store.pass_lanes`."""

        def run(session: Session) -> None:
            tx = PostgresTransaction(session, self._clock.now())
            # In one order: two workers that pass the same lanes wait for each other, never in a circle.
            for each in sorted(passed, key=lambda lane: lane.lane):
                tx.pass_lane(each)

        with self._running:
            self._repeated(self._batches, run)

    def first_parked(self) -> datetime | None:
        """Return when the first of what is parked was parked; see `Store.first_parked`."""
        with self._running:
            at = self._repeated(self._batches, lambda session: PostgresTransaction(session, self._clock.now()).first_parked())
        return None if at is None else datetime.fromisoformat(at)

    def parked(self) -> int:
        """Return how many deposits are parked; see `Store.parked`."""
        with self._running:
            return self._repeated(self._batches, lambda session: PostgresTransaction(session, self._clock.now()).count_parked())

    def lanes_passed(self) -> list[LaneDay]:
        """Return the last day that each lane has passed; see `Store.lanes_passed`."""
        with self._running:
            return self._repeated(self._batches, lambda session: PostgresTransaction(session, self._clock.now()).lanes_passed())

    def retain(
        self, periods: Periods, *, dry_run: bool = False, stopping: Callable[[], bool] = lambda: False
    ) -> tuple[JobDone, ...]:
        """Take away what has been kept long enough, on a connection of its own; see `Store.retain`."""
        with self._running:
            return retain(self._url, self._clock, periods, dry_run=dry_run, stopping=lambda: stopping() or self._running.stopping)

    def close(self) -> None:
        """Finish what was begun, write what waits, close the connections."""
        self._running.stop()
        self._notes.close()
        self._pools.close()

    def _locked(self, session: Session, batch: Sequence[Deposit], facts: Sequence[rules.Facts]) -> PostgresTransaction:
        """Lock every patient that the deposits lead to, then read what they are decided on."""
        asked = [known.key for deposit in batch for known in deposit.submission.identifiers]
        patients = lock(session, asked, creates=False)
        return PostgresTransaction(
            session,
            self._clock.now(),
            asked=asked,
            patients=patients,
            receptions=[deposit.reception for deposit in batch],
            touched=[each for deposit, known in zip(batch, facts, strict=True) for each in _touched(deposit, known, patients)],
        )

    def _write_notes(self, notes: Sequence[tuple[Reception, Rejection]]) -> None:
        def run(session: Session) -> None:
            tx = PostgresTransaction(session, self._clock.now(), receptions=[reception for reception, _ in notes])
            for reception, rejection in notes:
                note_rejection(tx, reception, rejection)
            tx.flush()

        self._repeated(self._batches, run)

    def _remaining(self, deadline: datetime) -> float:
        """Return the seconds left; a request whose deadline has passed is not begun (D-2)."""
        left = deadline - self._clock.now()
        if left < timedelta(0):
            code = "STORE_UNAVAILABLE"
            raise Unavailable(code)
        return left.total_seconds()

    def _repeated(self, connections: _Pool, run: Callable[[Session], _T], deadline: datetime | None = None) -> _T:
        """
        Run a transaction, and again where another one was in the way or nobody knows whether it was committed.

        Repeating is harmless: the receipts of what was committed are found (D-6).
        """
        for left in reversed(range(_TRIES)):
            seconds = ANSWER_SECONDS if deadline is None else min(ANSWER_SECONDS, self._remaining(deadline) + _LATE_SECONDS)
            try:
                return _transact(connections, run, seconds)
            except (Contended, Ambiguous, Moved) as failure:
                metrics.APPLY_RETRIES.labels(type(failure).__name__.lower()).inc()
                if not left:
                    raise failure if isinstance(failure, Transient) else Contended(type(failure).__name__) from None
                if not isinstance(failure, Moved):
                    time.sleep(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311 - two that met must part
        raise AssertionError


def _transact(connections: _Pool, run: Callable[[Session], _T], answer_seconds: float) -> _T:
    try:
        connection = connections.getconn(min(_CONNECTION_SECONDS, answer_seconds))
    except PoolTimeout:
        raise Transient("no connection in time") from None
    except PoolClosed:
        raise Transient("the store is closed") from None
    connection.answer_seconds = answer_seconds
    session = Session(connection)
    committing = False
    try:
        session.run("begin")
        result = run(session)
        points.reach("store.commit.asked")
        committing = True
        session.commit()
    except psycopg.Error as failure:
        raise failed(failure, committing=committing) from None
    finally:
        session.abandon()
        connections.putconn(connection)
    return result


def _touched(deposit: Deposit, facts: rules.Facts, patients: Mapping[Key, int]) -> list[tuple[int, Touched]]:
    """Return what a deposit touches of its patient's documents; nothing where its INS is not known."""
    patient = patient_of_ins(deposit.submission.patient, lambda *key: patients.get(key))
    if patient is None:
        return []
    return [(patient, rules.touched(facts))]
