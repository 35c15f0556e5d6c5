"""Stores that grow: filled with the rows that one real deposit left, under other names, then used as they are."""

import itertools
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from gateway.model.event import Position
from gateway.model.ins import ROOT_TEST, control_key
from gateway.model.patient import PatientId
from gateway.model.submission import Deposit
from gateway.store.port import Store
from gateway.store.postgres.session import Session
from gateway.store.postgres.statements import COPIED, STATEMENTS
from gateway.store.postgres.store import PostgresStore
from gateway.store.sqlite.store import SqliteStore
from gateway.wiring.clock import SystemClock
from tests.harness import postgres
from tests.strategies import records

#: Patients that the measured documents are for; the others only fill the tables.
_ACTIVE: Final = 1_000
#: Documents of a patient.
_EACH: Final = 10
_LATER: Final = datetime.max.replace(tzinfo=UTC)
#: Columns that name a deposit or a document: what another row needs another value in.
_NAMES: Final = frozenset({"receipt", "unique_id", "document", "set_id", "entry_uuid", "message_id", "document_ids"})
#: What counts by itself.
_COUNTED: Final = frozenset({"sequence"})

#: A COPY as it was sent: its name, its rows.
Copied = tuple[str, list[Sequence[Any]]]


def patient(number: int) -> PatientId:
    """A test INS of its own."""
    thirteen = f"{1 + number % 2}{number // 2 % 100:02}01{number // 200:08}"
    return PatientId(value=f"{thirteen}{control_key(thirteen):02}", authority=ROOT_TEST, type="INS")


class Grown:
    """A store with documents in it."""

    backend: str
    store: Store

    def __init__(self) -> None:
        self.size = 0
        self.numbers = itertools.count(1)
        self.chance = random.Random(7)
        self.active = [patient(number) for number in range(_ACTIVE)]
        #: Half of them say something on their rights; documents are for all.
        self.opposing = self.active[: _ACTIVE // 2]
        self.captured: list[Copied] = []

    def prepare(self, make: Callable[["Grown", int], list[Deposit]]) -> str:
        """Open the records, let each patient say something, store one document; return its receipt."""
        for whose in self.active:
            ipp = records.local(records.H1, f"ipp-{whose.value}")
            for event in (
                records.opening(whose),
                records.adt(records.stated(Position.ALLOWS, records.H2), patient=(whose, ipp)),
            ):
                taken = records.reception(f"bench-{next(self.numbers)}", datetime.now(UTC), message_type="ADT^A31")
                self.store.submit(taken, event, _LATER)
        self.captured.clear()
        (deposit,) = make(self, 1)
        self.store.apply([deposit])
        return deposit.reception.receipt

    def fill(self, size: int, make: Callable[["Grown", int], list[Deposit]]) -> None:
        """Bring the store to a number of documents."""
        raise NotImplementedError

    def bare(self) -> float:
        """Write what was captured once more, under other names, as bare rows; return the seconds, 0 without a floor."""
        return 0.0

    def close(self) -> None:
        """Close the store and forget it."""
        raise NotImplementedError


class GrownPostgres(Grown):
    """A database of a server."""

    backend = "postgres"

    def __init__(self, server: postgres.Server) -> None:
        super().__init__()
        self._server = server
        self._name = server.create()
        self.url = server.url(self._name)
        self.store = PostgresStore(self.url, SystemClock())
        self._connection = psycopg.connect(self.url, autocommit=True)
        self._round = itertools.count(1)
        sent = Session.copy

        def copy(session: Session, name: str, rows: Any) -> None:
            kept = list(rows)
            if session.database == self._name:
                self.captured.append((name, kept))
            sent(session, name, kept)

        self._uncaptured, Session.copy = sent, copy  # type: ignore[method-assign]

    def fill(self, size: int, make: Callable[[Grown, int], list[Deposit]]) -> None:
        """Insert the rows of the first document, as the server copies them."""
        self.prepare(make)
        template = list(self.captured)
        patients = max(_ACTIVE, size // _EACH)
        execute = self._connection.execute
        execute("SET synchronous_commit = off")
        execute(
            "INSERT INTO patient (id, created_at) SELECT 1000000 + n, '' FROM generate_series(1, %s) n", (patients - _ACTIVE,)
        )
        for begun in range(0, size, 50_000):
            for name, rows in template:
                table, columns = copied(name)
                for row in rows:
                    values = [_filled(column, value) for column, value in zip(columns, row, strict=True)]
                    execute(
                        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM generate_series({}, {}) AS g").format(
                            sql.Identifier(table),
                            sql.SQL(", ").join(map(sql.Identifier, columns)),
                            sql.SQL(", ").join(values),
                            begun + 1,
                            min(begun + 50_000, size),
                        )
                    )
        execute("VACUUM ANALYZE")
        execute("CHECKPOINT")
        self.size = size

    def bare(self) -> float:
        """Send the same COPYs in the same transactions, and nothing else."""
        tail = f".bare{next(self._round)}"
        copies = [(name, [renamed(copied(name)[1], row, tail) for row in rows]) for name, rows in self.captured if name in COPIED]
        transactions = _transactions(copies)
        begun = time.perf_counter()
        for transaction in transactions:
            self._connection.execute("BEGIN")
            for name, rows in transaction:
                with self._connection.cursor() as cursor, cursor.copy(STATEMENTS[name].text) as copy:
                    copy.set_types(COPIED[name])
                    for row in rows:
                        copy.write_row(row)
            self._connection.execute("COMMIT")
        return time.perf_counter() - begun

    def close(self) -> None:
        """Drop the database."""
        Session.copy = self._uncaptured  # type: ignore[method-assign]
        self._connection.close()
        self.store.close()
        self._server.drop(self._name)


class GrownSqlite(Grown):
    """One file."""

    backend = "sqlite"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._path = folder / "store.db"
        self.store = SqliteStore(self._path, SystemClock())

    def fill(self, size: int, make: Callable[[Grown, int], list[Deposit]]) -> None:
        """Insert the rows of the first document, behind the store's back."""
        receipt = self.prepare(make)
        self.store.close()
        patients = max(_ACTIVE, size // _EACH)
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-200000")
        (unique_id,) = connection.execute("SELECT unique_id FROM document").fetchone()
        connection.execute(
            "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < ?)"
            " INSERT INTO patient (id, created_at) SELECT 1000000 + n, '' FROM g",
            (max(1, patients - _ACTIVE),),
        )
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for begun in range(0, size, 50_000):
            connection.execute("BEGIN")
            for table in tables:
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] not in _COUNTED]
                found = [name for name in ("receipt", "unique_id") if name in columns]
                if table == "receipt":
                    where, names = "id = ?", (receipt,)
                elif found and table not in {"identifier", "link", "statement", "binding", "reference"}:
                    where = " OR ".join(f"{name} = ?" for name in found)
                    names = tuple(receipt if name == "receipt" else unique_id for name in found)
                else:
                    continue
                for row in connection.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE {where}", names).fetchall():
                    values = [_filled_text(table, column, value) for column, value in zip(columns, row, strict=True)]
                    connection.execute(
                        "WITH RECURSIVE g(n) AS (SELECT ? UNION ALL SELECT n + 1 FROM g WHERE n < ?)"
                        f" INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(text for text, _ in values)} FROM g",
                        (begun + 1, min(begun + 50_000, size), *(value for _, value in values)),
                    )
            connection.execute("COMMIT")
        connection.execute("ANALYZE")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        self.store = SqliteStore(self._path, SystemClock())
        self.size = size

    def close(self) -> None:
        """Close the file; its folder is the caller's."""
        self.store.close()


