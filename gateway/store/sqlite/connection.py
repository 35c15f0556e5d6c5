"""Opening `store.db`: the settings that make a commit durable, and the migrations."""

import re
import sqlite3
from importlib import resources
from pathlib import Path
from typing import Final

from gateway.model.ports import FileUnusable

_NUMBERED: Final = re.compile(r"(\d{4})_[a-z_]+\.sql")


class NewerSchema(Exception):
    """The file was written by a newer version of the gateway: start that version, or restore the file that this one wrote."""


def open_writer(path: Path) -> sqlite3.Connection:
    """
    Open the one writing connection, create or migrate the schema.

    Args:
        path: `store.db`; its folder exists.

    Returns:
        A connection without implicit transactions (`isolation_level` None), WAL, synchronous FULL, foreign keys on.

    Raises:
        NewerSchema: the file's schema is newer than this program's.
        FileUnusable: the file cannot be opened, or is not a database.

    Source: D-12.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    except sqlite3.Error as failure:
        raise unusable(path, failure) from failure
    try:
        path.chmod(0o600)
        _configure(connection)
        _migrate(connection)
        empty_log(connection)
    except sqlite3.Error as failure:
        connection.close()
        raise unusable(path, failure) from failure
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that can only read, for another process than the owner's as well (`mode=ro`, D-12)."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA query_only=ON")
    return connection


def unusable(path: Path, failure: sqlite3.Error) -> FileUnusable:
    """Return the error of the house for a file that SQLite cannot use."""
    return FileUnusable(path, getattr(failure, "sqlite_errorname", None) or type(failure).__name__)


def migrations() -> tuple[tuple[int, str], ...]:
    """Return the numbered SQL files, forward only, as (number, text)."""
    found = []
    for entry in resources.files("gateway.store").joinpath("sql/sqlite").iterdir():
        match = _NUMBERED.fullmatch(entry.name)
        if match:
            found.append((int(match.group(1)), entry.read_text(encoding="utf-8")))
    return tuple(sorted(found))


def _configure(connection: sqlite3.Connection) -> None:
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        "mmap_size=0",
        # What is not committed stays in memory: a batch that is rolled back leaves no byte in any file (D-7).
        "cache_spill=OFF",
        "temp_store=MEMORY",
        "busy_timeout=5000",
    ):
        connection.execute(f"PRAGMA {pragma}")
    if connection.execute("PRAGMA synchronous").fetchone() != (2,):
        message = "synchronous=FULL was not taken"
        raise sqlite3.OperationalError(message)


def empty_log(connection: sqlite3.Connection) -> bool:
    """
    Leave nothing in the write-ahead file: neither what was erased, nor what a process killed inside a COMMIT had written.

    Returns:
        Whether it is empty; a reader in the way is not waited for.
    """
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout=0")
    try:
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout={int(patience)}")
    return not busy


def _migrate(connection: sqlite3.Connection) -> None:
    known = migrations()
    (present,) = connection.execute("PRAGMA user_version").fetchone()
    if present > known[-1][0]:
        message = f"schema {present} is newer than this program's {known[-1][0]}"
        raise NewerSchema(message)
    for number, text in known:
        if number > present:
            # executescript commits what is open, so the script carries its own transaction.
            connection.executescript(f"BEGIN IMMEDIATE;\n{text}\nPRAGMA user_version={number};\nCOMMIT;")
