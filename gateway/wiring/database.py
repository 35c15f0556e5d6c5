"""Which record store a gateway and its verbs use: the database that `DATABASE_URL` names, else the data directory's file."""

from typing import Final

from gateway.model.ports import Clock
from gateway.store.port import Store, StoreUnusable
from gateway.store.reader import Reader
from gateway.wiring.data import DataDirectory
from gateway.wiring.urls import url_of

_VARIABLE: Final = "DATABASE_URL"


def database_url() -> str | None:
    """Return where the database is, or None: the record store is the data directory's file. Raises OSError: see `url_of`."""
    return url_of(_VARIABLE)


def open_store(directory: DataDirectory, clock: Clock) -> Store:
    """
    Open the writing side.

    Raises:
        StoreUnusable: the database cannot be used.
        NewerSchema, FileUnusable: the file cannot be used.
    """
    url = database_url()
    # Each driver is loaded by whoever needs it.
    if url is not None:
        from gateway.store.postgres.store import PostgresStore

        return PostgresStore(url, clock)
    from gateway.store.sqlite.store import SqliteStore

    return SqliteStore(directory.store, clock)


def open_reader(directory: DataDirectory) -> Reader:
    """
    Open the reading side.

    Raises:
        StoreUnusable: there is none, or it cannot be read.
    """
    url = database_url()
    if url is not None:
        from gateway.store.postgres.reader import PostgresReader

        return PostgresReader(url)
    from gateway.store.sqlite.reader import SqliteReader, is_readable

    if not is_readable(directory.store):
        if directory.store.exists():
            raise StoreUnusable(f"{directory.store} is there and cannot be read")
        raise StoreUnusable(f"There is no record store in {directory.path}")
    return SqliteReader(directory.store)
