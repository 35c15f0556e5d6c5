"""The stores that keep the contract: how each is opened, opened again, and looked into."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from gateway.model.event import RecordEvent
from gateway.model.outcome import Outcome
from gateway.model.patient import PatientId
from gateway.model.submission import Deposit, Reception
from gateway.store.port import Parked, Store
from gateway.store.postgres.reader import PostgresReader
from gateway.store.postgres.store import PostgresStore
from gateway.store.reader import Reader
from gateway.store.sqlite.reader import SqliteReader
from gateway.store.sqlite.store import SqliteStore
from gateway.store.views import RecordPage
from tests.harness import postgres
from tests.strategies import records
from tests.strategies.records import ALICE, Ticking

#: Where many short-lived stores are made: in memory where the system has such a folder, for a property opens hundreds.
SCRATCH = next((folder for folder in ("/dev/shm",) if os.access(folder, os.W_OK)), None)

#: Far enough for every test; deadlines are tested by their own.
_LATER = datetime.max.replace(tzinfo=records.START.tzinfo)


class Bench:
    """
    One store with a clock of the test and short words for what is done to it.

    `lasting`: what was in it before may still lie in its files, which is quicker where nobody looks into them.
    """

    def __init__(self, folder: Path, *, lasting: bool = False) -> None:
        self.lasting = lasting
        self.folder = folder
        self.clock = Ticking()
        self.store: Store = self._start()
        self._receipts = 0

    # -- what each kind of store says for itself

    def _start(self) -> Store:
        raise NotImplementedError

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Every table with its rows by column."""
        raise NotImplementedError

    def execute(self, text: str, *values: object) -> None:
        """Change rows behind the store's back."""
        raise NotImplementedError

    def against(self) -> list[tuple[str, str]]:
        """The DPO's query."""
        raise NotImplementedError

    def record(self, patient: PatientId = ALICE) -> RecordPage | None:
        """The page of a record."""
        raise NotImplementedError

    def read(self) -> Reader:
        """A reader of its own."""
        raise NotImplementedError

    def raw(self) -> bytes:
        """Every byte that the store holds anywhere."""
        raise NotImplementedError

    # -- the same for all

    def close(self) -> None:
        """Close the store for good."""
        self.store.close()

    def restart(self) -> None:
        """Close and open again."""
        self.store.close()
        self.store = self._start()

    def receipt(self) -> str:
        """The next receipt."""
        self._receipts += 1
        return f"r{self._receipts:06}"

    def event(self, event: RecordEvent, establishment: str = records.H1, **message: Any) -> Outcome:
        """Submit an event received now."""
        taken = records.reception(
            self.receipt(), self.clock.now(), establishment=establishment, message_type="ADT^A01", **message
        )
        return self.submit(taken, event)

    def submit(self, taken: Reception, event: RecordEvent) -> Outcome:
        """Submit an event as it was received."""
        return self.store.submit(taken, event, _LATER)

    def open(self, *patient: PatientId) -> Outcome:
        """Open a record."""
        return self.event(records.opening(*patient))

    def close_record(self, *patient: PatientId) -> Outcome:
        """Close a record."""
        return self.event(records.closing(*patient))

    def deposit(self, **facts: Any) -> Deposit:
        """A deposit received now, not yet applied."""
        return records.deposit(self.receipt(), self.clock.now(), **facts)

    def send(self, **facts: Any) -> Outcome:
        """Apply one deposit received now."""
        return self.apply(self.deposit(**facts))[0]

    def apply(self, *batch: Deposit) -> list[Outcome]:
        """Apply deposits in one batch."""
        return self.store.apply(batch)

    def park(self, made: Deposit, sealed: bytes = b"sealed") -> Outcome:
        """Park a deposit."""
        keys = tuple(known.key for known in made.submission.patient.identifiers)
        return self.store.park(
            Parked(reception=made.reception, code="INTERNAL", place="ValueError at x:1", identifiers=keys, sealed=sealed)
        )

    def rows(self, table: str, **where: object) -> list[dict[str, Any]]:
        """Rows of a table that have these values."""
        return [row for row in self.tables()[table] if all(row[name] == value for name, value in where.items())]

    def states(self, patient: PatientId = ALICE) -> dict[str, str]:
        """State of each document of a record."""
        page = self.record(patient)
        assert page is not None
        return {line.unique_id: line.state for line in page.documents}

    def tasks(self) -> list[str]:
        """Kinds of what a person must look at, in order."""
        return [row["kind"] for row in self.tables()["task"]]


class Sqlite(Bench):
    """One file in a folder of the test."""

    @property
    def path(self) -> Path:
        return self.folder / "store.db"

    def _start(self) -> SqliteStore:
        return SqliteStore(self.path, self.clock)

    def _all(self, connection: sqlite3.Connection, text: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        cursor = connection.execute(text, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as connection:
            names = [row["name"] for row in self._all(connection, "SELECT name FROM sqlite_schema WHERE type = 'table'")]
            return {name: self._all(connection, f"SELECT * FROM {name}") for name in names}

    def execute(self, text: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute(text, values)

    def against(self) -> list[tuple[str, str]]:
        with SqliteReader(self.path) as reader:
            return reader.stored_against_an_opposition()

    def record(self, patient: PatientId = ALICE) -> RecordPage | None:
        with SqliteReader(self.path) as reader:
            return reader.record(*patient.key, self.clock.now())

    def read(self) -> SqliteReader:
        return SqliteReader(self.path)

    def raw(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("store.db*")))


class Postgres(Bench):
    """A database of the run's server, empty at the start."""

    def __init__(self, folder: Path, *, lasting: bool = False, server: postgres.Server | None = None) -> None:
        self.server = server or postgres.for_contracts()
        self.url = self.server.lend(clean=not lasting)
        self._reader: PostgresReader | None = None
        with self._connected() as connection:
            (self._begun,) = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        super().__init__(folder, lasting=lasting)

    def _start(self) -> PostgresStore:
        return PostgresStore(self.url, self.clock)

    def close(self) -> None:
        super().close()
        if self._reader is not None:
            self._reader.__exit__(None, None, None)
        self.server.give_back(self.url, thoroughly=not self.lasting)

    def _connected(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        with self._connected() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return {
                name: cursor.execute(
                    sql.SQL("SELECT * FROM {} ORDER BY {}").format(
                        sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, key))
                    )
                ).fetchall()
                for name, key in postgres.keys(connection).items()
            }

    def execute(self, text: str, *values: object) -> None:
        with self._connected() as connection:
            connection.execute(text.replace("?", "%s"), values or None)

    @property
    def reader(self) -> PostgresReader:
        """One for the whole life of the store."""
        self._reader = self._reader or PostgresReader(self.url)
        return self._reader

    def against(self) -> list[tuple[str, str]]:
        return self.reader.stored_against_an_opposition()

    def record(self, patient: PatientId = ALICE) -> RecordPage | None:
        return self.reader.record(*patient.key, self.clock.now())

    def read(self) -> PostgresReader:
        return PostgresReader(self.url)

    def raw(self) -> bytes:
        """The files of the tables, and the log since this store began; of a server that is not ours the rows."""
        with self._connected() as connection:
            return self.server.raw(connection, self._begun)


#: How many examples a property is worth: a commit on PostgreSQL takes several times as long.
EXAMPLES = {"sqlite": 40, "postgres": 10}

BACKENDS = {"sqlite": Sqlite, "postgres": Postgres}
