"""One database with two stores on it, as of two gateways, where scenes are played step by step."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psycopg

from gateway.model.event import RecordEvent
from gateway.model.outcome import Outcome
from gateway.model.submission import Deposit
from gateway.store.port import Store
from gateway.store.postgres.store import PostgresStore
from gateway.store.sqlite.store import SqliteStore
from tests.contract.store.backends import BACKENDS, Bench, Postgres, Sqlite
from tests.harness import looking
from tests.harness.cast import Cast
from tests.harness.stepping import Stage
from tests.harness.waits import PostgresWaits, SqliteWaits
from tests.strategies import records

_LATER: Final = datetime.max.replace(tzinfo=records.START.tzinfo)

#: Where actors stop, by the backend. SQLite gives the lock first and last, so that every point may be one; on PostgreSQL the
#: whole of the points is for a night, and those between which another's commit can matter are for every day.
EVERY_DAY: Final = {
    "sqlite": ("store.lock.asked", "store.lock.granted", "store.read", "store.decided", "store.write", "store.commit.asked"),
    "postgres": (
        "sql.resolve_identifiers",
        "sql.share_gate",
        "sql.hold_gate",
        "sql.lock_patients",
        "sql.confirm_identifiers",
        "sql.read_records",
        "store.decided",
        "store.commit.asked",
    ),
}
#: On PostgreSQL at night: what is read, and what is written beside, one by one.
NIGHT: Final = {
    "sqlite": EVERY_DAY["sqlite"],
    "postgres": (
        *EVERY_DAY["postgres"],
        "sql.read_receipts",
        "sql.read_statements",
        "sql.copy_documents",
        "sql.copy_receipts",
        "sql.copy_trace",
        "sql.write_statement",
        "sql.bind",
        "sql.set_identifier",
        "sql.open_record",
    ),
}


class World:
    """
    One database, two stores on it, as of two gateways.

    Args:
        backend: Of `BACKENDS`.
        folder: For a file.
        stops: Where the actors stop.
    """

    def __init__(self, backend: str, folder: Path, stops: Mapping[str, Sequence[str]] = EVERY_DAY) -> None:
        self.backend = backend
        self.bench: Bench = BACKENDS[backend](folder, lasting=True)
        if isinstance(self.bench, Postgres):
            other: Store = PostgresStore(self.bench.url, self.bench.clock)
            self.waits: PostgresWaits | SqliteWaits = PostgresWaits(self.bench.url)
            self._tables = looking.columns_of_postgres(self.bench.url)
        else:
            assert isinstance(self.bench, Sqlite)
            other = SqliteStore(self.bench.path, self.bench.clock)
            self.waits = SqliteWaits()
            self._tables = {}
        self.stores: tuple[Store, Store] = (self.bench.store, other)
        self.stage = Stage(self.waits, stops[backend], "store.commit.asked")
        self._number = 0

    @classmethod
    @contextmanager
    def made(cls, backend: str, folder: Path, stops: Mapping[str, Sequence[str]] = EVERY_DAY) -> Iterator["World"]:
        """Make one and take it away."""
        world = cls(backend, folder, stops)
        try:
            if isinstance(world.waits, PostgresWaits):
                with world.waits:
                    world._reading = psycopg.connect(world.bench.url, autocommit=True)  # type: ignore[attr-defined]
                    with world._reading:
                        yield world
            else:
                for store in world.stores:
                    world.waits.take(store)
                with closing(sqlite3.connect(world.bench.path, isolation_level=None)) as reading:  # type: ignore[attr-defined]
                    reading.row_factory = sqlite3.Row
                    world._reading = reading
                    world._tables = looking.columns_of_sqlite(reading)
                    yield world
        finally:
            world.stores[1].close()
            world.bench.close()

    def cast(self) -> Cast:
        """The people of the next playing."""
        self._number += 1
        while not Cast(self._number).apart:
            self._number += 1
        return Cast(self._number)

    # -- what is done

    def event(self, cast: Cast, name: str, event: RecordEvent, store: int = 0) -> Outcome:
        """Submit an event, received now, to one of the stores."""
        taken = records.reception(cast.prefix + name, self.bench.clock.now(), message_type="ADT^A01")
        return self.stores[store].submit(taken, event, _LATER)

    def deposit(self, cast: Cast, name: str, **facts: Any) -> Deposit:
        """Make a deposit received now."""
        return records.deposit(cast.prefix + name, self.bench.clock.now(), **facts)

    def threads(self, store: int) -> tuple[int, ...]:
        """Idents of the threads that work for a store, beside the caller's."""
        writer = getattr(self.stores[store], "_writer", None)
        return () if writer is None else (writer.ident,)

    # -- what there is

    def look(self, cast: Cast) -> dict[str, list[Any]]:
        """Every row of the people of a playing, without what may differ between two runs: times, numbers, receipts."""
        if self.backend == "postgres":
            raw = looking.of_postgres(self._reading, cast)
        else:
            raw = looking.of_sqlite(self._reading, cast, self._tables)
        return looking.scrubbed(raw, cast)