def copied(name: str) -> tuple[str, list[str]]:
    """Return table and columns of a named COPY."""
    text = " ".join(STATEMENTS[name].text.decode().split())
    table, _, columns = text.removeprefix("COPY ").partition(" (")
    return table, columns.partition(")")[0].split(", ")


def _filled(column: str, value: Any) -> sql.Composable:
    """Return the value of the g-th row."""
    if column == "patient" and value is not None:
        # Every tenth of the active patients' own, the rest spread over the others.
        return sql.SQL(
            "(SELECT CASE WHEN g % 10 = 0 THEN 1 + g / 10 % 1000 ELSE COALESCE(max(id), 1) END FROM patient"
            " WHERE id = 1000000 + g / 10)"
        )
    if (column in _NAMES or column == "id") and isinstance(value, str):
        return sql.SQL("{} || '.f' || g").format(value)
    if column == "id":
        return sql.SQL("gen_random_uuid()")
    return sql.Literal(value)


def _filled_text(table: str, column: str, value: Any) -> tuple[str, Any]:
    """Return the value of the n-th row, as text with one parameter."""
    if column == "patient" and value is not None:
        last = "(SELECT max(id) FROM patient) - 1000000"
        return f"iif(n % 10 = 0 OR ? IS NULL, 1 + n / 10 % 1000, 1000000 + max(1, min(n / 10, {last})))", 0
    if (column in _NAMES or (column == "id" and table in {"receipt", "entry"})) and isinstance(value, str):
        return "? || '.f' || n", value
    return "?", value


def renamed(columns: Sequence[str], row: Sequence[Any], tail: str) -> Sequence[Any]:
    """Return a row under other names: the same values, `tail` behind those that name a document or a receipt."""
    return [
        f"{value}{tail}" if (column in _NAMES or column == "id") and isinstance(value, str) else value
        for column, value in zip(columns, row, strict=True)
    ]


def _transactions(copies: list[Copied]) -> list[list[Copied]]:
    """Cut a list of COPYs where one begins anew."""
    cut: list[list[Copied]] = []
    for each in copies:
        if not cut or any(name == each[0] for name, _ in cut[-1]):
            cut.append([])
        cut[-1].append(each)
    return cut
