"""How each database tells that somebody waits for a lock: PostgreSQL is asked, SQLite answers BUSY."""

import sqlite3
import time
from typing import Any, Self

import psycopg

from gateway.store.postgres import store as postgres_store
from gateway.store.postgres.session import Session
from gateway.store.sqlite.store import SqliteStore
from tests.harness.stepping import STUCK_SECONDS, Actor, Stage, Stuck


class PostgresWaits:
    """
    Asks the server whom a session waits for.

    Used as a context manager: within it each transaction of the store tells which process of the server serves it.

    Args:
        url: The database.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._stage: Stage | None = None
        #: SQLSTATE of everything that failed inside.
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        waits = self
        self._observer = psycopg.connect(self._url, autocommit=True)

        class Telling(Session):
            def __init__(self, connection: psycopg.Connection[Any]) -> None:
                super().__init__(connection)
                actor = waits._stage.actor() if waits._stage else None
                if actor is not None:
                    actor.pid = connection.info.backend_pid

        failed = postgres_store.failed

        def noted(failure: psycopg.Error, *, committing: bool = False) -> Exception:
            self.failures.append(failure.sqlstate or type(failure).__name__)
            return failed(failure, committing=committing)

        self._before = (postgres_store.Session, failed)
        postgres_store.Session, postgres_store.failed = Telling, noted  # type: ignore[misc]
        return self

    def __exit__(self, *_: object) -> None:
        postgres_store.Session, postgres_store.failed = self._before  # type: ignore[misc]
        self._observer.close()

    def attach(self, stage: Stage) -> None:
        """A stage begins."""
        self._stage = stage

    def waits(self, actor: Actor[Any]) -> bool:
        """Whether the server says that the actor's session waits for another one."""
        if actor.pid is None:
            return False
        row = self._observer.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", (actor.pid,)).fetchone()
        return row is not None and row[0]

    def freed(self, actor: Actor[Any]) -> bool:
        """Whether it says so no more."""
        return not self.waits(actor)


class _Connection:
    """A connection to SQLite of which the scheduler hears that it waits for the lock; everything else is its own."""

    def __init__(self, connection: sqlite3.Connection, waits: "SqliteWaits") -> None:
        self._connection, self._waits = connection, waits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, text: str, *values: Any) -> sqlite3.Cursor:
        while True:
            try:
                return self._connection.execute(text, *values)
            except sqlite3.OperationalError as failure:
                if failure.sqlite_errorcode != sqlite3.SQLITE_BUSY or not self._waits.busy():
                    raise


class SqliteWaits:
    """
    Hears from SQLite itself that the lock is taken.

    A connection waits by asking again and again; here it asks again after every step of another one, so that nothing depends on
    how long it sleeps between.
    """

    def __init__(self) -> None:
        self._stage: Stage | None = None
        self._busy: dict[str, bool] = {}

    def take(self, store: SqliteStore) -> None:
        """Let a store wait under the scheduler's eyes."""
        store._connection.execute("PRAGMA busy_timeout=0")
        store._connection = _Connection(store._connection, self)  # type: ignore[assignment]

    def attach(self, stage: Stage) -> None:
        """A stage begins."""
        self._stage = stage
        self._busy = {}

    def busy(self) -> bool:
        """In an actor's thread: stop as one who waits, until it is worth asking again; False where nobody schedules."""
        actor = self._stage.actor() if self._stage else None
        if actor is None:
            return False
        self._busy[actor.letter] = True
        actor.permits.get()
        return True

    def waits(self, actor: Actor[Any]) -> bool:
        """Whether SQLite told the actor that it is busy."""
        return self._busy.get(actor.letter, False)

    def freed(self, actor: Actor[Any]) -> bool:
        """Let it ask again, and hear what it is told."""
        assert self._stage is not None
        self._busy[actor.letter] = False
        actor.permits.put(None)
        until = time.monotonic() + STUCK_SECONDS
        while time.monotonic() < until:
            if self._busy[actor.letter]:
                return False
            if self._stage.drain(0.0005):
                # It has come to its next point: it is no more one who waits.
                return False
        raise Stuck(f"{actor.letter} is stuck at its lock")
