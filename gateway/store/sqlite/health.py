"""Is a file of ours whole? Read by `doctor`, from any process."""

import sqlite3
from pathlib import Path

from gateway.model.ports import FileUnusable
from gateway.store.sqlite.connection import open_reader, unusable


def probe(path: Path) -> str:
    """
    Check a database file quickly, for reading only.

    Returns:
        A line that says its layout, size and state.

    Raises:
        FileUnusable: it cannot be read, or is damaged.
    """
    try:
        connection = open_reader(path)
        try:
            (layout,) = connection.execute("PRAGMA user_version").fetchone()
            (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as failure:
        raise unusable(path, failure) from failure
    if found != "ok":
        raise FileUnusable(path, "quick_check found it damaged")
    return f"{path.name}: layout {layout}, {path.stat().st_size // 1024} kB, whole, " + (
        # Whoever writes it sets synchronous=FULL and refuses to start without.
        "write-ahead log" if journal == "wal" else f"journal {journal} until a gateway starts on it"
    )


def engine() -> tuple[str, bool]:
    """Return SQLite's version, and whether two processes may write one file: before 3.51.3 that can damage it (D-12)."""
    return sqlite3.sqlite_version, sqlite3.sqlite_version_info >= (3, 51, 3)
