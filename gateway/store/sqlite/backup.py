"""A copy of `store.db` that is whole while the gateway writes: SQLite's backup under one read transaction (D-12)."""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.model.base import Model
from gateway.model.ports import FileUnusable
from gateway.store.sqlite.checks import damage, differences
from gateway.store.sqlite.connection import open_reader, unusable

#: Pages between two reports of progress.
_STEP: Final = 1024


class BackedUp(Model, frozen=True, kw_only=True):
    """What a backup holds."""

    #: The schema's number.
    schema: int
    size: int
    #: The last decision that it holds, ISO 8601 UTC; None in an empty store. What was acknowledged later is not in it.
    decided_until: str | None


class BackupFailed(Exception):
    """The copy was made and is not whole; nothing was left under its name."""


def back_up(store: Path, target: Path, told: Callable[[int, int], None]) -> BackedUp:
    """
    Copy a store's file, check the copy, and only then give it its name.

    The read transaction is one state of the store from the first page to the last, whoever writes meanwhile.

    Args:
        store: `store.db`; a gateway may own it.
        target: Must not be there; gets mode 0600 and is on disk when this returns.
        told: Called with pages copied so far and pages in all.

    Raises:
        FileExistsError: the target is there.
        FileUnusable: the store cannot be read.
        BackupFailed: the copy is damaged or has not the schema that its number says.
        OSError: the copy cannot be written.
    """
    if target.exists():
        raise FileExistsError(target)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(descriptor)
    partial = Path(name)
    try:
        _copy(store, partial, told)
        made = _verified(partial)
        _synced(partial)
        _named(partial, target)
        _synced(target.parent)
    finally:
        for left in (partial, *(partial.with_name(partial.name + end) for end in ("-journal", "-wal", "-shm"))):
            left.unlink(missing_ok=True)
    return made


def _copy(store: Path, partial: Path, told: Callable[[int, int], None]) -> None:
    try:
        with contextlib.closing(open_reader(store)) as source:
            # Begun by a read: from here on the connection sees this state only.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            with contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as copy:
                source.backup(copy, pages=_STEP, progress=lambda _, left, total: told(total - left, total))
                # One file without a log beside it; it may be copied, and read where nothing can be written.
                copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as failure:
        if getattr(failure, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise OSError("no room is left") from failure
        raise unusable(store, failure) from failure


def _verified(partial: Path) -> BackedUp:
    try:
        with contextlib.closing(open_reader(partial)) as copy:
            found = (*damage(copy), *differences(copy))
            if found:
                raise BackupFailed(found[0])
            (schema,) = copy.execute("PRAGMA user_version").fetchone()
            (until,) = copy.execute("SELECT max(decided_at) FROM receipt").fetchone()
    except sqlite3.Error as failure:
        raise FileUnusable(partial, failure.sqlite_errorname) from failure
    return BackedUp(schema=schema, size=partial.stat().st_size, decided_until=until)


def _named(partial: Path, target: Path) -> None:
    """Give the copy its name, never over another file."""
    try:
        os.link(partial, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(target) from None
        partial.rename(target)


def _synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
