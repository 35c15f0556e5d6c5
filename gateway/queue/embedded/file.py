"""The queue's file: its layout and the settings that durability rests on, set and read back."""

import os
import secrets
import sqlite3
from pathlib import Path
from typing import Final

import msgspec

from gateway.model.ports import FileUnusable
from gateway.queue.errors import LayoutNewer

#: Layout of the file, `PRAGMA user_version`.
LAYOUT: Final = 1

#: The sealed bytes come last: what stands before them is read without touching their overflow pages. AUTOINCREMENT: an id is
#: never given twice, even after the table was empty.
_LAYOUT_1: Final = """
CREATE TABLE queued (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lane TEXT NOT NULL,
    receipt TEXT NOT NULL,
    received_at TEXT NOT NULL,
    size INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT
"""

_BUSY_MILLISECONDS: Final = 5000
_NUMBERS: Final = 2**31 - 1

#: Pragma, value to set, value that it must answer with. `auto_vacuum` must stand before the first table.
_PRAGMAS: Final = (
    ("auto_vacuum", "INCREMENTAL", 2),
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("secure_delete", "ON", 1),
    ("mmap_size", "0", 0),
    ("busy_timeout", str(_BUSY_MILLISECONDS), _BUSY_MILLISECONDS),
)


class Row(msgspec.Struct, frozen=True):
    """What memory keeps of a queued deposit."""

    lane: str
    receipt: str
    received_at: str
    size: int


def connect(path: Path) -> sqlite3.Connection:
    """
    Open the queue's file for writing; make it, readable by its owner alone, if it is not there.

    Args:
        path: The file; its folder is there.

    Returns:
        A connection in autocommit mode, to be used by one thread at a time.

    Raises:
        LayoutNewer: a newer gateway made it.
        sqlite3.Error: it cannot be opened, or refuses a setting that durability rests on.

    Source: D-12.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=16)
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > LAYOUT:
        raise LayoutNewer(f"{path} has layout {found}, this gateway knows {LAYOUT}: start the newer version")
    for name, value, answer in _PRAGMAS:
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        # Built without memory mapping, SQLite answers nothing for it.
        taken = connection.execute(f"PRAGMA {name}").fetchone() or (0,)
        if taken != (answer,):
            raise sqlite3.NotSupportedError(f"{path}: PRAGMA {name} = {value} was not taken")
    if found < LAYOUT:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_LAYOUT_1)
        connection.execute(f"PRAGMA user_version = {LAYOUT}")
        connection.execute("COMMIT")
    if not number(connection):
        connection.execute(f"PRAGMA application_id = {1 + secrets.randbelow(_NUMBERS):d}")


def number(connection: sqlite3.Connection) -> int:
    """Return the number drawn for this file: the store's record of passed days tells by it whose they are (D-7)."""
    return int(connection.execute("PRAGMA application_id").fetchone()[0])


def lane(drawn: int) -> str:
    """Return the name of a file in the record of passed days, by the number drawn for it."""
    return f"embedded.{drawn:08x}"


def opened(path: Path) -> tuple[sqlite3.Connection, dict[int, Row]]:
    """
    Open the queue's file and list what it holds.

    Raises:
        LayoutNewer: a newer gateway made it.
        FileUnusable: it cannot be opened or read.
    """
    try:
        connection = connect(path)
        try:
            return connection, rows(connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as failure:
        raise FileUnusable(path, getattr(failure, "sqlite_errorname", None) or type(failure).__name__) from failure


def rows(connection: sqlite3.Connection) -> dict[int, Row]:
    """Return every queued deposit without its bytes, in order."""
    found = connection.execute("SELECT id, lane, receipt, received_at, size FROM queued ORDER BY id")
    return {identifier: Row(*rest) for identifier, *rest in found}


def insert(connection: sqlite3.Connection, row: Row, sealed: bytes) -> int:
    """Add a deposit; return its id."""
    added = connection.execute(
        "INSERT INTO queued (lane, receipt, received_at, size, sealed) VALUES (?, ?, ?, ?, ?)",
        (row.lane, row.receipt, row.received_at, row.size, sealed),
    )
    if added.lastrowid is None:
        raise sqlite3.InternalError("no id for a new row")
    return added.lastrowid


def delete(connection: sqlite3.Connection, identifiers: tuple[int, ...]) -> int:
    """Remove deposits; return how many were there."""
    return connection.executemany("DELETE FROM queued WHERE id = ?", [(each,) for each in identifiers]).rowcount


def sealed(connection: sqlite3.Connection, identifiers: tuple[int, ...]) -> list[bytes]:
    """
    Return the sealed bytes of deposits, in the order asked.

    Raises:
        sqlite3.Error: one of them is not there, or the file cannot be read.
    """
    found = []
    for each in identifiers:
        row = connection.execute("SELECT sealed FROM queued WHERE id = ?", (each,)).fetchone()
        if row is None:
            raise sqlite3.DataError("a queued row is gone")
        found.append(row[0])
    return found


def tidy(connection: sqlite3.Connection, *, pages: int | None = None) -> bool:
    """
    Give free pages back and empty the write-ahead file: nothing sealed lies around once it was settled.

    A free page was overwritten when it got free (`secure_delete`): what is left of a settled deposit is in the write-ahead file.

    Args:
        connection: The queue's own.
        pages: Give back at most so many; all if None.

    Returns:
        False if a reader was in the way.
    """
    # A row a page, none of which `execute` would ask for.
    connection.executescript("PRAGMA incremental_vacuum" if pages is None else f"PRAGMA incremental_vacuum({pages:d})")
    # Nobody who publishes waits for a reader to go.
    connection.execute("PRAGMA busy_timeout = 0").fetchall()
    try:
        ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}").fetchall()
    return not busy
